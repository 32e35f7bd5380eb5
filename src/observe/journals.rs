//! The journals that the routers keep: any machine can read what any other did.

use futures::future::join_all;

use super::routers::READ;
use crate::inventory::Inventory;
use crate::remote::{Script, Sessions};

/// Every run's journal, as the router that has most of it keeps it: `(run, text)`.
///
/// # Errors
/// In words, when no router could be read.
pub async fn read(inventory: &Inventory, sessions: &Sessions) -> Result<Vec<(String, String)>, String> {
    let script = Script::new(include_str!("journals.sh")).var("STATE", inventory.state_dir());
    let script = &script;
    let outputs = join_all(inventory.switch.routers.iter().map(|router| async move {
        let session = sessions.connect(&router.server()).await?;
        session.read(script, READ).await
    }))
    .await;
    let mut journals = std::collections::BTreeMap::<String, String>::new();
    let mut problems = Vec::new();
    for output in outputs {
        match output {
            Ok(output) => {
                for (run, text) in output.sections() {
                    let best = journals.entry(run.to_owned()).or_default();
                    if text.len() > best.len() {
                        text.clone_into(best);
                    }
                }
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.len() == inventory.switch.routers.len() {
        return Err(problems.join("\n"));
    }
    Ok(journals.into_iter().collect())
}
