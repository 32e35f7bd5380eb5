//! Waits, before a cold pool is replaced, for what is still in progress on it: long downloads and websockets that
//! began before the flip away from it live on there, as it was kept running (FAULTS.md 71).

use std::time::Duration;

use super::Context;
use crate::plan;
use crate::report::Kind;

/// Pause between two looks at the routers.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until no router has a request in progress on the pool, at most `switch.drain`; says then how many are ended.
/// It never fails: who holds a connection for ever must not keep a release away.
pub(super) async fn drain(cx: &Context, step: &plan::Step) {
    let pool = cx.to();
    let drain = cx.job.inventory.switch.drain;
    let mut waited = Duration::ZERO;
    loop {
        let mut words = Vec::new();
        let mut left = 0;
        for (router, view) in cx.views().await {
            // One that cannot be read is nobody to wait for: every router was read as off this pool before.
            let Ok(view) = view else { continue };
            let sessions: u64 = view
                .backends
                .get(&pool)
                .into_iter()
                .flatten()
                .map(|s| s.sessions + s.queued)
                .sum();
            if sessions > 0 {
                left += sessions;
                words.push(format!("{sessions} through {}", router.name));
            }
        }
        if left == 0 {
            return;
        }
        let words = words.join(", ");
        if waited >= drain || cx.job.go_on().is_err() {
            cx.job.sink.emit(Kind::Warning {
                message: format!(
                    "{left} requests are still in progress on {pool} after {drain:?} ({words}); starting the release ends them"
                ),
            });
            return;
        }
        for host in cx.job.hosts() {
            cx.job.progress(
                step,
                &host.name,
                format!("waits for requests in progress: {words}"),
            );
        }
        cx.fleet.pause(PAUSE).await;
        waited += PAUSE;
    }
}
