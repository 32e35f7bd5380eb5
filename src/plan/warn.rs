//! What the reader of a plan should know before anything is changed, though it stops nothing.

use super::refuse::routers_see;
use super::{Action, Intent, Plan, ttl};
use crate::inventory::Inventory;
use crate::observe::{Observation, clock};

pub(super) fn warnings(inventory: &Inventory, seen: &Observation, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Intent::Deploy { .. } = plan.intent {
        warnings.extend(back_after(inventory, seen, plan));
        warnings.extend(back_meanwhile(seen, plan));
        warnings.extend(ttl::horizon(inventory, seen, plan.to));
    }
    if plan.has(Action::Flip) {
        // A deploy goes on to watch until caches have moved; who flips or rolls back has nothing else that says it.
        if !matches!(plan.intent, Intent::Deploy { .. }) {
            warnings.extend(ttl::moves(inventory, seen, plan.from));
        }
        warnings.extend(ttl::unasked(seen));
    }
    warnings.extend(clocks(seen));
    warnings.extend(store(seen));
    warnings
}

/// What goes on without the store ([`super::store_is_there`]) has the routers' lock alone.
fn store(seen: &Observation) -> Option<String> {
    let (name, read) = seen.store.as_ref()?;
    let problem = read.as_ref().err()?;
    Some(format!(
        "goes on without the {name}, under the routers' own lock: it cannot be read: {}",
        problem.replace('\n', "; ")
    ))
}

/// The pool that traffic leaves becomes the standby: can it be flipped back to? (FAULTS.md 25)
fn back_after(inventory: &Inventory, seen: &Observation, plan: &Plan) -> Option<String> {
    if !plan.has(Action::Flip) {
        return None;
    }
    let from = plan.from;
    let why = match (seen.proven(from), seen.claimed(from)) {
        (_, Some(run)) => format!("run {run} was changing it"),
        (None, None) => "no proven release of it is on record".to_owned(),
        (Some(_), None) => routers_see(inventory, seen, from)
            .err()?
            .to_string()
            .replace('\n', "; "),
    };
    Some(format!(
        "no rollback after this: {from} would be the standby, and {why}"
    ))
}

/// The standby is replaced by this: can it be started again, if the deploy fails?
fn back_meanwhile(seen: &Observation, plan: &Plan) -> Option<String> {
    let to = plan.to;
    let standby = seen.proven(to).filter(|_| seen.claimed(to).is_none())?;
    let lacking: Vec<&str> = seen
        .cold
        .as_ref()?
        .hosts
        .iter()
        .filter(|(_, host)| {
            host.as_ref()
                .is_ok_and(|host| host.releases.iter().all(|kept| kept.id != standby.id))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    (!lacking.is_empty()).then(|| {
        format!(
            "no rollback to {} from here on: {to} is replaced, and {} no longer keeps {}",
            standby.tag,
            lacking.join(", "),
            standby.id
        )
    })
}

/// Clocks that are off (FAULTS.md 17).
fn clocks(seen: &Observation) -> Vec<String> {
    let routers = seen.readable().map(|(name, router)| (name, router.state.skew_s));
    let hosts = seen
        .cold
        .iter()
        .flat_map(|cold| &cold.hosts)
        .filter_map(|(name, host)| Some((name.as_str(), host.as_ref().ok()?.skew_s)));
    routers
        .chain(hosts)
        .filter_map(|(name, skew)| Some(format!("{name}: {} (run an NTP client)", clock::in_words(skew?)?)))
        .collect()
}
