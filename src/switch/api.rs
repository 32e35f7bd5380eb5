//! Switches that are no machines: a DNS name or a cloud's balancer, read and changed by an API. There is no guard beside
//! them: what pointsman keeps for the fence is a *note* that stands beside the switch itself, and travels in the
//! provider's own comparison where it has one.

use async_trait::async_trait;

use super::{Finding, Route, RouterView};
use crate::inventory::Inventory;

/// What to type where a doubt is left, and no run to resume.
pub(crate) const WHETHER_DONE: &str = "see with `pointsman status` whether it was done, then try again";

/// Why an API did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// What was expected to stand there does not any more: somebody else wrote. Nothing was changed.
    #[error("{problem}")]
    Stale {
        /// What was expected and found.
        problem: String,
    },
    /// It said no, and changed nothing, now or later.
    #[error("{problem}")]
    Refused {
        /// Its words, and what was expected.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// It could not be asked: nothing was sent.
    #[error("{problem}")]
    Unreachable {
        /// Why.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// It was sent and not answered, or the answer does not say whether it was done.
    #[error("{problem}")]
    InDoubt {
        /// What was awaited, and what came.
        problem: String,
    },
}

impl ApiError {
    /// Whether an effect now or later cannot be ruled out.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, ApiError::InDoubt { .. })
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            ApiError::Refused { hint, .. } | ApiError::Unreachable { hint, .. } => {
                Some(hint.as_str()).filter(|hint| !hint.is_empty())
            }
            ApiError::Stale { .. } => Some("see who else writes there, then try again"),
            ApiError::InDoubt { .. } => Some(WHETHER_DONE),
        }
    }
}

/// What one look at such a switch found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it does with traffic.
    pub view: RouterView,
    /// The note that stands beside it.
    pub note: Option<String>,
    /// The highest TTL with which an authoritative server gives out what it says now, in seconds; for DNS.
    pub ttl: Option<u32>,
    /// Why its authoritative servers are not known and were not asked; for DNS.
    pub unasked: Option<String>,
    /// What stood there, in the connector's own words: it is what a change expects to find.
    pub raw: Vec<String>,
}

/// One change, made as one: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// The note that is to stand there.
    pub note: &'a str,
    /// Where requests are to go; `None`: where they go now.
    pub to: Option<Route>,
    /// The TTL that is to be given out from now on, in seconds; `None`: the one of the inventory where requests move,
    /// else what stands there.
    pub ttl: Option<u32>,
}

/// A switch behind an API.
#[async_trait]
pub trait Api: Send + Sync {
    /// What it does, and the note beside it.
    ///
    /// # Errors
    /// When it cannot be known; never [`ApiError::Stale`].
    async fn read(&self) -> Result<Seen, ApiError>;

    /// The same without the health of the pools' servers, which a dead one makes slow: it is what a change needs.
    ///
    /// # Errors
    /// As [`Api::read`].
    async fn glance(&self) -> Result<Seen, ApiError> {
        self.read().await
    }

    /// Makes one change, where what was seen still stands, as far as the provider can compare.
    ///
    /// # Errors
    /// [`ApiError::Stale`] where something else stands there by now.
    async fn change(&self, seen: &Seen, change: &Change<'_>) -> Result<(), ApiError>;

    /// Looks at everything that a flip will need, and changes nothing.
    async fn doctor(&self) -> Vec<Finding>;

    /// What the provider has to be given or told before the first deploy.
    fn config(&self, inventory: &Inventory) -> String;
}
