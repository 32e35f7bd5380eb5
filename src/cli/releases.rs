//! `pointsman releases`: what could be rolled back to.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::context::App;
use super::outcome::Outcome;
use crate::compose::{Release, releases};
use crate::inventory::Pool;

/// Longest that reading one host's releases may take.
const READ: Duration = Duration::from_secs(15);

pub(super) async fn run(app: &App) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let inventory = Arc::new(inventory);
    let seen = app.fleet(&inventory, sessions.clone(), None)?.routers().await;
    let mut text = String::new();
    let mut rows = Vec::new();
    for pool in Pool::ALL {
        let script = &releases::releases(&inventory.project(pool));
        let outputs = join_all(inventory.hosts(pool).iter().map(|host| {
            let session = sessions.session(&host.server());
            async move { (host.name.as_str(), session.read(script, READ).await) }
        }))
        .await;
        let mut found: Vec<(Release, Vec<&str>)> = Vec::new();
        for (host, output) in outputs {
            let kept = match output.map(|output| releases::parse_releases(&output)) {
                Ok(Ok(kept)) => kept,
                Ok(Err(problem)) => {
                    app.sink.warn(format!("{host}: {problem}"));
                    continue;
                }
                Err(error) => {
                    app.sink.warn(error.to_string());
                    continue;
                }
            };
            for release in kept
                .into_iter()
                .filter(|kept| kept.pool == pool)
                .flat_map(|kept| kept.releases)
            {
                match found.iter_mut().find(|(known, _)| known.id == release.id) {
                    Some((_, hosts)) => hosts.push(host),
                    None => found.push((release, vec![host])),
                }
            }
        }
        found.sort_by_key(|(release, _)| std::cmp::Reverse(release.created_at));
        let proven = seen.proven(pool).map(|release| release.id.as_str());
        for (release, hosts) in &found {
            let mark = if proven == Some(release.id.as_str()) {
                "runs"
            } else {
                "kept"
            };
            let at = release.created_at.strftime("%Y-%m-%d %H:%M:%S");
            let _ = writeln!(
                text,
                "{pool:<5} {mark}  {:<20} {at}  {:<24} on {}",
                release.tag,
                release.who,
                hosts.join(", ")
            );
            rows.push(serde_json::json!({ "pool": pool, "state": mark, "release": release, "hosts": hosts }));
        }
    }
    if rows.is_empty() {
        text.push_str("no releases yet\n");
    }
    app.data("releases", &rows, &text);
    Ok(Outcome::done())
}
