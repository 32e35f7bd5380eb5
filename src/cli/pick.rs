//! Which hosts `logs` and `exec` act on: the hot pool's, unless told otherwise.

use std::sync::Arc;

use super::context::App;
use super::outcome::Outcome;
use crate::compose::Project;
use crate::fleet::End;
use crate::inventory::{Host, Pool};
use crate::observe::Hot;
use crate::remote::Sessions;

/// The hosts of one pool, with their project.
pub(super) struct Picked {
    pub(super) sessions: Sessions,
    pub(super) hosts: Vec<Host>,
    pub(super) project: Project,
}

/// The hosts that the arguments name.
pub(super) async fn pick(app: &App, pool: Option<Pool>, host: Option<&str>) -> Result<Picked, Outcome> {
    let inventory = app.inventory()?;
    let sessions = app.sessions(&inventory)?;
    let pool = match pool {
        Some(pool) => pool,
        None => {
            let fleet = app.fleet(&Arc::new(inventory.clone()), sessions.clone(), None)?;
            match fleet.routers().await.hot() {
                Hot::Pool(pool) => pool,
                Hot::Split(words) => {
                    return Err(name_it(End::Split, &format!("the routers are split: {words}")));
                }
                Hot::InDoubt(words) => return Err(name_it(End::InDoubt, &words)),
            }
        }
    };
    let all = inventory.hosts(pool);
    let hosts: Vec<Host> = all
        .iter()
        .filter(|h| host.is_none_or(|name| h.name == name))
        .cloned()
        .collect();
    if hosts.is_empty() {
        let names: Vec<&str> = all.iter().map(|h| h.name.as_str()).collect();
        return Err(Outcome::invalid(format!(
            "expected a host of {pool} ({}), found {}",
            names.join(", "),
            host.unwrap_or_default()
        )));
    }
    Ok(Picked {
        sessions,
        hosts,
        project: inventory.project(pool),
    })
}

fn name_it(end: End, words: &str) -> Outcome {
    Outcome::ending(end, words).hint("name the pool: --pool blue or --pool green")
}

/// Each line with the host before it, as Compose does with services.
pub(super) fn prefixed(host: &str, text: &str) -> String {
    text.lines().map(|line| format!("{host} | {line}\n")).collect()
}
