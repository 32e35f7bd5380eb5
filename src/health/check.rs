//! The proof of one host: all checks and the identity, asked at once and again, until they hold.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join, join_all};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ask::{News, ask, look};
use super::board::Board;
use super::crash::{Crash, Watch};
use super::post_mortem::PostMortem;
use super::probe::Probe;
use super::reach::Reach;
use super::unhealthy::Unhealthy;
use crate::compose::Container;
use crate::inventory::{Check, Identity};
use crate::remote::RemoteError;

/// So many looks that fail in a row mean that nobody knows any more; fewer are a hiccup.
const BLIND: usize = 3;

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
    let crash = match end {
        End::Healthy => return Ok(Healthy { took }),
        End::Deadline(Some(error)) => return Err(CheckError::Remote(error)),
        End::Deadline(None) | End::AnotherRelease => None,
        End::Crash(crash) => Some(crash),
    };
    let post_mortem = PostMortem {
        host: reach.name(),
        project,
        board: &board,
        probes: &probes,
        crash,
        took,
    };
    Err(CheckError::Unhealthy(Box::new(post_mortem.write().await)))
}

/// How a proof ends.
enum End {
    Healthy,
    AnotherRelease,
    Crash(Crash),
    /// With what the last look met, if it failed.
    Deadline(Option<RemoteError>),
}

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
    let (mut watch, mut blind, mut line) = (Watch::default(), Vec::new(), String::new());
    loop {
        let news = tokio::select! {
            news = inbox.recv() => news,
            () = tokio::time::sleep_until(deadline) => None,
        };
        match news {
            None => {
                let unknown = !board.has_looked() || blind.len() >= BLIND;
                return End::Deadline(blind.pop().filter(|_| unknown));
            }
            Some(News::Attempt {
                index,
                target,
                at,
                result,
            }) => board.record(index, target, at, result),
            Some(News::Look(Err(error))) => blind.push(error),
            Some(News::Look(Ok(containers))) => {
                blind.clear();
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

#[cfg(test)]
mod tests;
