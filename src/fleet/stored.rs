//! A fleet whose runs keep their lock and journal in a team's store as well.
//!
//! The store is asked first: who does not get its lock there touches no server. The servers' own lock, epoch and journal
//! stay what they are without a store, so a store that is lost, or was set back to an older copy, costs no safety.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Armed, Did, End, Fleet, Job, Records, StepError};
use crate::compose::traffic::Traffic;
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::Wanted;
use crate::observe::{ColdPool, Observation, Read, ServerState};
use crate::plan::{Intent, Step};
use crate::remote::Fence;
use crate::report::Kind;
use crate::state::{Right, Snapshot, Store, StoreError, Take};
use crate::switch::RouterView;

/// The servers, and the store in front of them.
pub struct StoredFleet {
    inner: Arc<dyn Fleet>,
    store: Arc<dyn Store>,
    /// The run that has the store's lock by this fleet.
    held: Mutex<Option<String>>,
    /// One delivery at a time: steps act on many servers at once, and each asks for it. Holds why an earlier one failed:
    /// a step on many hosts must not wait for a store that hangs once for each of them.
    delivery: tokio::sync::Mutex<Option<StepError>>,
}

/// Longest that a line waits for the store once traffic goes before the record: whoever is led back to a pool that works
/// must not wait for a database.
const LENIENT: Duration = Duration::from_secs(1);
/// Longest that a heartbeat may take there; the next one comes anyway, and the routers' own must come in time.
const BEAT: Duration = Duration::from_secs(2);

impl StoredFleet {
    /// Nothing is asked yet.
    pub fn new(inner: Arc<dyn Fleet>, store: Arc<dyn Store>) -> StoredFleet {
        StoredFleet {
            inner,
            store,
            held: Mutex::default(),
            delivery: tokio::sync::Mutex::default(),
        }
    }

    fn holds(&self, run: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_deref() == Some(run)
    }

    fn set_held(&self, run: Option<String>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }

    /// Takes the store's lock: by compare-and-set with what the plan was made from.
    async fn acquire(&self, job: &Job) -> Result<(), StepError> {
        let Some(seen) = &job.plan.expects.store else {
            return Ok(());
        };
        job.go_on()?;
        let take = Take {
            expect_epoch: seen.epoch,
            epoch: job.fence.epoch,
            run: job.fence.run.clone(),
            owner: job.owner.clone(),
            steal: seen.holder.clone(),
        };
        let error = match self.taken(&take).await {
            Ok(()) => {
                self.set_held(Some(take.run));
                return Ok(());
            }
            Err(error) => error,
        };
        let words = format!("the {}: {error}", name(self.store.as_ref()));
        match error {
            StoreError::Locked { .. } | StoreError::Raced { .. } | StoreError::Fenced { .. } => {
                Err(StepError {
                    message: words,
                    ..StepError::from(error)
                })
            }
            // It can be read and not be written, or went away since: no server was asked yet.
            _ if needs_store(job) => Err(StepError {
                in_doubt: false,
                message: words,
                ..StepError::from(error).ending(End::Refused)
            }),
            _ => {
                self.go_on_without(job, &error.to_string());
                Ok(())
            }
        }
    }

    async fn taken(&self, take: &Take) -> Result<(), StoreError> {
        match self.store.acquire(take).await {
            // What is read after a doubt is the truth.
            Err(doubt @ StoreError::InDoubt { .. }) => {
                // Where nothing can be read it stays one.
                let Ok(seen) = self.store.read().await else {
                    return Err(doubt);
                };
                let ours = seen
                    .held
                    .is_some_and(|held| held.run == take.run && held.epoch == take.epoch);
                if ours { Ok(()) } else { Err(doubt) }
            }
            other => other.map(drop),
        }
    }

    fn go_on_without(&self, job: &Job, why: &str) {
        self.set_held(None);
        job.sink.emit(Kind::Warning {
            message: format!("goes on without the {}: {why}", name(self.store.as_ref())),
        });
    }

    /// Brings the newest lines of the journal to the store, before what they announce is done.
    ///
    /// # Errors
    /// When they cannot be kept there and nothing has moved yet, or somebody else has the lock there by now.
    async fn deliver(&self, job: &Job) -> Result<(), StepError> {
        if !self.holds(&job.fence.run) {
            return Ok(());
        }
        let mut failed = self.delivery.lock().await;
        let name = name(self.store.as_ref());
        let pending = job.ledger.pending(&name);
        let lines: Vec<String> = pending.text.lines().map(str::to_owned).collect();
        let required = pending.required && needs_store(job);
        if lines.is_empty() || !self.holds(&job.fence.run) {
            return Ok(());
        }
        if let (true, Some(error)) = (required, failed.as_ref()) {
            return Err(error.clone());
        }
        let (right, first) = (right(&job.fence), pending.from as u64);
        let append = async {
            match self.store.append(&right, first, &lines).await {
                // Lines that are there already stay as they are: an answer that was lost is asked for again.
                Err(StoreError::InDoubt { .. }) => self.store.append(&right, first, &lines).await,
                other => other,
            }
        };
        let appended = if required {
            append.await
        } else {
            let bounded = tokio::time::timeout(LENIENT, append).await;
            bounded.unwrap_or_else(|_| {
                Err(StoreError::Unreachable {
                    problem: format!("no answer within {LENIENT:?}"),
                    hint: String::new(),
                })
            })
        };
        match appended {
            Ok(_) => {
                job.ledger.delivered(&name, &pending);
                Ok(())
            }
            Err(error @ StoreError::Fenced { seen, ours, .. }) if required && seen > ours => {
                Err(error.into())
            }
            // It was set back to an older copy, or a newer run has it: the first router decides who may act.
            Err(error @ StoreError::Fenced { .. }) => {
                self.go_on_without(job, &error.to_string());
                Ok(())
            }
            Err(error) if required => {
                let error = StepError {
                    // Of the journal, not of what was to be done: that was not sent.
                    in_doubt: false,
                    message: format!("the journal could not be kept in the {name}: {error}"),
                    ..StepError::from(error)
                };
                *failed = Some(error.clone());
                Err(error)
            }
            // From the flip on what protects the traffic goes before the record (FAULTS.md 75).
            Err(error) => {
                self.go_on_without(job, &error.to_string());
                Ok(())
            }
        }
    }

    /// Gives the store's lock back, with the journal's last lines. The routers decided: where the store does not hear of
    /// it, its lock keeps nobody out, so that is worth a warning and no more.
    async fn release(&self, job: &Job) {
        if !self.holds(&job.fence.run) {
            return;
        }
        self.set_held(None);
        match self.store.release(&right(&job.fence)).await {
            Ok(_) | Err(StoreError::Fenced { .. }) => {}
            Err(error) => job.sink.emit(Kind::Warning {
                message: format!(
                    "the lock in the {} could not be given back, the next run takes it over: {error}",
                    name(self.store.as_ref())
                ),
            }),
        }
    }
}

/// Whether the run must not go on without the store. What brings traffic back, or ends what was begun, must not wait for
/// a database: it has the routers' own lock.
fn needs_store(job: &Job) -> bool {
    matches!(job.plan.intent, Intent::Deploy { .. } | Intent::Prune { .. })
}

/// What a store is called beside routers, whose names have no blanks.
fn name(store: &dyn Store) -> String {
    format!("store {}", store.name())
}

fn right(fence: &Fence) -> Right {
    Right {
        run: fence.run.clone(),
        epoch: fence.epoch,
    }
}

/// What a store says of the lock, as a server would.
pub async fn look(store: &dyn Store) -> Read<ServerState> {
    let read = async {
        let Snapshot { epoch, held } = store.read().await?;
        let mut state = ServerState {
            epoch,
            ..ServerState::default()
        };
        if let Some(held) = held {
            let journals = store.journals().await?;
            let journal = journals.into_iter().find(|(run, _)| *run == held.run);
            state.journal = journal.map(|(_, text)| text);
            state.owner = serde_json::from_str(&held.owner).ok();
            state.phase = Some(held.phase).filter(|phase| !phase.is_empty());
            state.owner_age_s = i64::try_from(held.heartbeat_age.as_secs()).ok();
            state.holder = Some(held.run);
        }
        Ok(state)
    };
    let read = read.await.map_err(|error: StoreError| error.with_hint());
    (name(store), read)
}

#[async_trait]
impl Fleet for StoredFleet {
    async fn routers(&self) -> Observation {
        let (seen, store) = futures::future::join(self.inner.routers(), look(self.store.as_ref())).await;
        Observation {
            store: Some(store),
            ..seen
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
        self.inner.cold(pool, wanted, without, run, who).await
    }

    async fn view(&self, router: &Router) -> Result<RouterView, String> {
        self.inner.view(router).await
    }

    async fn fence_router(&self, job: &Job, step: &Step, router: &Router, expect: Option<u64>) -> Did {
        if expect.is_some() {
            self.acquire(job).await?;
        }
        self.deliver(job).await?;
        self.inner.fence_router(job, step, router, expect).await
    }

    async fn record(&self, job: &Job, step: &Step, router: &Router, name: &str, records: &Records) -> Did {
        match self.deliver(job).await {
            // The routers' lock is given back all the same: whoever is next has nothing to wait for.
            Err(error) if records.unlock && error.end != End::Fenced => {
                self.go_on_without(job, &error.message);
            }
            other => other?,
        }
        let did = self.inner.record(job, step, router, name, records).await;
        let first = job
            .routers()
            .first()
            .is_some_and(|first| first.name == router.name);
        let free = did.as_ref().map_or_else(|error| error.unfenced, |_| true);
        if records.unlock && first && free {
            self.release(job).await;
        }
        did
    }

    async fn arm(
        &self,
        job: &Job,
        router: &Router,
        name: &str,
        to: Pool,
    ) -> Result<Box<dyn Armed>, StepError> {
        // On the way back users wait; the lines go with what follows.
        if !job.ledger.is_lenient() {
            self.deliver(job).await?;
        }
        self.inner.arm(job, router, name, to).await
    }

    async fn leave_out(&self, job: &Job, step: &Step, router: &Router) -> Did {
        self.deliver(job).await?;
        self.inner.leave_out(job, step, router).await
    }

    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did {
        self.inner.wait_up(job, step, router, pool, need).await
    }

    async fn lower_ttl(&self, job: &Job, step: &Step, router: &Router) -> Did {
        self.deliver(job).await?;
        self.inner.lower_ttl(job, step, router).await
    }

    async fn traffic(&self, job: &Job, host: &Host) -> Result<Option<Traffic>, String> {
        self.inner.traffic(job, host).await
    }

    async fn heartbeat(&self, fence: &Fence, phase: &str) {
        let store = async {
            if self.holds(&fence.run) {
                // One that is missed tells the others so; the next one comes anyway.
                drop(tokio::time::timeout(BEAT, self.store.heartbeat(&right(fence), phase)).await);
            }
        };
        futures::future::join(self.inner.heartbeat(fence, phase), store).await;
    }

    async fn fence_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.fence_host(job, step, host).await
    }

    async fn stage(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.stage(job, step, host).await
    }

    async fn migrate(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.migrate(job, step, host).await
    }

    async fn start(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.start(job, step, host).await
    }

    async fn clean(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.clean(job, step, host).await
    }

    async fn check(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.inner.check(job, step, host).await
    }

    async fn prune(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.deliver(job).await?;
        self.inner.prune(job, step, host).await
    }

    async fn answers(
        &self,
        job: &Job,
        tag: &str,
        in_a_row: u32,
        within: Duration,
    ) -> Result<(), Vec<String>> {
        self.inner.answers(job, tag, in_a_row, within).await
    }

    fn count_errors(&self) {
        self.inner.count_errors();
    }

    async fn bake(&self, job: &Job, tag: &str, time: Duration) -> Result<(), Vec<String>> {
        self.inner.bake(job, tag, time).await
    }

    async fn pause(&self, time: Duration) {
        self.inner.pause(time).await;
    }
}
