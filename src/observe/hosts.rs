//! What app hosts run, in short: for `status`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join, join_all};
use serde::{Deserialize, Serialize};

use super::{Read, state};
use crate::compose::containers;
use crate::inventory::{Host, Inventory, Pool};
use crate::remote::Sessions;

/// Longest that looking at one host may take, once connected.
const LOOK: Duration = Duration::from_secs(20);

/// One host, in short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostState {
    /// The release that it was last started with.
    pub current: Option<String>,
    /// Each container: service, state, release.
    pub containers: Vec<(String, String, Option<String>)>,
}

impl HostState {
    /// `v2-2026... (app running, web running)`
    pub fn in_words(&self) -> String {
        if self.containers.is_empty() {
            return "nothing runs".to_owned();
        }
        let each: Vec<_> = self
            .containers
            .iter()
            .map(|(service, state, _)| format!("{service} {state}"))
            .collect();
        format!(
            "{} ({})",
            self.current.as_deref().unwrap_or("no release"),
            each.join(", ")
        )
    }
}

/// Reads every host of both pools.
pub async fn observe(inventory: &Inventory, sessions: &Sessions) -> BTreeMap<Pool, Vec<Read<HostState>>> {
    let mut pools = BTreeMap::new();
    for pool in Pool::ALL {
        let hosts = inventory
            .hosts(pool)
            .iter()
            .map(|host| async move { (host.name.clone(), state_of(inventory, sessions, pool, host).await) });
        pools.insert(pool, join_all(hosts).await);
    }
    pools
}

async fn state_of(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    host: &Host,
) -> Result<HostState, String> {
    let session = sessions
        .connect(&host.server())
        .await
        .map_err(|error| error.to_string())?;
    let state_script = state::script(&inventory.state_dir());
    let list = containers::containers(&inventory.project(pool));
    let (kept, containers) = join(session.read(&state_script, LOOK), session.read(&list, LOOK)).await;
    let kept = state::parse(&kept.map_err(|e| e.to_string())?)?;
    let containers =
        containers::parse_containers(&containers.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    Ok(HostState {
        current: kept.current.get(&pool).cloned(),
        containers: containers
            .into_iter()
            .map(|one| (one.service, one.state, one.release))
            .collect(),
    })
}
