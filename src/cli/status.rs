//! `pointsman status`: what is hot as read from each router, and how every host is.

use std::fmt::Write as _;
use std::sync::Arc;

use super::context::App;
use super::outcome::Outcome;
use crate::fleet::End;
use crate::inventory::{Inventory, Pool};
use crate::observe::{self, Hot, Observation};
use crate::plan::{self, Intent};
use crate::switch::{RouterView, about};

pub(super) async fn run(app: &App) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let inventory = Arc::new(inventory);
    let fleet = app.fleet(&inventory, sessions.clone(), None)?;
    let (mut seen, hosts) =
        futures::future::join(fleet.routers(), observe::hosts::observe(&inventory, &sessions)).await;
    seen.hosts = hosts;
    let text = describe(&inventory, &seen);
    let hot = match seen.hot() {
        Hot::Pool(pool) => serde_json::json!(pool),
        Hot::Split(_) => serde_json::json!("split"),
        Hot::InDoubt(_) => serde_json::json!("in_doubt"),
    };
    app.data(
        "status",
        &serde_json::json!({ "environment": inventory.env, "hot": hot, "seen": seen }),
        &text,
    );
    match seen.hot() {
        Hot::Pool(_) => Ok(Outcome::done()),
        Hot::Split(words) => Err(
            Outcome::ending(End::Split, format!("the routers are split: {words}"))
                .hint(format!("pointsman -e {} flip --to POOL", inventory.env)),
        ),
        Hot::InDoubt(words) => Err(Outcome::ending(
            End::InDoubt,
            format!("in doubt which pool is hot: {words}"),
        )
        .hint(format!("pointsman -e {} doctor", inventory.env))),
    }
}

fn describe(inventory: &Inventory, seen: &Observation) -> String {
    let mut out = String::new();
    let hot = match seen.hot() {
        Hot::Pool(pool) => format!("{pool} is hot"),
        Hot::Split(_) => "SPLIT: the routers disagree".to_owned(),
        Hot::InDoubt(_) => "IN DOUBT: not every router can be read".to_owned(),
    };
    let _ = writeln!(out, "{} in {}: {hot}", inventory.app.name, inventory.env);
    let connector = about(&inventory.switch);
    let _ = writeln!(
        out,
        "  switch: {}, {}",
        connector.connector,
        connector.fencing.words()
    );
    for (name, router) in &seen.routers {
        let _ = match router {
            Ok(router) => writeln!(
                out,
                "  router {name}: {}; {}",
                router.view.live,
                Pool::ALL
                    .map(|pool| format!("{pool}: {}", router.view.servers_in_words(pool)))
                    .join("; ")
            ),
            Err(problem) => writeln!(out, "  router {name}: in doubt: {problem}"),
        };
        if let Some(drift) = router.as_ref().ok().and_then(|router| router.view.drift()) {
            let _ = writeln!(out, "    {drift}");
        }
        for line in router.iter().flat_map(|router| caches(&router.view)) {
            let _ = writeln!(out, "    {line}");
        }
    }
    for pool in Pool::ALL {
        let release = match (seen.proven(pool), seen.claimed(pool)) {
            (_, Some(run)) => format!("unproven: run {run} was changing it"),
            (Some(release), None) => format!("proven with {} ({})", release.tag, release.id),
            (None, None) => "no release".to_owned(),
        };
        let _ = writeln!(out, "  {pool}: {release}");
        for name in seen.left_out(pool) {
            let _ = writeln!(
                out,
                "    {name}: left out, the routers send it nothing; back with the next deploy to {pool}"
            );
        }
        for (host, state) in seen.hosts.get(&pool).into_iter().flatten() {
            let _ = match state {
                Ok(state) => writeln!(out, "    {host}: {}", state.in_words()),
                Err(problem) => writeln!(out, "    {host}: cannot be read: {problem}"),
            };
        }
    }
    if let Some((name, read)) = &seen.store {
        let _ = match read {
            Ok(state) => writeln!(out, "  {name}: epoch {}", state.epoch),
            Err(problem) => writeln!(out, "  {name}: cannot be read: {problem}"),
        };
    }
    let holders = seen.holders();
    let unfinished = holders.iter().find(|holder| !holder.is_over());
    let _ = match unfinished {
        Some(holder) => writeln!(out, "  lock: held by {holder}, epoch {}", seen.highest_epoch()),
        None => writeln!(out, "  lock: free, epoch {}", seen.highest_epoch()),
    };
    if let Some(holder) = unfinished.filter(|holder| !holder.by_hand()) {
        let (env, run) = (&inventory.env, &holder.run);
        let _ = writeln!(
            out,
            "    if it is dead: pointsman -e {env} resume {run}, or pointsman -e {env} abort {run}"
        );
    }
    let _ = writeln!(out, "  rollback: {}", rollback(inventory, seen));
    out
}

/// What caches may still hold of a name's records.
fn caches(view: &RouterView) -> Vec<String> {
    let Some(caches) = &view.caches else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "answers are kept for up to {} s: after a flip every honest cache has moved within that",
        caches.ttl_s
    )];
    if let Some(long) = caches.long_until {
        lines.push(format!(
            "answers of a higher TTL, since lowered, may be kept until {long}"
        ));
    }
    for (pool, until) in &caches.until {
        lines.push(format!("caches may lead clients to {pool} until {until}"));
    }
    lines
}

/// How `rollback` would go now, by the planner's own word.
fn rollback(inventory: &Inventory, seen: &Observation) -> String {
    match plan::plan(&Intent::Rollback { tag: None }.into(), inventory, seen) {
        Ok(plan) => format!("{}; {}", plan.how.unwrap_or_default(), moves(seen)),
        Err(refusal) => format!("not at once: {refusal}"),
    }
}

/// When clients meet the other pool.
fn moves(seen: &Observation) -> String {
    let ttl = seen
        .readable()
        .filter_map(|(_, router)| Some(router.view.caches.as_ref()?.ttl_s))
        .max();
    match ttl {
        Some(ttl) => {
            format!("one update of the records, then up to {ttl} s until every honest cache has moved")
        }
        None => "takes about as long as connecting to the routers".to_owned(),
    }
}
