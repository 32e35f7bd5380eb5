//! Whose lock a run may take over: nobody's that may be alive, unless the user names the run.

use super::refuse::Refusal;
use super::{Intent, Wish};
use crate::inventory::Inventory;
use crate::observe::{Holder, Observation};

/// Longest line of runs that each died while it took over the one before; it only bounds the loop.
const MOST: usize = 100;

/// The runs whose lock the plan takes over. One that has ended, and could only not give its lock back, is
/// taken over without a word.
///
/// # Errors
/// [`Refusal::Locked`] with who holds it.
pub(super) fn stolen(wish: &Wish, inventory: &Inventory, seen: &Observation) -> Result<Vec<String>, Refusal> {
    let mut ours: Vec<String> = match &wish.intent {
        Intent::Resume { run } | Intent::Abort { run } => vec![run.clone()],
        _ => wish.steal.iter().cloned().collect(),
    };
    let holders = seen.holders();
    // A run that died while it took another one over has left that one's lock on some router.
    let mut next = 0;
    while let Some(run) = ours.get(next) {
        let holder = holders.iter().find(|holder| holder.run == *run);
        let plan = holder
            .and_then(|holder| holder.progress.as_ref().ok())
            .map(|progress| &progress.plan);
        let taken = plan
            .and_then(|plan| plan.get("steal")?.as_array())
            .into_iter()
            .flatten();
        let news: Vec<String> = taken.filter_map(|run| Some(run.as_str()?.to_owned())).collect();
        ours.extend(news);
        next += 1;
        if next > MOST {
            break;
        }
    }
    let mut steal = Vec::new();
    for holder in holders {
        if !holder.is_over() && !ours.contains(&holder.run) {
            return Err(Refusal::Locked(in_words(&inventory.env, &holder)));
        }
        steal.push(holder.run);
    }
    Ok(steal)
}

fn in_words(env: &str, holder: &Holder) -> String {
    format!("{env} is locked by run {holder}")
}
