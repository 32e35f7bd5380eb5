//! What one router answered, and what the receipt says of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::ProbeTarget;
use crate::error_rate::ErrorRate;
use crate::report::receipt::RouterReceipt;

/// Losses that are told in words.
const TOLD: usize = 20;
/// One router and what it answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) target: ProbeTarget,
    seen: Mutex<Seen>,
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    keep_alive: u64,
    fresh: u64,
    lost: u64,
    /// Lost before the first good answer, over kept connections and over fresh ones.
    lost_before_any: (u64, u64),
    pub(super) skipped: u64,
    /// When each request that is under way was sent, by its number.
    pub(super) under_way: BTreeMap<u64, Timestamp>,
    /// At the end: who was sent before this is not awaited.
    pub(super) awaited_since: Option<Timestamp>,
    latencies_us: Vec<u32>,
    pub(super) last_good: Option<Instant>,
    pub(super) longest_gap: Duration,
    pub(super) tags: BTreeMap<String, Tag>,
    pub(super) streak: (String, u32),
    losses: Vec<String>,
    pub(super) losses_before_any: Vec<String>,
    /// While somebody watches: the release that is expected of every answer, once it was seen.
    pub(super) watched: Option<(Option<String>, ErrorRate)>,
}

/// When requests that one release answered were sent.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) count: u64,
    pub(super) first: Timestamp,
    last: Timestamp,
}

impl Asked {
    pub(super) fn new(target: ProbeTarget) -> Asked {
        Asked {
            target,
            seen: Mutex::default(),
            news: Notify::new(),
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request is under way whose answer is awaited.
    pub(super) fn awaits(&self) -> bool {
        let seen = self.seen();
        let since = seen.awaited_since;
        seen.under_way
            .values()
            .any(|at| since.is_none_or(|since| *at >= since))
    }

    pub(super) fn errors_end_the_wait(&self) -> bool {
        let seen = self.seen();
        matches!(&seen.watched, Some((None, rate)) if rate.risen().is_some())
    }

    pub(super) fn risen(&self) -> Option<String> {
        let seen = self.seen();
        let (_, rate) = seen.watched.as_ref()?;
        Some(format!("{}: {}", self.target.router, rate.risen()?))
    }

    pub(super) fn record(
        &self,
        number: u64,
        (at, since): (Timestamp, Instant),
        keep: bool,
        answer: Result<String, String>,
    ) {
        let mut seen = self.seen();
        // Under the same lock: a request is under way, or it is counted.
        seen.under_way.remove(&number);
        if keep {
            seen.keep_alive += 1;
        } else {
            seen.fresh += 1;
        }
        if let Some((wanted, rate)) = &mut seen.watched {
            rate.add(match &answer {
                Ok(tag) if wanted.as_ref().is_none_or(|wanted| wanted == tag) => None,
                Ok(tag) => Some(format!("{tag} answered")),
                Err(why) => Some(why.clone()),
            });
        }
        match answer {
            Ok(tag) => {
                let now = Instant::now();
                if let Some(last) = seen.last_good {
                    seen.longest_gap = seen.longest_gap.max(now.duration_since(last));
                }
                seen.last_good = Some(now);
                seen.latencies_us
                    .push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
                if seen.streak.0 == tag {
                    seen.streak.1 += 1;
                } else {
                    seen.streak = (tag.clone(), 1);
                }
                let entry = seen.tags.entry(tag).or_insert(Tag {
                    count: 0,
                    first: at,
                    last: at,
                });
                entry.count += 1;
                entry.first = entry.first.min(at);
                entry.last = entry.last.max(at);
            }
            Err(why) => {
                seen.streak = (String::new(), 0);
                let words = format!("{} {why}", at.strftime("%H:%M:%S%.3fZ"));
                let before_any = seen.last_good.is_none();
                let told = if before_any {
                    if keep {
                        seen.lost_before_any.0 += 1;
                    } else {
                        seen.lost_before_any.1 += 1;
                    }
                    &mut seen.losses_before_any
                } else {
                    seen.lost += 1;
                    &mut seen.losses
                };
                if told.len() < TOLD {
                    told.push(words);
                }
            }
        }
        drop(seen);
        self.news.notify_waiters();
    }

    pub(super) fn receipt(&self, old: Option<&str>, new: Option<&str>) -> RouterReceipt {
        let mut seen = self.seen();
        seen.latencies_us.sort_unstable();
        let quantile = |per_cent: usize| {
            let at = seen.latencies_us.len().saturating_sub(1) * per_cent / 100;
            seen.latencies_us
                .get(at)
                .map_or(0.0, |us| f64::from(*us) / 1000.0)
        };
        let served_before = old.is_some();
        let early = seen.lost_before_any.0 + seen.lost_before_any.1;
        let unserved = if served_before {
            (0, 0)
        } else {
            seen.lost_before_any
        };
        let (keep_alive, fresh) = (seen.keep_alive - unserved.0, seen.fresh - unserved.1);
        let mut losses = seen.losses_before_any.clone();
        if !served_before {
            losses.clear();
        }
        losses.extend(seen.losses.iter().cloned());
        losses.truncate(TOLD);
        RouterReceipt {
            router: self.target.router.clone(),
            requests: keep_alive + fresh,
            keep_alive,
            fresh,
            lost: seen.lost + if served_before { early } else { 0 },
            unserved: if served_before { 0 } else { early },
            skipped: seen.skipped,
            unanswered: seen.under_way.len() as u64,
            longest_gap_ms: seen.longest_gap.as_secs_f64() * 1000.0,
            latency_p50_ms: quantile(50),
            latency_p99_ms: quantile(99),
            first_new: new.and_then(|tag| seen.tags.get(tag)).map(|tag| tag.first),
            last_old: old.and_then(|tag| seen.tags.get(tag)).map(|tag| tag.last),
            answers: seen
                .tags
                .iter()
                .map(|(tag, seen)| (tag.clone(), seen.count))
                .collect(),
            losses,
        }
    }
}
