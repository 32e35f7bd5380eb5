//! The plan of `prune`: old releases of one pool go; what it runs stays.

use super::refuse::{Refusal, hot};
use super::{Action, Intent, Plan, Steps};
use crate::inventory::{Inventory, Pool};
use crate::observe::Observation;

pub(super) fn plan(
    intent: &Intent,
    pool: Pool,
    inventory: &Inventory,
    seen: &Observation,
) -> Result<Plan, Refusal> {
    let hot = hot(inventory, seen)?;
    let Some(release) = seen.proven(pool).filter(|_| seen.claimed(pool).is_none()) else {
        let why = format!("{pool} has no proven release: what of it may go is not known");
        return Err(Refusal::one(
            why,
            format!("pointsman -e {} deploy TAG prunes as it goes", inventory.env),
        ));
    };
    let steps = Steps::new(inventory)
        .on_routers(
            Action::Fence,
            "take the environment's lock and a new epoch on every router".into(),
        )
        .on_hosts(Action::FenceHosts, pool, format!("fence the hosts of {pool}"))
        .on_hosts(
            Action::Prune,
            pool,
            format!("keep the last {} releases of {pool}", inventory.app.keep_releases),
        )
        .on_routers(Action::Unlock, "give the lock back".into());
    let mut plan = Plan::draft(intent, inventory, seen, (hot, pool), release.clone());
    plan.retained = true;
    plan.steps = steps.steps;
    Ok(plan)
}
