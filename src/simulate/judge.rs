//! The judge: looks at servers alone, after every effect, and knows neither plans nor journals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::world::{Change, Message, Server};
use crate::inventory::Inventory;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Number of the event, from 1.
    pub event: u64,
    /// The message that did it, or what was said.
    pub cause: String,
    /// What did not hold.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event {}: {}\n  after {}",
            self.event, self.problem, self.cause
        )
    }
}

/// Everything that does not hold now.
pub(super) fn judge(
    inventory: &Inventory,
    servers: &BTreeMap<String, Server>,
    changed: &str,
    epoch_before: u64,
) -> Vec<String> {
    let mut problems = Vec::new();
    if servers
        .get(changed)
        .is_some_and(|server| server.epoch < epoch_before)
    {
        problems.push(format!("the epoch of {changed} went down"));
    }
    for router in &inventory.switch.routers {
        let Some(pool) = servers.get(&router.name).and_then(|server| server.route) else {
            continue;
        };
        let runs: Vec<Option<&String>> = inventory
            .hosts(pool)
            .iter()
            .map(|host| servers.get(&host.name).and_then(|server| server.runs.get(&pool)))
            .collect();
        if runs.iter().any(Option::is_none) {
            problems.push(format!(
                "{} routes to {pool}, where a host runs nothing",
                router.name
            ));
        }
        let releases: BTreeSet<_> = runs.iter().flatten().collect();
        if releases.len() > 1 {
            problems.push(format!(
                "{} routes to {pool}, whose hosts run {releases:?}",
                router.name
            ));
        }
    }
    problems
}

/// A change that was carried out although its run does not have this server's fence. Giving a lock back that
/// it does not have, and adding to its own journal, is all that it may do.
pub(super) fn trespass(message: &Message, servers: &BTreeMap<String, Server>) -> Option<String> {
    let owner = &servers.get(&message.server)?.fenced_by;
    let harmless = match &message.change {
        Change::Record(records) => {
            records.claim.is_none()
                && records.unclaim.is_none()
                && records.proven.is_none()
                && records.unproven.is_none()
        }
        Change::Arm(_) | Change::Nothing => true,
        Change::Fence { .. } | Change::Route(..) | Change::Stage(_) | Change::Start(..) | Change::Stop(_) => {
            false
        }
    };
    (!harmless && *owner != message.run).then(|| {
        format!(
            "{} was changed by {}, while {owner} has its fence",
            message.server, message.run
        )
    })
}
