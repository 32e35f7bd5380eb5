//! Whose lock a run may take over: nobody's that may be alive, unless the user names the run.

use super::refuse::Refusal;
use super::{Intent, Wish};
use crate::inventory::Inventory;
use crate::observe::{Holder, Observation};

/// The runs whose lock the plan takes over. One that has ended, and could only not give its lock back, is
/// taken over without a word.
///
/// # Errors
/// [`Refusal::Locked`] with who holds it.
pub(super) fn stolen(wish: &Wish, inventory: &Inventory, seen: &Observation) -> Result<Vec<String>, Refusal> {
    let ours = match &wish.intent {
        Intent::Resume { run } | Intent::Abort { run } => Some(run),
        _ => wish.steal.as_ref(),
    };
    let mut steal = Vec::new();
    // What brings traffic back, or ends what was begun, needs the routers alone.
    if matches!(wish.intent, Intent::Deploy { .. } | Intent::Prune { .. }) {
        store_is_there(&inventory.env, seen)?;
    }
    for holder in seen.holders() {
        if !holder.is_over() && ours != Some(&holder.run) {
            return Err(Refusal::Locked(in_words(&inventory.env, &holder)));
        }
        steal.push(holder.run);
    }
    Ok(steal)
}

/// A team that keeps its lock in a store means nobody to begin without it.
///
/// # Errors
/// When there is a store that cannot be read.
pub fn store_is_there(env: &str, seen: &Observation) -> Result<(), Refusal> {
    match &seen.store {
        Some((name, Err(problem))) => Err(Refusal::one(
            format!("the {name} cannot be read, and the lock is kept there: {problem}"),
            format!("pointsman -e {env} doctor"),
        )),
        _ => Ok(()),
    }
}

fn in_words(env: &str, holder: &Holder) -> String {
    format!("{env} is locked by run {holder}")
}
