//! One SSH master per server and run; scripts, guarded scripts and tunnels over it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Output, Script};

/// A server as SSH sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// Short name for messages.
    pub name: String,
    /// Host name, address or alias.
    pub address: String,
    /// Port, when the inventory says one.
    pub port: Option<u16>,
    /// User, when the inventory says one.
    pub user: Option<String>,
}

/// Why something remote has no ordinary result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// The server could not be reached; nothing was sent.
    #[error("{server}: {problem}")]
    Connect {
        /// Its name.
        server: String,
        /// In words: what was tried, what came back.
        problem: String,
        /// What to type next.
        hint: String,
    },
    /// The script was sent, and its end is not known: it may have run, or may still.
    #[error("{server}: the connection broke or the deadline of {deadline:?} passed during {what}")]
    InDoubt {
        /// The server's name.
        server: String,
        /// The step.
        what: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The server has seen a newer run; nothing was changed.
    #[error("{server}: fenced by a newer run (epoch {seen} there, {ours} here)")]
    Fenced {
        /// The server's name.
        server: String,
        /// Epoch on the server.
        seen: u64,
        /// Epoch of this run.
        ours: u64,
    },
    /// The guard refused for another reason (not fenced yet, lock held too long); nothing was changed.
    #[error("{server}: {problem}")]
    Refused {
        /// The server's name.
        server: String,
        /// In words.
        problem: String,
    },
    /// A value that no shell can carry.
    #[error(transparent)]
    Script(Arc<super::ScriptError>),
}

/// The run's right to change a server: what the guard compares.
#[derive(Debug, Clone)]
pub struct Fence {
    /// `<app.path>/.pointsman/<app>/<env>` on the server.
    pub state_dir: String,
    /// This run's epoch.
    pub epoch: u64,
    /// This run's id.
    pub run: String,
}

/// All sessions of one run: at most one master a server, opened on first use.
#[derive(Debug)]
pub struct Sessions {}

/// An open connection to one server.
#[derive(Debug, Clone)]
pub struct Session {}

/// A local unix socket that leads to a TCP port as the server sees it; closed on drop.
#[derive(Debug)]
pub struct Tunnel {
    /// For `reqwest::ClientBuilder::unix_socket`.
    pub path: PathBuf,
}

/// A guarded script that has prepared itself on the server, holds the server's lock, and waits
/// for one word to commit. Dropped without a word, it changes nothing.
#[derive(Debug)]
pub struct Armed {}

impl Session {
    /// The server's short name.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Runs a script that changes nothing.
    ///
    /// # Errors
    /// [`RemoteError::InDoubt`] when the end is not known within `deadline`.
    pub async fn read(&self, _script: &Script, _deadline: Duration) -> Result<Output, RemoteError> {
        todo!()
    }

    /// Runs a script under the guard: with the server's lock held, only if no newer run has fenced
    /// the server, detached from this connection, its result kept as `runs/<run>/<step>.{rc,out}`.
    /// `step` is a file name: letters, digits, `-`, `_`, `.`.
    ///
    /// # Errors
    /// `Fenced` and `Refused` mean nothing was changed; `InDoubt` means read back first.
    pub async fn mutate(
        &self,
        _fence: &Fence,
        _step: &str,
        _script: &Script,
        _deadline: Duration,
    ) -> Result<Output, RemoteError> {
        todo!()
    }

    /// Sends a guarded script whose body defines the shell functions `prepare` and `commit`, runs
    /// `prepare` under the lock, and waits for [`Armed::commit`] for at most `lease`.
    /// Returns what `prepare` printed; if it exits other than 0 this is `Refused` with its message.
    pub async fn arm(
        &self,
        _fence: &Fence,
        _step: &str,
        _script: &Script,
        _lease: Duration,
    ) -> Result<Armed, RemoteError> {
        todo!()
    }

    /// Opens a tunnel to `host:port` as the server reaches it.
    pub async fn tunnel(&self, _host: &str, _port: u16) -> Result<Tunnel, RemoteError> {
        todo!()
    }
}

impl Armed {
    /// What `prepare` printed.
    pub fn prepared(&self) -> &Output {
        todo!()
    }

    /// One word down the open channel: `commit` runs, and this is what it printed.
    pub async fn commit(self, _deadline: Duration) -> Result<Output, RemoteError> {
        todo!()
    }
}
