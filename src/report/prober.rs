//! The prober: an independent client that never trusts the tool. It knows only the routers' URLs,
//! and asks each at a constant rate, whatever comes back: a low one until something is to be changed.

mod asked;
mod clients;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::select_all;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use asked::Asked;
use clients::Clients;
pub use clients::{Lookup, UNRESOLVED};

use super::receipt::{Receipt, RouterReceipt};
use crate::error_rate::ErrorRate;
use crate::http;

/// One router to be asked.
#[derive(Debug, Clone)]
pub struct ProbeTarget {
    /// The router's name.
    pub router: String,
    /// `http://host[:port]`, without the path.
    pub url: String,
    /// `Host:` header, where the router needs one to know the app.
    pub host_header: Option<String>,
    /// Where the URL's name leads, where its records are what changes; else this machine's resolver is asked.
    pub lookup: Option<Arc<dyn Lookup>>,
}

/// A request without an answer for this long is lost.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most requests under way to one router: a hung router must not fill our memory.
const IN_FLIGHT: usize = 256;
/// Requests a second to each router while nothing is changed yet. Whoever plans, or waits for the lock, and there may be
/// many at once, must be no load to the app: eight at the full rate were seen to starve a small one.
const LOOKS: u32 = 2;

/// Asks until [`Prober::finish`].
#[derive(Debug)]
pub struct Prober {
    routers: Vec<Arc<Asked>>,
    pace: watch::Sender<Pace>,
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// How often each router is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// [`LOOKS`] times a second.
    Looking,
    /// At the rate that was set.
    Full,
    /// No more.
    Ended,
}

/// Whose answers are awaited, of the requests that are under way when the prober ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// All of them.
    All,
    /// Those that were sent since the new release answers: who goes back because the other pool hangs is not held up by
    /// what hangs there, which is counted as unanswered.
    OfTheNew,
}

impl Prober {
    /// Begins to ask each router for `path`, in turn over a kept connection and over a fresh one: now and then, and from
    /// [`Prober::full_rate`] on `rate` times a second. `json` is the key that holds the release, or the whole body does.
    pub fn start(targets: Vec<ProbeTarget>, path: String, json: Option<String>, rate: u32) -> Prober {
        let (pace, paced) = watch::channel(Pace::Looking);
        let mut tasks = JoinSet::new();
        let mut routers = Vec::new();
        for target in targets {
            let asked = Arc::new(Asked::new(target));
            routers.push(asked.clone());
            tasks.spawn(ask(asked, path.clone(), json.clone(), rate.max(1), paced.clone()));
        }
        Prober {
            routers,
            pace,
            tasks: Mutex::new(Some(tasks)),
        }
    }

    /// From now on routers are asked at the full rate: something is about to be changed.
    pub fn full_rate(&self) {
        let first = self.pace.send_if_modified(|pace| {
            let looking = *pace == Pace::Looking;
            if looking {
                *pace = Pace::Full;
            }
            looking
        });
        if first {
            for asked in &self.routers {
                // The pauses between looks are no gaps.
                let mut seen = asked.seen();
                seen.longest_gap = Duration::ZERO;
                seen.last_good = seen.last_good.map(|_| Instant::now());
            }
        }
    }

    /// Waits until each router has answered `tag` this many times in a row. Errors that have risen since
    /// [`Prober::count_errors`] end it at once, until [`Prober::watch`] looks after them.
    ///
    /// # Errors
    /// The routers that had not, by then.
    pub async fn wait_for(&self, tag: &str, in_a_row: u32, deadline: Duration) -> Result<(), Vec<String>> {
        let until = tokio::time::Instant::now() + deadline;
        let mut missing = Vec::new();
        for asked in &self.routers {
            loop {
                let news = asked.news.notified();
                let reached = {
                    let seen = asked.seen();
                    seen.streak.0 == tag && seen.streak.1 >= in_a_row
                };
                if reached {
                    break;
                }
                if asked.errors_end_the_wait() || tokio::time::timeout_at(until, news).await.is_err() {
                    missing.push(asked.target.router.clone());
                    break;
                }
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// From now on errors count for [`Prober::watch`], whichever release answers.
    pub fn count_errors(&self) {
        for asked in &self.routers {
            asked.seen().watched = Some((None, ErrorRate::default()));
        }
    }

    /// Watches for this long whether every router goes on answering `tag`; ends as soon as one does not, at once where
    /// errors have risen since [`Prober::count_errors`].
    ///
    /// # Errors
    /// Each router whose errors have risen by then, in words; answers of another release are errors, too.
    pub async fn watch(&self, tag: &str, time: Duration) -> Result<(), Vec<String>> {
        for asked in &self.routers {
            asked.seen().watched.get_or_insert_default().0 = Some(tag.to_owned());
        }
        let until = tokio::time::Instant::now() + time;
        let risen = || -> Vec<String> { self.routers.iter().filter_map(|asked| asked.risen()).collect() };
        loop {
            let news: Vec<_> = self
                .routers
                .iter()
                .map(|asked| Box::pin(asked.news.notified()))
                .collect();
            let words = risen();
            if !words.is_empty() {
                return Err(words);
            }
            if news.is_empty() || tokio::time::timeout_at(until, select_all(news)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Routers from which no answer of any kind came: they cannot be reached from here.
    pub fn unreachable(&self) -> Vec<(String, String)> {
        self.routers
            .iter()
            .filter_map(|asked| {
                let seen = asked.seen();
                let silent = seen.tags.is_empty()
                    && seen
                        .losses_before_any
                        .iter()
                        .all(|loss| loss.contains("cannot connect"));
                let first = seen.losses_before_any.first()?;
                silent.then(|| (asked.target.router.clone(), first.clone()))
            })
            .collect()
    }

    /// Stops asking, waits for what is under way, and says what was seen. `old` and `new` are the
    /// releases before and after, where they are known; without `old` nothing served before, so that
    /// nothing could be lost before the first good answer.
    pub async fn finish(&self, old: Option<&str>, new: Option<&str>, awaited: Awaited) -> Receipt {
        for asked in &self.routers {
            let mut seen = asked.seen();
            let first = new.and_then(|tag| Some(seen.tags.get(tag)?.first));
            seen.awaited_since = first.filter(|_| awaited == Awaited::OfTheNew);
        }
        self.pace.send_replace(Pace::Ended);
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            while tasks.join_next().await.is_some() {}
        }
        let routers: Vec<RouterReceipt> = self.routers.iter().map(|asked| asked.receipt(old, new)).collect();
        Receipt {
            requests: routers.iter().map(|r| r.requests).sum(),
            lost: routers.iter().map(|r| r.lost).sum(),
            unserved: routers.iter().map(|r| r.unserved).sum(),
            longest_gap_ms: routers.iter().map(|r| r.longest_gap_ms).fold(0.0, f64::max),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            routers,
        }
    }
}

/// Asks one router at a constant rate until told to stop; then waits for what is under way.
async fn ask(
    asked: Arc<Asked>,
    path: String,
    json: Option<String>,
    rate: u32,
    mut pace: watch::Receiver<Pace>,
) {
    let Some(mut clients) = Clients::new(&asked.target) else {
        return;
    };
    let url: Arc<str> = format!("{}{path}", asked.target.url.trim_end_matches('/')).into();
    let json: Option<Arc<str>> = json.map(Into::into);
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tick = ticks(rate.min(LOOKS));
    let mut shots = JoinSet::new();
    for number in 0_u64.. {
        tokio::select! {
            _ = tick.tick() => {}
            changed = pace.changed() => {
                let now = *pace.borrow_and_update();
                if changed.is_err() || now != Pace::Full {
                    break;
                }
                tick = ticks(rate);
                tick.tick().await; // the first one is at once
            }
        }
        while shots.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            asked.seen().skipped += 1;
            continue;
        };
        let keep = number % 2 == 0;
        let client = match clients.get(keep).await {
            Ok(client) => client,
            Err(problem) => {
                let now = (Timestamp::now(), Instant::now());
                asked.record(number, now, keep, Err(format!("cannot connect: {problem}")));
                continue;
            }
        };
        let mut request = client.get(&*url);
        if !keep {
            request = request.header(reqwest::header::CONNECTION, "close");
        }
        if let Some(host) = &asked.target.host_header {
            request = request.header(reqwest::header::HOST, host);
        }
        let (asked, json) = (asked.clone(), json.clone());
        let (at, since) = (Timestamp::now(), Instant::now());
        asked.seen().under_way.insert(number, at);
        shots.spawn(async move {
            let answer = answer(request, json.as_deref()).await;
            asked.record(number, (at, since), keep, answer);
            drop(slot);
        });
    }
    // What is still under way and not awaited ends with `shots`.
    while asked.awaits() && shots.join_next().await.is_some() {}
}

/// A constant rate: what was missed is sent late, not left out, up to the slots.
fn ticks(rate: u32) -> Interval {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// The release that answered, or why the request is lost.
async fn answer(request: reqwest::RequestBuilder, json: Option<&str>) -> Result<String, String> {
    let response = request.send().await.map_err(|error| in_words(&error))?;
    let status = response.status();
    if status.is_server_error() {
        return Err(format!("status {}", status.as_u16()));
    }
    let body = response.text().await.map_err(|error| in_words(&error))?;
    if !status.is_success() {
        return Ok(format!("(status {})", status.as_u16()));
    }
    Ok(http::identity(&body, json).unwrap_or_else(|| "(no release in the answer)".to_owned()))
}

fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {DEADLINE:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        format!("cannot connect: {cause}")
    } else {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests;
