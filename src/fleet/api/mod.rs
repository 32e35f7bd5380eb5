//! A fleet whose switch is an API: hosts over SSH as ever, one router that is no machine. What a router's guard keeps
//! stands in the note beside the switch; what an armed guard does is one change that compares that note.

mod ready;
mod tail;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use ready::{MARGIN, Ready};
use tail::Tail;

use super::ssh::SshFleet;
use super::{Armed, Did, Fleet, Job, Records, StepError};
use crate::compose::traffic::Traffic;
use crate::health::direct;
use crate::inventory::switch::{Connector, Provider};
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::Wanted;
use crate::observe::{ColdPool, Observation, RouterState};
use crate::plan::{Intent, Step};
use crate::remote::Fence;
use crate::report::{Kind, StepOutcome};
use crate::state::note::Note;
use crate::state::noted::Noted;
use crate::state::{Done, Right, Store, StoreError, Take};
use crate::switch::api::Seen;
use crate::switch::dns::forward::Stand;
use crate::switch::{Caches, RouterView};

/// Pause between two looks at the switch: an API is asked no more often.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest that a journal's lines are waited for once traffic goes before the record.
const LENIENT: Duration = Duration::from_secs(1);
/// Longest that every part of a balancer may take to do as it was told.
const SETTLE: Duration = Duration::from_secs(60);
/// A change that every server gives out within this adds nothing to what caches may hold.
const PROMPT: Duration = Duration::from_secs(1);
/// For so long nobody may come to a pool before it counts as quiet.
const QUIET: Duration = Duration::from_secs(5);

/// Hosts over SSH, and the note beside the switch.
pub struct ApiFleet {
    /// The hosts.
    pub hosts: Arc<SshFleet>,
    /// The switch, and its note.
    pub noted: Noted,
}

impl ApiFleet {
    /// What the switch does, and what the note adds to that.
    fn view_of(&self, seen: &Seen, note: &Note) -> RouterView {
        let mut view = seen.view.clone();
        if let (Some(ttl), Connector::Dns(dns, _)) = (seen.ttl, &self.hosts.inventory.switch.connector) {
            let now = Timestamp::now();
            let ahead = |until: &Timestamp| *until > now;
            view.caches = Some(Caches {
                ttl_s: ttl,
                wanted_s: dns.ttl_s(),
                until: note
                    .cached
                    .iter()
                    .filter(|(_, until)| ahead(until))
                    .map(|(pool, until)| (*pool, *until))
                    .collect(),
                long_until: note.long_until.filter(ahead),
            });
        }
        view
    }

    async fn look(&self) -> Result<(RouterView, Note), StoreError> {
        let (seen, note) = self.noted.look().await?;
        Ok((self.view_of(&seen, &note), note))
    }

    async fn glance(&self) -> Result<RouterView, StoreError> {
        let (seen, note) = self.noted.glance().await?;
        Ok(self.view_of(&seen, &note))
    }

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

    fn right(job: &Job) -> Right {
        Right {
            run: job.fence.run.clone(),
            epoch: job.fence.epoch,
        }
    }

    /// Looks until it is as wanted, or the time is over; the last look. `health`: the pools' servers are asked as well.
    async fn until(
        &self,
        within: Duration,
        health: bool,
        ready: impl Fn(&RouterView) -> bool,
        mut tell: impl FnMut(&RouterView),
    ) -> Result<RouterView, StepError> {
        let deadline = Instant::now() + within;
        loop {
            let looked = match health {
                true => self.look().await.map(|(view, _)| view),
                false => self.glance().await,
            };
            let late = Instant::now() >= deadline;
            match looked {
                Ok(view) if late || ready(&view) => return Ok(view),
                Ok(view) => tell(&view),
                Err(error) if late => return Err(StepError::from(error)),
                // One look that fails is no verdict.
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// How long a server may go on giving out what was replaced, beyond the change itself.
    fn lingers(&self) -> Duration {
        match &self.hosts.inventory.switch.connector {
            // Its packet cache may be filled with the old answer while the change is made, for `cache-ttl`.
            Connector::Dns(_, Provider::Powerdns(_)) => Duration::from_secs(20),
            _ => Duration::ZERO,
        }
    }

    fn settle(&self) -> Duration {
        match &self.hosts.inventory.switch.connector {
            Connector::Dns(dns, _) => dns.settle,
            _ => SETTLE,
        }
    }
}

/// Moves an instant back to when answers of this TTL, given out up to now and for `lingers` more, have run out.
fn later(until: &mut Option<Timestamp>, ttl: u32, lingers: Duration) {
    let lingers = SignedDuration::try_from(lingers).unwrap_or_default();
    let end = Timestamp::now() + SignedDuration::from_secs(ttl.into()) + MARGIN + lingers;
    *until = Some(until.map_or(end, |known| known.max(end)));
}

/// An error of a write under this right; a note that this run has not fenced yet is told apart.
fn refused(error: StoreError) -> StepError {
    let unfenced = matches!(&error, StoreError::Fenced { seen, ours, .. } if seen < ours);
    StepError {
        unfenced,
        ..StepError::from(error)
    }
}

fn told(done: Done) -> StepOutcome {
    match done {
        Done::Applied => StepOutcome::Applied,
        Done::AlreadyDone => StepOutcome::AlreadyDone,
    }
}

#[async_trait]
impl Fleet for ApiFleet {
    async fn routers(&self) -> Observation {
        let name = self
            .hosts
            .inventory
            .switch
            .routers
            .first()
            .map_or_else(String::new, |router| router.name.clone());
        let read = match self.look().await {
            Ok((view, note)) => {
                let mut state = note.state();
                if note.writes == 0 {
                    // The first run, or a note that somebody took away: the hosts know which epochs there were.
                    state.epoch = self.noted.anchors.highest_epoch().await;
                }
                self.noted.anchors.look(&mut state).await;
                Ok(RouterState { view, state })
            }
            Err(error) => Err(error.to_string()),
        };
        Observation {
            routers: vec![(name, read)],
            ..Observation::default()
        }
    }

    async fn cold(
        &self,
        pool: Pool,
        wanted: &Wanted,
        without: &[String],
        run: &str,
        who: &str,
    ) -> Result<ColdPool, Vec<String>> {
        self.hosts.cold(pool, wanted, without, run, who).await
    }

    async fn view(&self, _router: &Router) -> Result<RouterView, String> {
        let looked = self.look().await;
        looked.map(|(view, _)| view).map_err(|error| error.to_string())
    }

    async fn fence_router(&self, job: &Job, _: &Step, _: &Router, expect: Option<u64>) -> Did {
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

    async fn record(&self, job: &Job, _: &Step, _: &Router, _: &str, records: &Records) -> Did {
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
                write(note, records, &right.run);
                Ok(Done::Applied)
            })
            .await
            .map_err(refused)?;
        Ok((told(done), None))
    }

    async fn arm(&self, job: &Job, router: &Router, _: &str, to: Pool) -> Result<Box<dyn Armed>, StepError> {
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
        let tail = Tail::of(&self.hosts, job);
        if let Some(tail) = &tail {
            // Who is about to be led to must answer itself.
            let problems = tail.stand(to, Stand::Off, note.writes).await;
            let spare = self
                .hosts
                .inventory
                .hosts(to)
                .len()
                .saturating_sub(self.hosts.inventory.servers_needed(to));
            // Who leads traffic back is not held up by a host that cannot be reached, and probably serves nobody.
            if !problems.is_empty() && (job.ledger.is_lenient() || problems.len() <= spare) {
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
        }))
    }

    async fn leave_out(&self, job: &Job, _: &Step, router: &Router) -> Did {
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

    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did {
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

    async fn lower_ttl(&self, job: &Job, _: &Step, router: &Router) -> Did {
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

    async fn traffic(&self, job: &Job, host: &Host) -> Result<Option<Traffic>, String> {
        match &self.hosts.inventory.switch.connector {
            Connector::Dns(..) => self.hosts.count_traffic(job, host, QUIET).await.map(Some),
            // A balancer's own health checks would be taken for clients.
            _ => Ok(None),
        }
    }

    async fn heartbeat(&self, fence: &Fence, phase: &str) {
        self.noted.anchors.beat(&fence.run, phase).await;
    }

    async fn fence_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.fence_host(job, step, host).await
    }

    async fn stage(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.stage(job, step, host).await
    }

    async fn migrate(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.migrate(job, step, host).await
    }

    async fn start(&self, job: &Job, step: &Step, host: &Host) -> Did {
        if let Some(tail) = Tail::of(&self.hosts, job) {
            tail.on_host(host, job.to(), Stand::Ready, 0)
                .await
                .map_err(StepError::failed)?;
        }
        self.hosts.start(job, step, host).await
    }

    async fn clean(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.clean(job, step, host).await
    }

    async fn check(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.check(job, step, host).await
    }

    async fn prune(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.prune(job, step, host).await
    }

    async fn answers(
        &self,
        job: &Job,
        tag: &str,
        in_a_row: u32,
        within: Duration,
    ) -> Result<(), Vec<String>> {
        let Connector::Dns(dns, _) = &self.hosts.inventory.switch.connector else {
            return self.hosts.answers(job, tag, in_a_row, within).await;
        };
        // Where clients are led from now on must answer as the release; that caches move is a matter of time.
        let looked = self.until(within, false, |_| true, |_| {}).await;
        let view = looked.map_err(|error| vec![error.to_string()])?;
        let pool = view
            .live
            .settled()
            .ok_or_else(|| vec!["no pool gets all requests".to_owned()])?;
        let need = self.hosts.inventory.servers_needed(pool);
        direct::answers(&self.hosts.inventory, dns.records(pool), need, tag, within).await?;
        if matches!(job.plan.intent, Intent::Deploy { .. } | Intent::Resume { .. }) {
            let old = view
                .caches
                .map(|caches| caches.left_for(pool.other(), Timestamp::now()));
            let horizon = old.unwrap_or_default();
            if let Err(missing) = self.hosts.answers(job, tag, in_a_row, horizon + within).await {
                job.sink.emit(Kind::Warning {
                    message: format!(
                        "{tag} is not seen through {} though every honest cache has moved: a resolver keeps answers longer than their TTL; {} is kept running",
                        missing.join(", "),
                        pool.other()
                    ),
                });
            }
        }
        Ok(())
    }

    fn count_errors(&self) {
        self.hosts.count_errors();
    }

    async fn bake(&self, job: &Job, tag: &str, time: Duration) -> Result<(), Vec<String>> {
        self.hosts.bake(job, tag, time).await
    }

    async fn pause(&self, time: Duration) {
        self.hosts.pause(time).await;
    }
}

/// What a router's files would say after these records were written.
fn write(note: &mut Note, records: &Records, run: &str) {
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
