//! `[app]`: what is deployed, and how it says which release it is.

use camino::Utf8PathBuf;

/// The `[app]` table.
#[derive(Debug, Clone)]
pub struct App {
    /// The app's name: lower-case letters, digits and `-`; part of project, label and map names.
    pub name: String,
    /// Absolute folder on every host and router under which pointsman keeps its state and releases.
    pub path: String,
    /// The Compose file, absolute on this machine; sent untouched.
    pub compose: Utf8PathBuf,
    /// The env file, absolute on this machine; sent as `.env`, mode 0600. Its values are secret.
    pub env_file: Option<Utf8PathBuf>,
    /// How a host says which release it serves.
    pub identity: Identity,
    /// How many proven releases are kept per pool besides the running one; at least 1 (default 3).
    pub keep_releases: usize,
    /// Longest that pulling one release may take on a host (default 10 min).
    pub pull_timeout: std::time::Duration,
    /// Longest that starting a pool's containers and its checks may take on a host (default 2 min).
    pub start_timeout: std::time::Duration,
    /// Free bytes that a deploy wants on the docker root beside what images need (default 1 GiB).
    pub disk_margin: u64,
}

/// `identity = { path = "/version", json = "tag", service = "web", port = 80 }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Path of the endpoint; asked on each host and through each router.
    pub path: String,
    /// Key of the JSON answer that holds the tag (dots descend); `None`: the whole body, trimmed.
    pub json: Option<String>,
    /// Compose service that answers it; `None`: `port` is a port of the host.
    pub service: Option<String>,
    /// Port of the service in the Compose network, or of the host (default 80).
    pub port: u16,
}
