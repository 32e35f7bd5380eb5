//! The API as a router: fence, records, flips, what its servers see, and the TTL.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ready::Ready;
use super::tail::Tail;
use super::{ApiFleet, PROMPT, later, refused};
use crate::fleet::{Armed, Did, Job, Records, StepError};
use crate::health::direct;
use crate::inventory::switch::{Connector, Provider};
use crate::inventory::{Pool, Router};
use crate::plan::Step;
use crate::report::{Kind, StepOutcome};
use crate::state::note::Note;
use crate::state::noted::Noted;
use crate::state::{Done, Store as _, Take};
use crate::switch::RouterView;
use crate::switch::dns::forward::Stand;

/// Longest that a journal's lines are waited for once traffic goes before the record.
const LENIENT: Duration = Duration::from_secs(1);

impl ApiFleet {
    /// Brings the newest lines of the journal to a host, before what they announce is done.
    async fn deliver(&self, job: &Job) -> Result<(), StepError> {
        let append = self.noted.anchors.append(&job.fence.run, &job.ledger);
        if job.ledger.is_lenient() {
            // From the flip on what protects the traffic goes before the record (FAULTS.md 75).
            drop(tokio::time::timeout(LENIENT, append).await);
            return Ok(());
        }
        append.await.map_err(|error| StepError {
            in_doubt: false,
            ..StepError::from(error)
        })
    }

    /// Takes the lock under a new epoch.
    pub(super) async fn take(&self, job: &Job, expect: Option<u64>) -> Did {
        job.go_on()?;
        self.deliver(job).await?;
        let (_, note) = self.noted.glance().await?;
        let holder = note.run.filter(|run| job.plan.steal.contains(run));
        let take = Take {
            expect_epoch: expect.unwrap_or(note.epoch),
            epoch: job.fence.epoch,
            run: job.fence.run.clone(),
            owner: job.owner.clone(),
            steal: holder,
        };
        let done = self.noted.take(&take).await?;
        Ok((told(done), Some(format!("epoch {}", job.fence.epoch))))
    }

    /// Writes what a router's files would say.
    pub(super) async fn write(&self, job: &Job, records: &Records) -> Did {
        // Who may be stopped may still give its lock back, as over SSH only the fence asks.
        if !records.unlock {
            job.go_on()?;
        }
        match self.deliver(job).await {
            Err(error) if records.unlock => job.sink.emit(Kind::Warning {
                message: format!("the last lines of the journal are on this machine only: {error}"),
            }),
            other => other?,
        }
        let right = ApiFleet::right(job);
        if records.is_empty() {
            return Ok((StepOutcome::Applied, None));
        }
        if records.unlock {
            let done = self.noted.release(&right).await.map_err(refused)?;
            return Ok((told(done), None));
        }
        let done = self
            .noted
            .write("writing records", None, None, &|_, note| {
                Noted::holds(note, &right)?;
                say(note, records, &right.run);
                Ok(Done::Applied)
            })
            .await
            .map_err(refused)?;
        Ok((told(done), None))
    }

    /// Everything but the word: who is to be led to answers itself, and nothing late is on its way.
    pub(super) async fn ready(
        &self,
        job: &Job,
        router: &Router,
        to: Pool,
    ) -> Result<Box<dyn Armed>, StepError> {
        job.go_on()?;
        self.deliver(job).await?;
        let right = ApiFleet::right(job);
        let (_, note) = self.noted.glance().await?;
        Noted::holds(&note, &right).map_err(refused)?;
        if job.is_late(router) {
            // Another note stands there then, so that a word that is still on its way finds what it does not expect.
            self.noted
                .write("ending what is late", None, None, &|_, note| {
                    Noted::holds(note, &right)?;
                    Ok(Done::Applied)
                })
                .await
                .map_err(refused)?;
        }
        // Where the inventory wants it no more, a pool that was told to hand on still does.
        let tail = Tail::of(&self.hosts, job).filter(|tail| tail.wanted() || note.handing_on.contains(&to));
        let mut told_off = false;
        if let Some(tail) = &tail {
            // Who is about to be led to must answer itself.
            let problems = tail.stand(to, Stand::Off, note.writes).await;
            told_off = problems.is_empty();
            let spare = self
                .hosts
                .inventory
                .hosts(to)
                .len()
                .saturating_sub(self.hosts.inventory.servers_needed(to));
            // Who leads traffic back is not held up by a host that cannot be reached, and probably serves nobody.
            let tolerated = job.ledger.is_lenient() || problems.len() <= spare;
            if !problems.is_empty() && tolerated && !job.ledger.is_lenient() {
                self.nobody_hands_on(to, &problems).await?;
            }
            if !problems.is_empty() && tolerated {
                job.sink.warn(format!(
                    "not every host of {to} could be told to answer itself: {}",
                    problems.join("; ")
                ));
            } else if !problems.is_empty() {
                return Err(StepError::failed(format!(
                    "{to} must not hand its requests on, and cannot be told so:\n{}",
                    problems.join("\n")
                )));
            }
        }
        Ok(Box::new(Ready {
            hosts: self.hosts.clone(),
            noted: self.noted.clone(),
            right,
            to,
            tail,
            told_off,
        }))
    }

    /// A host that could not be told may still answer clients, with the release that they are to leave.
    async fn nobody_hands_on(&self, to: Pool, problems: &[String]) -> Result<(), StepError> {
        let inventory = &self.hosts.inventory;
        let Connector::Dns(dns, _) = &inventory.switch.connector else {
            return Ok(());
        };
        let handing_on = direct::handing_on(inventory, dns.records(to)).await;
        if handing_on.is_empty() {
            return Ok(());
        }
        Err(StepError::failed(format!(
            "{} of {to} hands its requests on to {}, and cannot be told to answer itself:\n{}",
            handing_on.join(", "),
            to.other(),
            problems.join("\n")
        )))
    }

    /// An API's pools are whole: nobody is left out of them.
    pub(super) fn without(job: &Job, router: &Router) -> Did {
        let out = &job.plan.without;
        if out.is_empty() {
            return Ok((StepOutcome::AlreadyDone, None));
        }
        Err(StepError::failed(format!(
            "{}: cannot leave out {}",
            router.name,
            out.join(", ")
        )))
    }

    /// Waits until so many servers of a pool answer clients.
    pub(super) async fn until_up(
        &self,
        job: &Job,
        step: &Step,
        router: &Router,
        pool: Pool,
        need: usize,
    ) -> Did {
        job.go_on()?;
        let words = |view: &RouterView| view.servers_in_words(pool);
        let last = self
            .until(
                step.deadline(),
                true,
                |view| view.up(pool) >= need,
                |view| {
                    job.progress(step, &router.name, words(view));
                },
            )
            .await?;
        if last.up(pool) >= need {
            return Ok((StepOutcome::Applied, Some(words(&last))));
        }
        Err(StepError::failed(format!(
            "{}: expected at least {need} of {pool} to answer within {:?}, found {}: {}\n\
             the hosts passed their own checks: can clients reach these addresses?",
            router.name,
            step.deadline(),
            last.up(pool),
            words(&last)
        )))
    }

    /// Lowers the TTL that is given out to the inventory's, on every authoritative server.
    pub(super) async fn lower(&self, job: &Job, router: &Router) -> Did {
        job.go_on()?;
        self.deliver(job).await?;
        let Connector::Dns(dns, _) = &self.hosts.inventory.switch.connector else {
            return Ok((StepOutcome::AlreadyDone, None));
        };
        let wanted = dns.ttl_s();
        let right = ApiFleet::right(job);
        let (since, before) = (Instant::now(), Mutex::new(None));
        let done = self
            .noted
            .write("lowering the TTL", None, Some(wanted), &|seen, note| {
                Noted::holds(note, &right)?;
                let Some(ttl) = seen.ttl.filter(|ttl| *ttl > wanted) else {
                    return Ok(Done::AlreadyDone);
                };
                *before.lock().unwrap_or_else(PoisonError::into_inner) = Some(ttl);
                later(&mut note.long_until, ttl, Duration::ZERO);
                Ok(Done::Applied)
            })
            .await
            .map_err(refused)?;
        let settled = self
            .until(
                self.settle(),
                false,
                |view| view.caches.as_ref().is_none_or(|c| c.ttl_s <= wanted),
                |_| {},
            )
            .await?;
        let before = before.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(ttl) = before.filter(|_| since.elapsed() > PROMPT) {
            // Who lagged gave out the old TTL for as long.
            self.noted
                .write("noting until when", None, None, &|_, note| {
                    Noted::holds(note, &right)?;
                    later(&mut note.long_until, ttl, self.lingers());
                    Ok(Done::Applied)
                })
                .await
                .map_err(refused)?;
        }
        match settled.caches {
            Some(caches) if caches.ttl_s > wanted => Err(StepError::failed(format!(
                "{}: expected a TTL of {wanted} s from every authoritative server within {:?}, found {} s",
                router.name,
                self.settle(),
                caches.ttl_s
            ))),
            _ => Ok((told(done), Some(format!("{wanted} s")))),
        }
    }

    /// How long a server may go on giving out what was replaced, beyond the change itself.
    pub(super) fn lingers(&self) -> Duration {
        match &self.hosts.inventory.switch.connector {
            // Its packet cache may be filled with the old answer while the change is made, for `cache-ttl`.
            Connector::Dns(_, Provider::Powerdns(_)) => Duration::from_secs(20),
            _ => Duration::ZERO,
        }
    }
}

fn told(done: Done) -> StepOutcome {
    match done {
        Done::Applied => StepOutcome::Applied,
        Done::AlreadyDone => StepOutcome::AlreadyDone,
    }
}

/// What a router's files would say after these records were written.
fn say(note: &mut Note, records: &Records, run: &str) {
    if let Some(pool) = records.claim {
        note.claims.insert(pool, run.to_owned());
    }
    if let Some(pool) = records.unproven {
        note.proven.remove(&pool);
    }
    if let Some((pool, release)) = &records.proven {
        match serde_json::from_str(release) {
            Ok(release) => note.proven.insert(*pool, release),
            Err(_) => note.proven.remove(pool),
        };
    }
    if let Some(pool) = records.unclaim {
        note.claims.remove(&pool);
    }
}
