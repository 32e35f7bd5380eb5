//! Waits, before a pool is changed in any way, until no client is led to it any more: caches of a name go on leading
//! clients to the pool that it left, which is no colder than that (FAULTS.md 66).

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::Context;
use crate::compose::traffic::Traffic;
use crate::fleet::{End, StepError};
use crate::inventory::dns::Stragglers;
use crate::inventory::switch::Connector;
use crate::plan;
use crate::report::Kind;

/// Pause between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(500);

/// For so long a switch that cannot be read is read again: one look that fails is no verdict.
const UNREAD: Duration = Duration::from_secs(10);

/// Waits until every cache that keeps to its TTL has moved, and then until nobody comes to the pool by its own counts.
///
/// # Errors
/// When somebody still comes after `switch.drain`, unless the inventory has them ended; when it cannot be told; when the
/// user stops it. Nothing was changed.
pub(super) async fn wait(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    let pool = cx.to();
    let mut told = false;
    let since = Timestamp::now();
    loop {
        let now = Timestamp::now();
        let views = cx.views().await;
        // Unknown counts as used.
        if let Some((router, problem)) = views
            .iter()
            .find_map(|(router, view)| Some((router, view.as_ref().err()?)))
        {
            if Duration::try_from(now.duration_since(since)).unwrap_or_default() < UNREAD {
                cx.job.go_on()?;
                cx.fleet.pause(PAUSE).await;
                continue;
            }
            let words = format!(
                "{}: cannot be read, so it counts as using {pool}: {problem}",
                router.name
            );
            return Err(StepError::failed(words).ending(End::InDoubt));
        }
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
    // What a run has claimed was quiet before.
    if cx.job.plan.reclaims {
        return Ok(());
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
        let (mut words, mut counted) = (Vec::new(), true);
        for (host, count) in hosts.iter().zip(counts) {
            match count {
                Ok(None) => return Ok(()),
                Ok(Some(traffic)) if traffic.is_quiet() => {}
                Ok(Some(traffic)) => words.push(format!("{}: {}", host.name, in_words(traffic))),
                Err(problem) => {
                    counted = false;
                    words.push(format!(
                        "{}: what comes to it cannot be counted: {problem}",
                        host.name
                    ));
                }
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
            return stragglers(cx, &words, counted);
        }
        for line in words {
            cx.job.progress(step, &pool.to_string(), line);
        }
    }
}

fn in_words(traffic: Traffic) -> String {
    format!(
        "clients still come: {} new connections, {} open with {} packets",
        traffic.connections, traffic.open, traffic.segments
    )
}

/// Clients that come though nothing leads them there any more.
fn stragglers(cx: &Context, words: &[String], counted: bool) -> Result<(), StepError> {
    let (pool, drain) = (cx.to(), cx.job.inventory.switch.drain);
    let why = if counted {
        "every honest cache has moved, and clients still come"
    } else {
        "it cannot be told whether clients still come"
    };
    let message = format!(
        "{pool} is not quiet after {drain:?}: {why}:\n{}",
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
