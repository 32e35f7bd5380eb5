//! The journals that the servers keep: any machine can read what any other did.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::routers::READ;
use crate::inventory::{Inventory, Pool};
use crate::journal;
use crate::remote::{Output, Script, Server, Sessions};

/// Marks the end of the journals.
const END: &str = "@end";

/// Every run's journal, from whoever has most of it: `(run, text)`. Where no router can be read, the first host of each
/// pool is asked, which has a copy, too.
///
/// # Errors
/// In words, when nobody could be read.
pub async fn read(inventory: &Inventory, sessions: &Sessions) -> Result<Vec<(String, String)>, String> {
    let state_dir = inventory.state_dir();
    let mut problem = String::new();
    // An API keeps no journals.
    if !inventory.switch.connector.is_api() {
        let routers: Vec<Server> = inventory
            .switch
            .routers
            .iter()
            .map(|router| router.server())
            .collect();
        problem = match copies(sessions, &state_dir, &routers).await {
            Ok(journals) => return Ok(journals),
            Err(problem) => problem + "\n",
        };
    }
    let firsts = Pool::ALL
        .into_iter()
        .filter_map(|pool| inventory.hosts(pool).first());
    let hosts: Vec<Server> = firsts.map(|host| host.server()).collect();
    let journals = copies(sessions, &state_dir, &hosts).await;
    journals.map_err(|more| format!("{problem}{more}"))
}

/// Of copies of the same journals the one with the most lines of each: lines are only ever added, and may have come twice.
pub fn fullest(copies: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    // One that cannot be read is better than none: it is told then.
    let fullness = |text: &str| (journal::read(text).map_or(0, |lines| lines.len()), text.len());
    let mut journals = BTreeMap::<String, String>::new();
    for (run, text) in copies {
        let best = journals.entry(run).or_default();
        if fullness(&text) > fullness(best) {
            *best = text;
        }
    }
    journals.into_iter().collect()
}

/// Every run's journal that these servers keep, from whoever has most of it.
///
/// # Errors
/// In words, when nobody could be read.
pub async fn copies(
    sessions: &Sessions,
    state_dir: &str,
    servers: &[Server],
) -> Result<Vec<(String, String)>, String> {
    let looks = join_all(servers.iter().map(|server| on(sessions, state_dir, server))).await;
    let (read, problems): (Vec<_>, Vec<_>) = looks.into_iter().partition(Result::is_ok);
    if read.is_empty() {
        let words: Vec<String> = problems.into_iter().filter_map(Result::err).collect();
        return Err(words.join("\n"));
    }
    Ok(fullest(read.into_iter().flatten().flatten()))
}

/// What one server keeps, whole.
async fn on(sessions: &Sessions, state_dir: &str, server: &Server) -> Result<Vec<(String, String)>, String> {
    let script = Script::new(include_str!("journals.sh")).var("STATE", state_dir);
    let session = sessions
        .connect(server)
        .await
        .map_err(|error| error.to_string())?;
    let output = session
        .read(&script, READ)
        .await
        .map_err(|error| error.to_string())?;
    whole(&output).ok_or_else(|| {
        format!(
            "{}: the journals could not be read: {}",
            server.name,
            output.complaint()
        )
    })
}

/// The journals of an answer, unless it was cut.
pub fn whole(output: &Output) -> Option<Vec<(String, String)>> {
    output.section(END)?;
    let journals = output.sections().filter(|(name, _)| *name != END);
    Some(
        journals
            .map(|(run, text)| (run.to_owned(), text.to_owned()))
            .collect(),
    )
}
