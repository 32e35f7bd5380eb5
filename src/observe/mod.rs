//! Reads servers and switch into an [`Observation`]: what the planner knows of the world.

pub mod clock;
pub mod cold;
pub mod doctor;
mod holder;
pub mod hosts;
pub mod journals;
pub mod routers;
pub mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use cold::ColdPool;
pub use holder::{Holder, SILENT};
pub use hosts::HostState;
pub use routers::{Hot, RouterState};
pub use state::{Owner, ServerState};

use crate::inventory::Pool;

/// What one server said, by its name; an error is why it could not be read.
pub type Read<T> = (String, Result<T, String>);

/// What was read of the world, just now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Observation {
    /// Each router, in the inventory's order; an error is why it could not be read.
    pub routers: Vec<Read<RouterState>>,
    /// What the team's store says of the lock, where there is one besides the servers.
    #[serde(default)]
    pub store: Option<Read<ServerState>>,
    /// What the cold pool's hosts said, where the command needs them.
    pub cold: Option<ColdPool>,
    /// The app hosts' own state by pool and host, where the command needs them.
    pub hosts: BTreeMap<Pool, Vec<Read<HostState>>>,
}
