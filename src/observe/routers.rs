//! Which pool is hot: read from every router, never remembered, never guessed (invariant 2).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::{self, ServerState};
use super::{Observation, Read, clock};
use crate::compose::Release;
use crate::inventory::{Inventory, Pool};
use crate::remote::Sessions;
use crate::switch::{Connector, RouterView};

/// One router: what it does with traffic, and what pointsman keeps there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouterState {
    /// What it does.
    pub view: RouterView,
    /// What pointsman keeps there.
    pub state: ServerState,
}

/// Which pool is hot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hot {
    /// Every router was read and sends everything to this pool.
    Pool(Pool),
    /// Every router was read and they disagree; in words, by router.
    Split(String),
    /// A router could not be read; in words, by router.
    InDoubt(String),
}

/// Longest that reading one router may take, once connected.
pub const READ: Duration = Duration::from_secs(10);

/// Reads all routers at once.
pub async fn observe(inventory: &Inventory, sessions: &Sessions, connector: &dyn Connector) -> Observation {
    let state_script = state::script(&inventory.state_dir());
    let routers = join_all(inventory.switch.routers.iter().map(|router| {
        let state_script = &state_script;
        async move {
            let read = async {
                let session = sessions
                    .connect(&router.server())
                    .await
                    .map_err(|e| e.to_string())?;
                let before = Timestamp::now();
                // Two channels at once cost one round trip.
                let (view, kept) = futures::future::join(
                    connector.observe(&session, router),
                    session.read(state_script, READ),
                )
                .await;
                let mut state = state::parse(&kept.map_err(|e| e.to_string())?)?;
                state.skew_s = state
                    .clock
                    .map(|now| clock::skew(before, now, now, Timestamp::now()));
                Ok(RouterState {
                    view: view.map_err(|e| e.to_string())?,
                    state,
                })
            };
            (router.name.clone(), read.await)
        }
    }))
    .await;
    Observation {
        routers,
        ..Observation::default()
    }
}

impl Observation {
    /// Which pool is hot, by what each router does now.
    pub fn hot(&self) -> Hot {
        let mut doubts = Vec::new();
        let mut words = Vec::new();
        let mut pools = Vec::new();
        for (name, state) in &self.routers {
            match state {
                Ok(router) => {
                    words.push(format!("{name}: {}", router.view.live));
                    pools.push(router.view.live.settled());
                }
                Err(problem) => doubts.push(problem_of(name, problem)),
            }
        }
        if !doubts.is_empty() {
            return Hot::InDoubt(doubts.join("; "));
        }
        match pools.first() {
            Some(Some(first)) if pools.iter().all(|pool| *pool == Some(*first)) => Hot::Pool(*first),
            _ => Hot::Split(words.join("; ")),
        }
    }

    /// The routers that could be read.
    pub fn readable(&self) -> impl Iterator<Item = (&str, &RouterState)> {
        self.routers
            .iter()
            .filter_map(|(name, state)| Some((name.as_str(), state.as_ref().ok()?)))
    }

    /// The highest epoch that any router, or the store, has seen.
    pub fn highest_epoch(&self) -> u64 {
        let routers = self.readable().map(|(_, router)| router.state.epoch);
        let store = self.stored().map(|(_, state)| state.epoch);
        routers.chain(store).max().unwrap_or(0)
    }

    /// The store, where there is one and it could be read.
    pub fn stored(&self) -> Option<(&str, &ServerState)> {
        let (name, state) = self.store.as_ref()?;
        Some((name, state.as_ref().ok()?))
    }

    /// What each router does with traffic and keeps of the pools, a line each.
    pub fn routers_in_words(&self) -> Vec<String> {
        let line = |(name, read): &Read<RouterState>| {
            let router = match read {
                Ok(router) => router,
                Err(problem) => return problem_of(name, problem),
            };
            let mut words = vec![format!("routes to {}", router.view.live)];
            words.extend(router.view.drift());
            words.extend(
                (router.state.claims.iter())
                    .map(|(pool, claim)| format!("{pool} is claimed by {}", claim.run)),
            );
            words.extend(
                (router.state.proven.iter())
                    .map(|(pool, release)| format!("{pool} is proven with {}", release.id)),
            );
            format!("{name}: {}", words.join(", "))
        };
        self.routers.iter().map(line).collect()
    }

    /// Whether any router records that a run is changing this pool.
    pub fn claimed(&self, pool: Pool) -> Option<&str> {
        self.readable()
            .find_map(|(_, router)| router.state.claims.get(&pool))
            .map(|claim| claim.run.as_str())
    }

    /// The hosts of a pool that any router leaves out, in order.
    pub fn left_out(&self, pool: Pool) -> Vec<String> {
        let each = self
            .readable()
            .filter_map(|(_, router)| router.view.left_out.get(&pool));
        let names: BTreeSet<&String> = each.flatten().collect();
        names.into_iter().cloned().collect()
    }

    /// The release that the pool was proven with, as all routers record it alike; `None` where one
    /// has no record, or another: then nothing is proven.
    pub fn proven(&self, pool: Pool) -> Option<&Release> {
        let mut records = self.readable().map(|(_, router)| router.state.proven.get(&pool));
        let first = records.next()??;
        records
            .all(|other| other.is_some_and(|other| other.id == first.id))
            .then_some(first)
    }
}

/// `lb1: problem`, without naming the router twice where the problem begins with its name.
fn problem_of(name: &str, problem: &str) -> String {
    if problem.starts_with(name) {
        problem.to_owned()
    } else {
        format!("{name}: {problem}")
    }
}
