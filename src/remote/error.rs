//! Why something remote has no ordinary result.

use std::sync::Arc;
use std::time::Duration;

use super::script::ScriptError;

/// Why something remote has no ordinary result. The variants tell what the step may conclude:
/// only [`RemoteError::InDoubt`] and [`RemoteError::Unrecorded`] may have had, or may still have, an effect.
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
    #[error("{server}: no answer to {what} within {deadline:?}: the connection broke, or it takes longer")]
    InDoubt {
        /// The server's name.
        server: String,
        /// The step.
        what: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The script has run, and its end is lost: it could not be written there.
    #[error(
        "{server}: {what} has run, and how it ended could not be written there: is a disk full, or read-only?"
    )]
    Unrecorded {
        /// The server's name.
        server: String,
        /// The step.
        what: String,
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
    /// Another run holds the environment's lock on this server; nothing was changed.
    #[error("{server}: run {holder} holds the lock")]
    Locked {
        /// The server's name.
        server: String,
        /// The run that holds it.
        holder: String,
        /// Its `owner.json`, as it stands on the server.
        owner: String,
    },
    /// Another run took the epoch between our look and our compare-and-set; nothing was changed.
    #[error("{server}: another run took the epoch first ({seen} there)")]
    Raced {
        /// The server's name.
        server: String,
        /// Epoch on the server.
        seen: u64,
    },
    /// Somebody took this run's lock off the server by hand; nothing was changed.
    #[error("{server}: the lock was taken away from this run: expected it to be the holder, found {holder}")]
    LockLost {
        /// The server's name.
        server: String,
        /// Who holds it now.
        holder: String,
    },
    /// This run has not fenced the server; nothing was changed.
    #[error("{server}: this run (epoch {ours}) has not fenced the server, which is at epoch {seen}")]
    Unfenced {
        /// The server's name.
        server: String,
        /// Epoch on the server.
        seen: u64,
        /// Epoch of this run.
        ours: u64,
    },
    /// An older mutation held the server's lock all the time; nothing was changed.
    #[error("{server}: another mutation held the server's lock for more than {waited:?}")]
    Busy {
        /// The server's name.
        server: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The guard or the payload's preparation refused; nothing was changed.
    #[error("{server}: {problem}")]
    Refused {
        /// The server's name.
        server: String,
        /// In words.
        problem: String,
    },
    /// A value that no shell can carry; nothing was sent.
    #[error(transparent)]
    Script(Arc<ScriptError>),
}

impl RemoteError {
    /// Whether an effect now or later cannot be ruled out.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, RemoteError::InDoubt { .. } | RemoteError::Unrecorded { .. })
    }
}

impl From<ScriptError> for RemoteError {
    fn from(error: ScriptError) -> RemoteError {
        RemoteError::Script(Arc::new(error))
    }
}
