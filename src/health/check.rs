//! The proof of one host: all checks and the identity, asked at once and again, until they hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join, join_all};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::{Board, Target};
use super::crash::{Crash, Watch};
use super::diagnosis::{Evidence, diagnose};
use super::fault::Fault;
use super::history::History;
use super::http::{self, Get};
use super::probe::Probe;
use super::reach::Reach;
use super::text::tidy;
use super::unhealthy::Unhealthy;
use crate::compose::Container;
use crate::inventory::{Check, Identity};
use crate::remote::RemoteError;

/// Pause between two looks at the containers: a crash loop is seen within a few of them, and a
/// hundred hosts that are looked at at once cost one command a second each.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ended attempts that wait to be judged; more would mean a judge that hangs.
const INBOX: usize = 64;

/// One project on one host, as the engine there sees it.
#[async_trait]
pub trait Project: Send + Sync {
    /// The project's containers now, those of one-off commands (`compose run`) left out.
    ///
    /// # Errors
    /// What the look met; it is repeated until the proof's deadline.
    async fn containers(&self) -> Result<Vec<Container>, RemoteError>;

    /// The last lines (at most 50) that a service logged.
    ///
    /// # Errors
    /// What the look met.
    async fn logs(&self, service: &str) -> Result<Vec<String>, RemoteError>;

    /// Lines about the host that may explain a failure (`df`, what `compose up` said); none by default.
    async fn facts(&self) -> String {
        String::new()
    }
}

/// What has to be proven.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The checks.
    pub checks: &'a [Check],
    /// How the host says which release it is.
    pub identity: &'a Identity,
    /// The tag that it must say.
    pub tag: &'a str,
    /// Longest that it may take, booting included.
    pub deadline: Duration,
}

/// A proven host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthy {
    /// How long the proof took.
    pub took: Duration,
}

/// Why a host was not proven.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckError {
    /// It is not healthy, or not the release.
    #[error(transparent)]
    Unhealthy(Box<Unhealthy>),
    /// Nobody knows: its containers could not be looked at.
    #[error(transparent)]
    Remote(RemoteError),
}

/// Proves that a host is healthy and is the release: asks every check and the identity, each at its
/// own pace, until all hold at once. `progress` gets a line whenever the state changes in words.
///
/// A connection that is refused is no failure before the deadline: the app may be booting. A crash
/// loop, a container that ended, and a healthy host that is another release fail at once.
///
/// # Errors
/// [`CheckError::Unhealthy`] with logs and diagnosis; [`CheckError::Remote`] when at the deadline the
/// host's containers could not be looked at.
pub async fn check_host(
    proof: &Proof<'_>,
    reach: &dyn Reach,
    project: &dyn Project,
    progress: &(dyn Fn(String) + Sync),
) -> Result<Healthy, CheckError> {
    let began = Instant::now();
    let probes = Probe::all(proof.checks, proof.identity, proof.tag);
    let mut board = Board::new(&probes);
    let (show, seen) = watch::channel(None);
    let (send, inbox) = mpsc::channel(INBOX);
    let asking = probes
        .iter()
        .enumerate()
        .map(|(index, probe)| ask(index, probe, reach, seen.clone(), send.clone()));
    let work = join(join_all(asking), look(project, show, send.clone()));
    let end = tokio::select! {
        end = judge(&mut board, &probes, inbox, began + proof.deadline, progress) => end,
        // Never: those who ask and look stop with the judge.
        _ = work => End::Deadline(None),
    };
    let took = began.elapsed();
    match end {
        End::Healthy => Ok(Healthy { took }),
        End::Deadline(Some(error)) => Err(CheckError::Remote(error)),
        End::Deadline(None) | End::AnotherRelease => Err(CheckError::Unhealthy(Box::new(
            unhealthy(reach.name(), project, &board, &probes, None, took).await,
        ))),
        End::Crash(crash) => Err(CheckError::Unhealthy(Box::new(
            unhealthy(reach.name(), project, &board, &probes, Some(crash), took).await,
        ))),
    }
}

/// What the judge hears.
enum News {
    Attempt {
        index: usize,
        target: Target,
        at: Instant,
        result: Result<(), Fault>,
    },
    Look(Result<Vec<Container>, RemoteError>),
}

/// How a proof ends.
enum End {
    Healthy,
    AnotherRelease,
    Crash(Crash),
    /// With what the last look met, if it failed.
    Deadline(Option<RemoteError>),
}

/// The containers as last seen; `None` before the first look.
type Seen = Option<Arc<[Container]>>;

/// The board's one writer.
async fn judge(
    board: &mut Board<'_>,
    probes: &[Probe<'_>],
    mut inbox: mpsc::Receiver<News>,
    deadline: Instant,
    progress: &(dyn Fn(String) + Sync),
) -> End {
    let needed: Vec<&str> = probes
        .iter()
        .filter_map(|probe| probe.place.service.as_deref())
        .collect();
    let (mut watch, mut blind, mut line) = (Watch::default(), None, String::new());
    loop {
        let news = tokio::select! {
            news = inbox.recv() => news,
            () = tokio::time::sleep_until(deadline) => None,
        };
        match news {
            None => return End::Deadline(blind),
            Some(News::Attempt {
                index,
                target,
                at,
                result,
            }) => board.record(index, target, at, result),
            Some(News::Look(Err(error))) => blind = Some(error),
            Some(News::Look(Ok(containers))) => {
                blind = None;
                let crash = watch.look(&containers, &needed);
                board.seen(containers);
                if let Some(crash) = crash {
                    return End::Crash(crash);
                }
            }
        }
        let now = board.line();
        if now != line {
            progress(now.clone());
            line = now;
        }
        if board.is_healthy() {
            return End::Healthy;
        }
        if board.is_another_release() {
            return End::AnotherRelease;
        }
    }
}

/// Looks at the containers again and again, for the judge and for those who ask.
async fn look(project: &dyn Project, show: watch::Sender<Seen>, send: mpsc::Sender<News>) {
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
async fn ask(
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

/// The host as it sees itself.
const LOOPBACK: &str = "127.0.0.1";

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

/// Gathers what there is to say about a host that failed.
async fn unhealthy(
    host: &str,
    project: &dyn Project,
    board: &Board<'_>,
    probes: &[Probe<'_>],
    crash: Option<Crash>,
    waited: Duration,
) -> Unhealthy {
    let blamed = match &crash {
        // The check of the container that ended tells more than one that waits for it.
        Some(crash) => probes
            .iter()
            .position(|p| p.place.service.as_ref() == Some(&crash.service)),
        None => Some(board.to_blame()),
    };
    let service = crash.as_ref().map(|crash| crash.service.clone());
    let service = service.or_else(|| probes[blamed?].place.service.clone());
    let logs = all_logs(project, board.containers(), service.as_deref()).await;
    let mut order: Vec<usize> = (0..probes.len()).collect();
    order.sort_by_key(|index| Some(*index) != blamed);
    let faults: Vec<Fault> = order
        .iter()
        .filter_map(|index| board.last_fault(*index).cloned())
        .collect();
    let facts = project.facts().await;
    let diagnosis = diagnose(&Evidence {
        containers: board.containers(),
        faults: &faults,
        logs: &logs,
        facts: &facts,
    });

    // The log that the diagnosis speaks of is the one to show.
    let service = diagnosis.as_ref().and_then(|d| d.service.clone()).or(service);
    let shown = logs.into_iter().find(|(name, _)| Some(name) == service.as_ref());
    let (check, expected, found) = match (&crash, blamed) {
        (Some(Crash { service, how }), _) => (
            format!("service {service}"),
            "a container that keeps running".to_owned(),
            tidy(how),
        ),
        (None, blamed) => {
            let index = blamed.unwrap_or(0);
            let found = board
                .last_fault(index)
                .map_or("no answer yet".to_owned(), Fault::to_string);
            (probes[index].name.to_owned(), probes[index].expected(), found)
        }
    };
    Unhealthy {
        host: host.to_owned(),
        check,
        expected,
        found,
        waited,
        history: blamed
            .map(|index| board.history(index).clone())
            .unwrap_or_else(History::default),
        service,
        logs: shown.map(|(_, lines)| lines).unwrap_or_default(),
        diagnosis,
    }
}

/// The last lines of every service, `first` first.
async fn all_logs(
    project: &dyn Project,
    containers: &[Container],
    first: Option<&str>,
) -> Vec<(String, Vec<String>)> {
    let mut services: Vec<&str> = containers
        .iter()
        .map(|container| container.service.as_str())
        .collect();
    services.sort_by_key(|service| (Some(*service) != first, *service));
    services.dedup();
    join_all(services.into_iter().map(async |service| {
        let lines = match project.logs(service).await {
            Ok(lines) => lines.iter().map(|line| tidy(line)).collect(),
            Err(error) => vec![format!("(its log could not be read: {error})")],
        };
        (service.to_owned(), lines)
    }))
    .await
}

#[cfg(test)]
mod tests;
