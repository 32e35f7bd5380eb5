//! `[ssh]`: how servers are reached. `~/.ssh/config` is honoured; what stands here goes before it.

use camino::Utf8PathBuf;
use std::time::Duration;

/// The `[ssh]` table.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// Login name; `None` leaves it to `~/.ssh/config`.
    pub user: Option<String>,
    /// Port; `None` leaves it to `~/.ssh/config`.
    pub port: Option<u16>,
    /// Private key, absolute on this machine.
    pub identity: Option<Utf8PathBuf>,
    /// Jump host, `[user@]host[:port]`, as ProxyJump takes it.
    pub jump: Option<String>,
    /// known_hosts file to use instead of the user's, absolute on this machine.
    pub known_hosts: Option<Utf8PathBuf>,
    /// ssh_config to include instead of `~/.ssh/config`, absolute on this machine.
    pub config: Option<Utf8PathBuf>,
    /// Longest that connecting to one server may take (default 5 s, FAULTS.md 1).
    pub connect_timeout: Duration,
    /// Most connects that are under way at once (default 32).
    pub max_connects: usize,
}
