//! The plans of `flip` and `rollback`: where the target is proven, only a flip.

use super::deploy::{changing, hint};
use super::refuse::{Refusal, hot, routers_see};
use super::{Action, Intent, Plan, Steps, ttl};
use crate::compose::Release;
use crate::inventory::{Inventory, Pool};
use crate::observe::{Hot, Observation};

/// `flip [--to POOL]`.
pub(super) fn plan(
    intent: &Intent,
    to: Option<Pool>,
    inventory: &Inventory,
    seen: &Observation,
) -> Result<Plan, Refusal> {
    let env = &inventory.env;
    // With the target named, routers that disagree, or whose file says otherwise, are what a flip
    // mends; without, it would be a guess.
    let from = match (to, seen.hot()) {
        (Some(to), Hot::Split(_)) => to.other(),
        (Some(_), Hot::Pool(hot)) => hot,
        _ => hot(inventory, seen)?,
    };
    let to = to.unwrap_or(from.other());
    routers_see(inventory, seen, to)?;
    let Some(release) = seen.proven(to) else {
        return Err(Refusal::one(
            format!(
                "{to} is not proven: expected a release that passed its checks there, found none on record"
            ),
            format!("pointsman -e {env} deploy TAG"),
        ));
    };
    if let Some(run) = seen.claimed(to) {
        return Err(claimed(env, to, run));
    }
    Ok(flip_only(
        intent,
        inventory,
        seen,
        (from, to),
        release.clone(),
        None,
    ))
}

/// `rollback [TAG]`.
pub(super) fn rollback(
    intent: &Intent,
    tag: Option<&str>,
    inventory: &Inventory,
    seen: &Observation,
) -> Result<Plan, Refusal> {
    let env = &inventory.env;
    let from = hot(inventory, seen)?;
    let to = from.other();
    let standby = seen.proven(to).filter(|_| seen.claimed(to).is_none());
    if let Some(release) = standby
        && tag.is_none_or(|tag| tag == release.tag)
    {
        routers_see(inventory, seen, to)?;
        let how = format!("flips back to {} on {to}: no pull, no boot", release.tag);
        return Ok(flip_only(
            intent,
            inventory,
            seen,
            (from, to),
            release.clone(),
            Some(how),
        ));
    }
    // The release is not on standby: it has to be started, from what the hosts keep or anew.
    let Some(cold) = &seen.cold else {
        let why = match (tag, seen.claimed(to)) {
            (_, Some(run)) => return Err(claimed(env, to, run)),
            (Some(tag), None) => format!("{to} does not run {tag}, and its hosts keep no such release"),
            (None, None) => format!("{to} has no proven release to go back to"),
        };
        return Err(Refusal::one(
            why,
            format!("pointsman -e {env} releases, then pointsman -e {env} rollback TAG"),
        ));
    };
    let problems = cold.problems(inventory);
    if !problems.is_empty() {
        return Err(Refusal::one(problems.join("\n"), hint(inventory, cold)));
    }
    let Some(release) = cold.release.clone() else {
        return Err(Refusal::one(
            format!("{to} has no proven release to go back to"),
            format!("pointsman -e {env} deploy TAG"),
        ));
    };
    let how = if cold.retained {
        format!("starts the retained release {} on {to}, then flips", release.id)
    } else {
        format!(
            "deploys {} anew to {to}, without migrating, then flips",
            release.tag
        )
    };
    let mut plan = changing(intent, inventory, seen, (from, to), release, true, false);
    plan.how = Some(how);
    Ok(plan)
}

fn claimed(env: &str, pool: Pool, run: &str) -> Refusal {
    Refusal::one(
        format!("run {run} was changing {pool} and did not finish: what runs there is not proven"),
        format!("pointsman -e {env} deploy TAG proves it anew"),
    )
}

/// The target is proven and unclaimed: the routers alone decide.
fn flip_only(
    intent: &Intent,
    inventory: &Inventory,
    seen: &Observation,
    (from, to): (Pool, Pool),
    release: Release,
    how: Option<String>,
) -> Plan {
    let tag = &release.tag;
    let steps = Steps::new(inventory)
        .on_routers(
            Action::Fence,
            "take the environment's lock and a new epoch on every router".into(),
        )
        .on_routers(
            Action::Flip,
            format!(
                "move traffic from {from} to {to} on all routers{}",
                ttl::when(seen, from, false)
            ),
        )
        .on_routers(
            Action::Verify,
            format!("see {tag} through every router; back to {from} otherwise"),
        )
        .on_routers(Action::Unlock, "give the lock back".into());
    let mut plan = Plan::draft(intent, inventory, seen, (from, to), release);
    plan.retained = true;
    plan.flips = true;
    plan.how = how;
    plan.steps = steps.steps;
    plan
}
