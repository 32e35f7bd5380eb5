//! The lock and the journal in etcd, through its v3 JSON gateway.
//!
//! Each write reads the lock, asks the rules, and is sent as one transaction that happens only if the
//! lock's key still has the revision that was read. Whoever is faster makes it fail and be asked anew.

mod gateway;
mod keys;
mod problem;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use self::gateway::{Gateway, Kv};
use self::keys::{Keys, Stored};
use self::problem::Fault;
use super::rules::{self, Kept};
use super::{CALL, Done, Held, Right, Site, Snapshot, Store, StoreError, Take};
use crate::inventory::state::EtcdState;

/// Seconds that a heartbeat's lease lasts. etcd has no clock to ask, but it says how much of a lease is
/// left, so the age is what is gone of it. A run that said nothing for a day is as good as silent for ever.
const LEASE: i64 = 24 * 60 * 60;
/// Most lines of one transaction: etcd takes 128 operations, `--max-txn-ops`.
const MOST_LINES: usize = 100;
/// Most bytes of one transaction: etcd takes 1.5 MiB, `--max-request-bytes`. A longer line goes alone.
const MOST_BYTES: usize = 512 * 1024;

/// Lock and journal in etcd.
pub struct Etcd {
    gateway: Gateway,
    keys: Keys,
    /// A transaction of ours was not answered: it may still be under way there.
    doubt: AtomicBool,
    /// One transaction at a time: the heartbeat's must not settle the doubt of a line's.
    commits: Mutex<()>,
}

/// The lock as read: what the rules ask, and the revision that a write depends on.
struct Seen {
    kept: Kept,
    /// 0 where the key does not exist.
    revision: i64,
}

/// What one transaction changes.
#[derive(Default)]
struct Write {
    /// The lock as it shall be.
    lock: Option<Kept>,
    /// Lines with their keys, none of which exists yet.
    lines: Vec<(String, String)>,
    /// What happens to the heartbeat.
    heartbeat: Option<Json>,
}

impl Etcd {
    /// Reads the CA file, if there is one; touches no network.
    ///
    /// # Errors
    /// When the CA file cannot be used.
    pub fn new(settings: &EtcdState, site: Site) -> Result<Etcd, StoreError> {
        Ok(Etcd {
            gateway: Gateway::new(settings)?,
            keys: Keys::new(&site),
            doubt: AtomicBool::new(false),
            commits: Mutex::new(()),
        })
    }

    /// Bounds a call, and says of its fault what it means.
    async fn call<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(CALL, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(fault)) => Err(fault.verdict(&self.gateway.at, what)),
            // Only a transaction that was sent leaves the doubt.
            Err(_) if self.doubt.load(Ordering::Relaxed) => Err(StoreError::InDoubt {
                at: self.gateway.at.clone(),
                what,
                problem: format!("none within {} s", CALL.as_secs()),
            }),
            Err(_) => Err(Fault::silent().verdict(&self.gateway.at, what)),
        }
    }

    async fn lock(&self) -> Result<Seen, Fault> {
        let found = self.gateway.range(&self.keys.lock, None).await?;
        Ok(match found.first() {
            None => Seen {
                kept: Kept::default(),
                revision: 0,
            },
            Some(kv) => Seen {
                kept: Stored::read(&kv.value)?.into(),
                revision: kv.mod_revision,
            },
        })
    }

    /// Does `write` if the lock is still as it was seen and none of its lines exists. `false`: it is not.
    async fn commit(&self, seen: &Seen, write: Write) -> Result<bool, Fault> {
        let mut compare = vec![json!({
            "key": gateway::text(&self.keys.lock), "target": "MOD", "result": "EQUAL",
            "modRevision": seen.revision.to_string(),
        })];
        compare.extend(write.lines.iter().map(|(key, _)| {
            json!({ "key": gateway::text(key), "target": "CREATE", "result": "EQUAL", "createRevision": "0" })
        }));
        let lock = write
            .lock
            .as_ref()
            .map(|kept| gateway::put(&self.keys.lock, &Stored::from(kept).text(), None));
        let lines = write
            .lines
            .iter()
            .map(|(key, line)| gateway::put(key, line, None));
        let work = lock.into_iter().chain(lines).chain(write.heartbeat.clone());
        let _one = self.commits.lock().await;
        // Until the answer is here, also for a caller who gives up now.
        let before = self.doubt.swap(true, Ordering::Relaxed);
        let mut answer = self.gateway.transaction(compare, work.collect()).await;
        if matches!(&answer, Err(fault) if fault.full) {
            match self.was_done(seen, &write).await {
                Ok(true) => answer = Ok(true),
                Ok(false) => {}
                Err(_) => answer = answer.map_err(Fault::unknown),
            }
        }
        if !matches!(&answer, Err(fault) if fault.in_doubt) {
            self.doubt.store(before, Ordering::Relaxed);
        }
        answer
    }

    /// Whether a transaction that was answered was done, though the answer says that there is no space. It is
    /// not under way any more. Of a heartbeat alone this is not asked: the next one says as much.
    async fn was_done(&self, seen: &Seen, write: &Write) -> Result<bool, Fault> {
        if let Some(kept) = &write.lock {
            let now = self.lock().await?;
            return Ok(now.revision != seen.revision && now.kept == *kept);
        }
        // The last one: an earlier transaction of this run that was in doubt may have had the first ones alone.
        let Some((key, line)) = write.lines.last() else {
            return Ok(false);
        };
        let there = self.gateway.range(key, None).await?;
        Ok(there.first().is_some_and(|kv| kv.value == *line))
    }

    /// After a doubt: makes the lock's revision a new one, so that the transaction that was not answered,
    /// which depends on the old one, has been done by now or never will be.
    async fn settle(&self) -> Result<Seen, Fault> {
        loop {
            let seen = self.lock().await?;
            let write = Write {
                lock: Some(seen.kept.clone()),
                ..Write::default()
            };
            if self.commit(&seen, write).await? {
                self.doubt.store(false, Ordering::Relaxed);
                return self.lock().await;
            }
        }
    }

    async fn take(&self, take: &Take) -> Result<Done, Fault> {
        loop {
            let seen = self.lock().await?;
            if rules::acquire(&seen.kept, take)? == Done::AlreadyDone {
                return Ok(Done::AlreadyDone);
            }
            let lease = self.gateway.grant(LEASE).await?;
            let kept = Kept {
                epoch: take.epoch,
                run: Some(take.run.clone()),
                owner: take.owner.clone(),
            };
            let write = Write {
                lock: Some(kept),
                heartbeat: Some(gateway::put(&self.keys.heartbeat, "", Some(lease))),
                ..Write::default()
            };
            if self.commit(&seen, write).await? {
                return Ok(Done::Applied);
            }
        }
    }

    async fn beat(&self, right: &Right, phase: &str) -> Result<(), Fault> {
        loop {
            let seen = self.lock().await?;
            rules::holds(&seen.kept, right)?;
            let kept = self.gateway.range(&self.keys.heartbeat, None).await?;
            // A lease that ran out took the key along.
            let lease = match kept.first() {
                Some(kv) if kv.lease != 0 => kv.lease,
                _ => self.gateway.grant(LEASE).await?,
            };
            // First, so that what fails here has changed nothing that is read. If somebody robs this run
            // just now it is the thief's lease, which is as new.
            self.gateway.renew(lease).await?;
            let write = Write {
                heartbeat: Some(gateway::put(&self.keys.heartbeat, phase, Some(lease))),
                ..Write::default()
            };
            if self.commit(&seen, write).await? {
                return Ok(());
            }
        }
    }

    async fn give_back(&self, right: &Right) -> Result<Done, Fault> {
        loop {
            let seen = self.lock().await?;
            if rules::release(&seen.kept, right)? == Done::AlreadyDone {
                return Ok(Done::AlreadyDone);
            }
            let kept = Kept {
                epoch: seen.kept.epoch,
                ..Kept::default()
            };
            let write = Write {
                lock: Some(kept),
                heartbeat: Some(gateway::delete(&self.keys.heartbeat)),
                ..Write::default()
            };
            if self.commit(&seen, write).await? {
                return Ok(Done::Applied);
            }
        }
    }

    async fn write_lines(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, Fault> {
        let mut done = Done::AlreadyDone;
        let mut next = 0;
        loop {
            let (seq, rest) = (first_seq + next as u64, lines.get(next..).unwrap_or_default());
            let part = &rest[..fitting(rest)];
            let seen = self.lock().await?;
            rules::holds(&seen.kept, right)?;
            let already = self.lines_there(right, seq, part).await?;
            let new: Vec<(String, String)> = part
                .iter()
                .enumerate()
                .skip(already)
                .map(|(number, line)| (self.keys.line(&right.run, seq + number as u64), line.clone()))
                .collect();
            if !new.is_empty() {
                let write = Write {
                    lines: new,
                    ..Write::default()
                };
                if !self.commit(&seen, write).await? {
                    continue;
                }
                done = Done::Applied;
            }
            next += part.len();
            if next >= lines.len() {
                return Ok(done);
            }
        }
    }

    /// How many of these lines the journal has already.
    async fn lines_there(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<usize, Fault> {
        let from = self.keys.line(&right.run, first_seq);
        let end = self.keys.line(&right.run, first_seq + lines.len() as u64);
        let there: Vec<String> = self
            .gateway
            .range(&from, Some(&end))
            .await?
            .into_iter()
            .map(|kv| kv.value)
            .collect();
        // Lines are written in order, so the one before says whether any is missing.
        let before = match first_seq.checked_sub(1) {
            None => 0,
            Some(last) => {
                let found = self
                    .gateway
                    .range(&self.keys.line(&right.run, last), None)
                    .await?;
                if found.is_empty() {
                    self.gateway.count(&self.keys.lines_of(&right.run)).await?
                } else {
                    first_seq
                }
            }
        };
        let count = before + there.len() as u64;
        Ok(rules::append(first_seq, lines, &there, count)?)
    }

    /// The heartbeat's phase, and how much of its lease is gone.
    async fn heartbeat_of(&self) -> Result<(String, Duration), Fault> {
        let found = self.gateway.range(&self.keys.heartbeat, None).await?;
        let Some(Kv { value, lease, .. }) = found.into_iter().next() else {
            return Ok((String::new(), Duration::from_secs(LEASE.unsigned_abs())));
        };
        let gone = self.gateway.gone_of(lease).await?;
        let gone = gone.unwrap_or(LEASE).max(0).unsigned_abs();
        Ok((value, Duration::from_secs(gone)))
    }
}

/// How many of these lines one transaction takes; at least one, which may be too long for etcd.
fn fitting(lines: &[String]) -> usize {
    let mut bytes = 0;
    let fit = lines.iter().take(MOST_LINES).take_while(|line| {
        bytes += line.len();
        bytes <= MOST_BYTES
    });
    fit.count().max(1).min(lines.len())
}

#[async_trait]
impl Store for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        self.call("reading the lock", async {
            let seen = if self.doubt.load(Ordering::Relaxed) {
                self.settle().await.map_err(Fault::of_a_question)?
            } else {
                self.lock().await?
            };
            let Kept { epoch, run, owner } = seen.kept;
            let Some(run) = run else {
                return Ok(Snapshot { epoch, held: None });
            };
            let (phase, heartbeat_age) = self.heartbeat_of().await?;
            let held = Some(Held {
                run,
                epoch,
                owner,
                phase,
                heartbeat_age,
            });
            Ok(Snapshot { epoch, held })
        })
        .await
        .map_err(|error| match error {
            // The settling transaction changes nothing that anybody reads.
            StoreError::InDoubt { at, problem, .. } => StoreError::Unreachable {
                problem: format!("{at}: {problem}"),
                hint: problem::LOOK.to_owned(),
            },
            other => other,
        })
    }

    async fn acquire(&self, take: &Take) -> Result<Done, StoreError> {
        self.call("taking the lock", self.take(take)).await
    }

    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError> {
        self.call("writing the journal", self.write_lines(right, first_seq, lines))
            .await
    }

    async fn heartbeat(&self, right: &Right, phase: &str) -> Result<(), StoreError> {
        self.call("the heartbeat", self.beat(right, phase)).await
    }

    async fn release(&self, right: &Right) -> Result<Done, StoreError> {
        self.call("giving the lock back", self.give_back(right)).await
    }

    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.call("reading the journals", async {
            let mut journals: Vec<(String, String)> = Vec::new();
            for kv in self.gateway.all(&self.keys.journals).await? {
                let Some(run) = self.keys.run_of(&kv.key) else {
                    continue;
                };
                match journals.last_mut() {
                    Some((last, text)) if last == run => {
                        text.push_str(&kv.value);
                        text.push('\n');
                    }
                    _ => journals.push((run.to_owned(), format!("{}\n", kv.value))),
                }
            }
            Ok(journals)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_takes_what_etcd_takes() {
        let lines = |count: usize, bytes: usize| vec!["x".repeat(bytes); count];
        assert_eq!(fitting(&lines(3, 10)), 3);
        assert_eq!(fitting(&lines(250, 10)), MOST_LINES);
        assert_eq!(fitting(&lines(3, MOST_BYTES / 2)), 2);
        assert_eq!(fitting(&lines(3, MOST_BYTES + 1)), 1);
        assert_eq!(fitting(&[]), 0);
    }
}
