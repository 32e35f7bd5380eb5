//! Waits, before a pool is changed in any way, until no client is led to it any more: caches of a name go on leading
//! clients to the pool that it left, which is no colder than that (FAULTS.md 66).

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::Context;
use crate::compose::traffic::Traffic;
use crate::fleet::StepError;
use crate::inventory::dns::Stragglers;
use crate::inventory::switch::Connector;
use crate::plan;
use crate::report::Kind;

/// Pause between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until every cache that keeps to its TTL has moved, and then until nobody comes to the pool by its own counts.
///
/// # Errors
/// When somebody still comes after `switch.drain`, unless the inventory has them ended; when it cannot be told; when the
/// user stops it. Nothing was changed.
pub(super) async fn wait(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    let pool = cx.to();
    let mut told = false;
    loop {
        let now = Timestamp::now();
        let views = cx.views().await;
        let left = views
            .iter()
            .filter_map(|(_, view)| Some(view.as_ref().ok()?.caches.as_ref()?.left_for(pool, now)))
            .max()
            .unwrap_or_default();
        if left.is_zero() {
            break;
        }
        told = true;
        let until = now + left;
        while Timestamp::now() < until {
            cx.job.go_on()?;
            let rest = until.duration_since(Timestamp::now()).as_secs().max(0) + 1;
            for host in cx.job.hosts() {
                let words = format!("caches may lead clients to {pool} for {rest} s more");
                cx.job.progress(step, &host.name, words);
            }
            cx.fleet.pause(PAUSE).await;
        }
    }
    quiet(cx, step, told).await
}

/// Waits until the kernels of the pool's hosts count nothing that comes in.
async fn quiet(cx: &Context, step: &plan::Step, told: bool) -> Result<(), StepError> {
    let pool = cx.to();
    let since = Timestamp::now();
    loop {
        cx.job.go_on()?;
        let hosts = cx.job.hosts();
        let counts = join_all(hosts.iter().map(|host| cx.fleet.traffic(&cx.job, host))).await;
        let mut words = Vec::new();
        for (host, count) in hosts.iter().zip(counts) {
            match count {
                Ok(None) => return Ok(()),
                Ok(Some(traffic)) if traffic.is_quiet() => {}
                Ok(Some(traffic)) => words.push(format!("{}: {}", host.name, in_words(traffic))),
                Err(problem) => words.push(format!("{}: it cannot be counted: {problem}", host.name)),
            }
        }
        if words.is_empty() {
            if told {
                cx.job.sink.note(format!(
                    "every honest cache has left {pool}, and nobody comes to it any more"
                ));
            }
            return Ok(());
        }
        let waited = Timestamp::now().duration_since(since);
        if Duration::try_from(waited).unwrap_or_default() >= cx.job.inventory.switch.drain {
            return stragglers(cx, &words);
        }
        for line in words {
            cx.job
                .progress(step, &pool.to_string(), format!("clients still come: {line}"));
        }
    }
}

fn in_words(traffic: Traffic) -> String {
    format!(
        "{} connections and {} packets came in",
        traffic.connections, traffic.segments
    )
}

/// Clients that come though nothing leads them there any more.
fn stragglers(cx: &Context, words: &[String]) -> Result<(), StepError> {
    let (pool, drain) = (cx.to(), cx.job.inventory.switch.drain);
    let message = format!(
        "clients still come to {pool} after {drain:?}, though every honest cache has moved:\n{}",
        words.join("\n")
    );
    match &cx.job.inventory.switch.connector {
        Connector::Dns(dns, _) if dns.stragglers == Stragglers::Refuse => Err(StepError::failed(message).hint(
            "see who they are (a resolver that keeps answers too long, a monitor); `stragglers = \"end\"` in [switch.dns] ends them",
        )),
        _ => {
            cx.job.sink.emit(Kind::Warning {
                message: format!("{message}; starting the release ends them"),
            });
            Ok(())
        }
    }
}
