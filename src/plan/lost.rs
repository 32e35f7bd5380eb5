//! An env file that lost a variable is refused: the app would boot without it, and may even look healthy.

use super::{Intent, Plan, Refusal, Wish};
use crate::inventory::Inventory;

/// Every variable that the hot release has a value for must have one in the new release too, unless the user says
/// that it is meant to go (FAULTS.md 27). Names are compared; values are neither kept nor read.
pub(super) fn refuse_lost(wish: &Wish, inventory: &Inventory, plan: &Plan) -> Result<(), Refusal> {
    let (Intent::Deploy { tag, .. }, Some(old)) = (&wish.intent, &plan.old) else {
        return Ok(());
    };
    let lost: Vec<&str> = old
        .env_keys
        .iter()
        .filter(|key| !plan.release.env_keys.contains(key) && !wish.drop_env.contains(key))
        .map(String::as_str)
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let file = inventory.app.env_file.as_ref().map_or_else(
        || "[app] env_file, which is not set".to_owned(),
        ToString::to_string,
    );
    let drop: Vec<String> = lost.iter().map(|key| format!("--drop-env {key}")).collect();
    Err(Refusal::one(
        format!(
            "the env file lost {}: {} (hot on {}) has a value for each, expected one too in {file}, found none or a blank one",
            lost.join(", "),
            old.tag,
            plan.from
        ),
        format!(
            "put it back; or, where it is meant: pointsman -e {} deploy {tag} {}",
            inventory.env,
            drop.join(" ")
        ),
    ))
}
