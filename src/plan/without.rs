//! Hosts that are left out: a dead one in the pool that a run changes, by the user's own word; and, for a run that only
//! moves traffic, those that the routers leave out already (DESIGN.md 6).

use super::refuse::{Refusal, hot};
use super::takeover::dead_plan;
use super::{Action, Intent, Plan, Steps, Wish, wanted};
use crate::inventory::{Inventory, Pool};
use crate::observe::Observation;
use crate::switch;

/// The environment as a plan for this wish sees it.
///
/// # Errors
/// When a host that is to be left out is none of the pool that is changed, or nobody would be left.
pub(super) fn reduced(wish: &Wish, inventory: &Inventory, seen: &Observation) -> Result<Inventory, Refusal> {
    let mut reduced = inventory.clone();
    for pool in Pool::ALL {
        reduced = reduced.without(pool, &seen.left_out(pool));
    }
    let changed = match (dead_plan(&wish.intent, seen), wanted(&wish.intent, seen)) {
        (Some(dead), _) => Some((dead.to, dead.without)),
        (None, Some((pool, _))) => Some((pool, wish.without.clone())),
        (None, None) => None,
    };
    let connector = switch::about(&inventory.switch);
    if let (Some(name), false) = (wish.without.first(), connector.leaves_out) {
        return Err(Refusal::one(
            format!(
                "{name} was to be left out, but {} cannot leave a server out without a reload",
                connector.connector
            ),
            format!("mend {name}, or take it out of the inventory and of the routers' configuration"),
        ));
    }
    let Some((pool, names)) = changed else {
        let Some(name) = wish.without.first() else {
            return Ok(reduced);
        };
        // A deploy says first why no pool can be changed.
        if matches!(wish.intent, Intent::Deploy { .. }) {
            hot(inventory, seen)?;
        }
        return Err(Refusal::one(
            format!(
                "{name} was to be left out, but {} changes no pool",
                wish.intent.command()
            ),
            format!(
                "pointsman -e {} {} without --without",
                inventory.env,
                wish.intent.command()
            ),
        ));
    };
    let known: Vec<&str> = inventory
        .hosts(pool)
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Refusal::one(
            format!(
                "expected hosts of {pool}, which is changed, to be left out, found {name}: {pool} has {}",
                known.join(", ")
            ),
            format!("pointsman -e {} status", inventory.env),
        ));
    }
    let mut changed = inventory.clone();
    for other in Pool::ALL {
        let out = if other == pool {
            names.clone()
        } else {
            seen.left_out(other)
        };
        changed = changed.without(other, &out);
    }
    if changed.hosts(pool).is_empty() {
        return Err(Refusal::one(
            format!("without {} nobody is left in {pool}", names.join(", ")),
            format!("pointsman -e {} status", inventory.env),
        ));
    }
    Ok(changed)
}

/// The hosts of a pool that a reduced environment lacks.
pub(super) fn missing(whole: &Inventory, reduced: &Inventory, pool: Pool) -> Vec<String> {
    let kept = reduced.hosts(pool);
    let hosts = whole.hosts(pool).iter().filter(|host| !kept.contains(host));
    hosts.map(|host| host.name.clone()).collect()
}

/// Adds the step that tells the routers, to a plan that changes its pool: hosts that are left out, or put in again.
pub(super) fn tell(plan: &mut Plan, inventory: &Inventory, seen: &Observation) {
    let pool = plan.to;
    let words = match (plan.without.as_slice(), seen.left_out(pool).as_slice()) {
        ([], []) => return,
        ([], back) => format!("put {} of {pool} in again on every router", back.join(", ")),
        (out, _) => format!("leave {} of {pool} out of every router", out.join(", ")),
    };
    // The pool is cold, and nobody flips to a claimed one.
    let claim = plan.steps.iter().position(|step| step.action == Action::Claim);
    if let (Some(claim), true) = (claim, plan.has(Action::Start)) {
        let steps = Steps::new(inventory).on_routers(Action::LeaveOut, words).steps;
        plan.steps.splice(claim + 1..claim + 1, steps);
    }
}
