//! Where the environment's lock and the journal are kept for a team: on the routers, which needs no
//! service, or in PostgreSQL or etcd.
//!
//! A store decides who may begin; it never replaces the fence: every change on a server still goes
//! through the guard, which compares the run's epoch with the server's own. So a store that was set
//! back to an older copy can let two runs begin, and the servers still obey only the newer one.
//!
//! Every write is conditional on the epoch, in one atomic operation of the store, and may be repeated
//! after its answer was lost. [`rules`] says what each condition is, once for all stores.

pub mod anchors;
mod error;
pub mod etcd;
pub mod note;
pub mod noted;
pub mod postgres;
mod rules;
pub mod servers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use error::StoreError;

use crate::inventory::{Inventory, State};
use crate::remote::Sessions;
use crate::switch::api_for;

/// Longest that one call to PostgreSQL or etcd may take: an election or a failover there lasts a few
/// seconds, and a run that waits longer than this is better told.
const CALL: Duration = Duration::from_secs(10);
/// Longest that a connection may take: these servers are near, or down.
const CONNECT: Duration = Duration::from_secs(5);

/// The environment whose lock and journal are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The app's name.
    pub app: String,
    /// The environment's name.
    pub env: String,
}

/// What a store says of an environment, just now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The highest epoch that any run took; 0 where none ever did.
    pub epoch: u64,
    /// Who holds the lock.
    pub held: Option<Held>,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The run.
    pub run: String,
    /// Its epoch.
    pub epoch: u64,
    /// [`crate::observe::Owner`] as JSON: who, from where, since when, for what.
    pub owner: String,
    /// What the run said that it is doing; empty before its first heartbeat.
    pub phase: String,
    /// How long ago it said so, by the store's own clock; after a store's restart it may be less.
    pub heartbeat_age: Duration,
}

/// A run that wants the lock, with a new epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Take {
    /// The epoch that was read: if it has moved since, nothing happens.
    pub expect_epoch: u64,
    /// The new epoch, above `expect_epoch` and above what any router has seen.
    pub epoch: u64,
    /// The run.
    pub run: String,
    /// [`crate::observe::Owner`] as JSON.
    pub owner: String,
    /// A run whose lock may be taken over.
    pub steal: Option<String>,
}

/// A run's right to write: its epoch, while it holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The run.
    pub run: String,
    /// Its epoch.
    pub epoch: u64,
}

impl Take {
    /// The right that this gives.
    pub fn right(&self) -> Right {
        Right {
            run: self.run.clone(),
            epoch: self.epoch,
        }
    }
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was done now.
    Applied,
    /// It stood there already: an earlier call did it, and its answer was lost.
    AlreadyDone,
}

/// Lock and journal of one environment. Every call has a deadline, and every write may be repeated.
#[async_trait]
pub trait Store: Send + Sync {
    /// `servers`, `postgres` or `etcd`.
    fn name(&self) -> &'static str;

    /// What stands there now. After a write of this store ended [`StoreError::InDoubt`], this waits
    /// until that write has been done or can no longer be, so what it says then is the truth.
    ///
    /// # Errors
    /// Never [`StoreError::InDoubt`].
    async fn read(&self) -> Result<Snapshot, StoreError>;

    /// Takes the lock and the new epoch: only if the epoch is still the one that was read, and nobody
    /// holds the lock, or the run that may be robbed does. A repetition by the holder is
    /// [`Done::AlreadyDone`].
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Raced`].
    async fn acquire(&self, take: &Take) -> Result<Done, StoreError>;

    /// Appends lines (JSON, without newlines) to the run's journal, the first as number `first_seq`.
    /// Lines that are there already are left as they are.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::Refused`] where a line of that number says something else,
    /// or a line before `first_seq` is missing.
    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError>;

    /// Says that the run lives, and what it is doing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    async fn heartbeat(&self, right: &Right, phase: &str) -> Result<(), StoreError>;

    /// Gives the lock back. The epoch stays, so that what is late of this run is refused for ever.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another run has the lock, or took it and gave it back.
    async fn release(&self, right: &Right) -> Result<Done, StoreError>;

    /// Every run's journal: `(run, text)`, the text in the journal's own format.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError>;
}

/// The store that the team runs, where the inventory names one. Touches no network yet.
///
/// # Errors
/// When a CA file cannot be used.
pub fn team(inventory: &Inventory) -> Result<Option<Arc<dyn Store>>, StoreError> {
    let site = Site {
        app: inventory.app.name.clone(),
        env: inventory.env.clone(),
    };
    Ok(match &inventory.state {
        State::Servers => None,
        State::Postgres(settings) => Some(Arc::new(postgres::Postgres::new(settings, site)?)),
        State::Etcd(settings) => Some(Arc::new(etcd::Etcd::new(settings, site)?)),
    })
}

/// Every store of the environment, in the order in which its lock is taken: the team's, then the routers themselves.
///
/// # Errors
/// As [`team`].
pub fn all(inventory: &Inventory, sessions: &Sessions) -> Result<Vec<Arc<dyn Store>>, StoreError> {
    let last: Arc<dyn Store> = match noted(inventory, sessions)? {
        Some(noted) => Arc::new(noted),
        None => {
            let routers = inventory.switch.routers.iter().map(|router| router.server());
            Arc::new(servers::Servers::new(
                sessions.clone(),
                routers.collect(),
                inventory.state_dir(),
            ))
        }
    };
    Ok(team(inventory)?.into_iter().chain([last]).collect())
}

/// The note beside the switch, where that is an API.
///
/// # Errors
/// When the API's settings cannot be used.
pub fn noted(inventory: &Inventory, sessions: &Sessions) -> Result<Option<noted::Noted>, StoreError> {
    let api = api_for(inventory).map_err(|error| StoreError::Refused {
        hint: error.hint().unwrap_or_default().to_owned(),
        problem: error.to_string(),
    })?;
    let site = format!("{}/{}", inventory.app.name, inventory.env);
    Ok(api.map(|api| noted::Noted::new(api, anchors::Anchors::new(inventory, sessions), site)))
}
