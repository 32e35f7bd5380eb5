//! Why there is no plan: what was expected and found, with the exit code that it ends in.

use crate::inventory::{Inventory, Pool};
use crate::observe::{Hot, Observation};

/// Why a plan cannot be made. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A router could not be read.
    #[error("in doubt which pool is hot: {0}")]
    InDoubt(String),
    /// The routers disagree.
    #[error("the routers are split: {0}")]
    Split(String),
    /// Another run holds the lock.
    #[error("{0}")]
    Locked(String),
    /// Something that must hold before the first change does not.
    #[error("{problems}")]
    Preflight {
        /// Every problem found, a line each.
        problems: String,
        /// What to type next.
        hint: String,
    },
}

impl Refusal {
    /// A refusal with one problem.
    pub fn one(problem: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::Preflight {
            problems: problem.into(),
            hint: hint.into(),
        }
    }

    /// What to type next.
    pub fn hint(&self, env: &str) -> Option<String> {
        match self {
            Refusal::InDoubt(_) => Some(format!("pointsman -e {env} doctor")),
            Refusal::Split(_) => Some(format!(
                "pointsman -e {env} status, then pointsman -e {env} flip --to POOL"
            )),
            Refusal::Locked(_) => Some(format!(
                "wait for it with --wait, or where it is dead: pointsman -e {env} resume, or pointsman -e {env} abort"
            )),
            Refusal::Preflight { hint, .. } if hint.is_empty() => None,
            Refusal::Preflight { hint, .. } => Some(hint.clone()),
        }
    }
}

/// What every intent needs: each router readable, all of one mind, their files too.
pub(super) fn hot(inventory: &Inventory, seen: &Observation) -> Result<Pool, Refusal> {
    let hot = match seen.hot() {
        Hot::Pool(pool) => pool,
        Hot::Split(words) => return Err(Refusal::Split(words)),
        Hot::InDoubt(words) => return Err(Refusal::InDoubt(words)),
    };
    let drift: Vec<String> = seen
        .readable()
        .filter_map(|(name, router)| router.view.drift().map(|words| format!("{name}: {words}")))
        .collect();
    if drift.is_empty() {
        Ok(hot)
    } else {
        Err(Refusal::one(
            drift.join("\n"),
            format!(
                "pointsman -e {} flip --to {hot} writes the pool that serves into the file as well",
                inventory.env
            ),
        ))
    }
}

/// Every router must itself see enough of a pool's servers up.
pub(super) fn routers_see(inventory: &Inventory, seen: &Observation, pool: Pool) -> Result<(), Refusal> {
    let need = inventory.servers_needed(pool);
    let short: Vec<String> = seen
        .readable()
        .filter_map(|(name, router)| {
            let up = router.view.up(pool);
            (up < need).then(|| {
                format!(
                    "{name} sees {up} of {} servers of {pool} up, expected at least {need}: {}",
                    inventory.hosts(pool).len(),
                    router.view.servers_in_words(pool)
                )
            })
        })
        .collect();
    if short.is_empty() {
        return Ok(());
    }
    Err(Refusal::one(
        short.join("\n"),
        format!(
            "pointsman -e {} status shows each host; a flip there would lose requests",
            inventory.env
        ),
    ))
}
