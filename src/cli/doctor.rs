//! `pointsman doctor`: looks at every server, router and the registry; changes nothing.

use std::fmt::Write as _;

use futures::future::join_all;

use super::context::App;
use super::outcome::Outcome;
use crate::observe::doctor;
use crate::switch::connector_for;

pub(super) async fn run(app: &App) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let connector = connector_for(&inventory.switch);
    let routers = join_all(
        inventory
            .switch
            .routers
            .iter()
            .map(|router| doctor::router(&sessions, connector.as_ref(), router)),
    );
    let hosts = doctor::hosts(&inventory, &sessions);
    let registry = doctor::registry(&inventory);
    let (routers, hosts, registry) = futures::future::join3(routers, hosts, registry).await;
    let findings: Vec<_> = routers
        .into_iter()
        .flatten()
        .chain(hosts)
        .chain(registry)
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
