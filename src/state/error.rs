//! Why a store has no ordinary answer.

/// Why a store has no ordinary answer. Only [`StoreError::InDoubt`] may have had, or may still have,
/// an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another run holds the lock; nothing was changed.
    #[error("run {holder} holds the lock")]
    Locked {
        /// The run that holds it.
        holder: String,
        /// What it wrote about itself, [`crate::observe::Owner`] as JSON.
        owner: String,
    },
    /// Another run took the epoch between the look and the write; nothing was changed.
    #[error("another run took the epoch first (it is {seen} now)")]
    Raced {
        /// The epoch there.
        seen: u64,
    },
    /// The run does not hold the lock at its epoch, or no more; nothing was changed.
    #[error("epoch {ours} does not hold the lock (epoch {seen} there{})", by(.holder))]
    Fenced {
        /// The epoch there.
        seen: u64,
        /// The epoch of this run.
        ours: u64,
        /// Who holds the lock there, if anybody.
        holder: Option<String>,
    },
    /// The write was sent, and no answer came: it may have been done, or may still be.
    #[error("{at}: no answer to {what}: {problem}")]
    InDoubt {
        /// Which store, and where.
        at: String,
        /// What was asked.
        what: &'static str,
        /// What came instead of an answer.
        problem: String,
    },
    /// It could not be reached, or did not answer a question; nothing was changed.
    #[error("{problem}")]
    Unreachable {
        /// Where, what was tried, what came back.
        problem: String,
        /// What to type next.
        hint: String,
    },
    /// It refuses, and would again; nothing was changed.
    #[error("{problem}")]
    Refused {
        /// Where, what was expected and found.
        problem: String,
        /// What to type next.
        hint: String,
    },
}

fn by(holder: &Option<String>) -> String {
    holder
        .as_ref()
        .map_or_else(String::new, |holder| format!(", held by {holder}"))
}

impl StoreError {
    /// Whether an effect now or later cannot be ruled out.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, StoreError::InDoubt { .. })
    }

    /// What to type next, where the store knows.
    pub fn hint(&self) -> Option<&str> {
        match self {
            StoreError::Unreachable { hint, .. } | StoreError::Refused { hint, .. } => Some(hint),
            StoreError::Locked { .. }
            | StoreError::Raced { .. }
            | StoreError::Fenced { .. }
            | StoreError::InDoubt { .. } => None,
        }
    }

    /// The error, and what to type next where the store knows, as one text.
    pub fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) if !hint.is_empty() => format!("{self} ({hint})"),
            Some(_) | None => self.to_string(),
        }
    }
}
