//! `pointsman doctor`: looks at every server, router and the registry; changes nothing.

use std::fmt::Write as _;

use futures::future::join_all;

use super::context::App;
use super::outcome::Outcome;
use crate::inventory::Inventory;
use crate::observe::doctor;
use crate::state;
use crate::switch::{Finding, api_for, connector_for};

pub(super) async fn run(app: &App) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let (connector, api) = (connector_for(&inventory), api_for(&inventory)?);
    let routers = join_all(inventory.switch.routers.iter().map(|router| async {
        match (&connector, &api) {
            (Some(connector), _) => doctor::router(&sessions, connector.as_ref(), router).await,
            (None, Some(api)) => doctor::api(api.as_ref(), router).await,
            (None, None) => Vec::new(),
        }
    }));
    let hosts = doctor::hosts(&inventory, &sessions);
    let registry = doctor::registry(&inventory);
    let store = store(&inventory);
    let (routers, hosts, registry, store) = futures::future::join4(routers, hosts, registry, store).await;
    let findings: Vec<_> = routers
        .into_iter()
        .flatten()
        .chain(hosts)
        .chain(registry)
        .chain(store)
        .collect();
    let mut text = String::new();
    for finding in &findings {
        let mark = if finding.ok { "ok " } else { "BAD" };
        let _ = writeln!(
            text,
            "{mark} {:<12} {}",
            finding.server,
            finding.what.replace('\n', "\n                 ")
        );
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "                 mend: {hint}");
        }
    }
    app.data("doctor", &findings, &text);
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    match bad {
        0 => Ok(Outcome::done()),
        1 => Err(Outcome::refused("1 finding needs mending, see above")),
        bad => Err(Outcome::refused(format!(
            "{bad} findings need mending, see above"
        ))),
    }
}

/// Looks at the team's store, where there is one.
async fn store(inventory: &Inventory) -> Option<Finding> {
    let read = match state::team(inventory) {
        Ok(store) => {
            let store = store?;
            let read = store.read().await;
            read.map(|seen| format!("{} answers, and is at epoch {}", store.name(), seen.epoch))
        }
        Err(error) => Err(error),
    };
    Some(match read {
        Ok(words) => Finding::good("store", words),
        Err(error) => Finding::bad("store", error.to_string(), error.hint().unwrap_or("see [state]")),
    })
}
