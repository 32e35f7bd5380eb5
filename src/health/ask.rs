//! Those who ask: one loop for each question, one for the containers; all report to the judge.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::Target;
use super::check::Project;
use super::fault::Fault;
use super::http::{self, Get};
use super::probe::Probe;
use super::reach::Reach;
use crate::compose::Container;
use crate::remote::RemoteError;

/// Pause between two looks at the containers: a crash loop is seen within a few of them, and a
/// hundred hosts that are looked at at once cost one command a second each.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The host as it sees itself.
const LOOPBACK: &str = "127.0.0.1";

/// What the judge hears.
pub(super) enum News {
    Attempt {
        index: usize,
        target: Target,
        at: Instant,
        result: Result<(), Fault>,
    },
    Look(Result<Vec<Container>, RemoteError>),
}

/// The containers as last seen; `None` before the first look.
pub(super) type Seen = Option<Arc<[Container]>>;

/// Looks at the containers again and again, for the judge and for those who ask.
pub(super) async fn look(project: &dyn Project, show: watch::Sender<Seen>, send: mpsc::Sender<News>) {
    loop {
        let look = project.containers().await;
        let shown = look
            .as_ref()
            .ok()
            .map(|containers| Arc::from(containers.as_slice()));
        // The judge first: it does not count answers of containers that it has not seen.
        if send.send(News::Look(look)).await.is_err() {
            return;
        }
        if let Some(now) = shown {
            show.send_if_modified(|seen: &mut Seen| {
                let changed = seen.as_ref() != Some(&now);
                *seen = Some(now);
                changed
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Asks one question of all who must answer it, again and again; at once when containers change.
pub(super) async fn ask(
    index: usize,
    probe: &Probe<'_>,
    reach: &dyn Reach,
    mut seen: watch::Receiver<Seen>,
    send: mpsc::Sender<News>,
) {
    loop {
        let containers = seen.borrow_and_update().clone();
        let to_ask = match (&probe.place.service, containers) {
            (None, _) => vec![(Target::Host, Ok(LOOPBACK.to_owned()))],
            (Some(service), Some(containers)) => whom(service, &containers),
            (Some(_), None) => {
                if seen.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        let round = to_ask.into_iter().map(async |(target, address)| {
            let result = match address {
                Ok(address) => attempt(probe, reach, &address).await,
                Err(fault) => Err(fault),
            };
            let at = Instant::now();
            send.send(News::Attempt {
                index,
                target,
                at,
                result,
            })
            .await
            .is_ok()
        });
        if join_all(round).await.contains(&false) {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(probe.interval) => {}
            Ok(()) = seen.changed(), if probe.place.service.is_some() => {}
        }
    }
}

/// Every container of a service, with its address, or with why it cannot be asked.
fn whom(service: &str, containers: &[Container]) -> Vec<(Target, Result<String, Fault>)> {
    let service = service.to_owned();
    let mut to_ask = Vec::new();
    for container in containers.iter().filter(|container| container.service == service) {
        let address = match container.state.as_str() {
            // A paused container is asked, too: that it hangs is for the check to find.
            "running" | "paused" => {
                // No address of its own: it shares the host's network.
                Ok(container
                    .addresses
                    .first()
                    .map_or_else(|| LOOPBACK.to_owned(), Clone::clone))
            }
            state => Err(Fault::NotRunning {
                service: service.clone(),
                state: state.to_owned(),
                exit_code: container.exit_code,
            }),
        };
        to_ask.push((Target::Container(container.id.clone()), address));
    }
    if to_ask.is_empty() {
        to_ask.push((Target::Nobody, Err(Fault::NoContainer { service })));
    }
    to_ask
}

async fn attempt(probe: &Probe<'_>, reach: &dyn Reach, address: &str) -> Result<(), Fault> {
    let get = Get {
        address,
        place: &probe.place,
        path: probe.path,
        host_header: probe.host_header,
        timeout: probe.timeout,
    };
    probe.judge(&http::get(reach, get).await?)
}
