//! A fleet whose runs keep their lock and journal in a team's store as well.
//!
//! The store is asked first: who does not get its lock there touches no server. The servers' own lock, epoch and journal
//! stay what they are without a store, so a store that is lost, or was set back to an older copy, costs no safety.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Armed, Did, Fleet, Job, Records, StepError};
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::Wanted;
use crate::observe::{ColdPool, Observation, Read, ServerState};
use crate::plan::Step;
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
    /// One delivery at a time: steps act on many servers at once, and each asks for it.
    delivery: tokio::sync::Mutex<()>,
}

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
        match self.store.acquire(&take).await {
            Ok(_) => {}
            // What is read after a doubt is the truth.
            Err(error) if error.is_in_doubt() => {
                let held = self.store.read().await?.held;
                if !held.is_some_and(|held| held.run == take.run && held.epoch == take.epoch) {
                    return Err(StepError {
                        in_doubt: false,
                        ..StepError::from(error)
                    });
                }
            }
            Err(StoreError::Locked { holder, .. }) => {
                return Err(StoreError::Locked {
                    holder: format!("{holder} (in the {})", name(self.store.as_ref())),
                    owner: String::new(),
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        }
        self.set_held(Some(take.run));
        Ok(())
    }

    /// Brings the newest lines of the journal to the store, before what they announce is done.
    ///
    /// # Errors
    /// When they cannot be kept there and nothing has moved yet, or somebody else has the lock there by now.
    async fn deliver(&self, job: &Job) -> Result<(), StepError> {
        if !self.holds(&job.fence.run) {
            return Ok(());
        }
        let _one = self.delivery.lock().await;
        let name = name(self.store.as_ref());
        let pending = job.ledger.pending(&name);
        let lines: Vec<String> = pending.text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return Ok(());
        }
        match self
            .store
            .append(&right(&job.fence), pending.from as u64, &lines)
            .await
        {
            Ok(_) => {
                job.ledger.delivered(&name, &pending);
                Ok(())
            }
            Err(error) if pending.required => Err(StepError {
                // Of the journal, not of what was to be done: that was not sent.
                in_doubt: false,
                message: format!("the journal could not be kept in the {name}: {error}"),
                ..StepError::from(error)
            }),
            // From the flip on what protects the traffic goes before the record (FAULTS.md 75), and the routers' own
            // fence tells who may act.
            Err(error) => {
                self.set_held(None);
                job.sink.emit(Kind::Warning {
                    message: format!("goes on without the {name}: {error}"),
                });
                Ok(())
            }
        }
    }

    /// Gives the store's lock back, with the journal's last lines. The routers decided: where the store does not hear of
    /// it, its lock keeps nobody out, so that is worth a warning and no more.
    async fn release(&self, job: &Job) {
        if self.deliver(job).await.is_err() || !self.holds(&job.fence.run) {
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
    let read = read.await.map_err(|error: StoreError| error.to_string());
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
        self.deliver(job).await?;
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
        self.deliver(job).await?;
        self.inner.arm(job, router, name, to).await
    }

    async fn leave_out(&self, job: &Job, step: &Step, router: &Router) -> Did {
        self.deliver(job).await?;
        self.inner.leave_out(job, step, router).await
    }

    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did {
        self.inner.wait_up(job, step, router, pool, need).await
    }

    async fn heartbeat(&self, fence: &Fence, phase: &str) {
        let store = async {
            if self.holds(&fence.run) {
                // One that is missed tells the others so; the next one comes anyway.
                drop(self.store.heartbeat(&right(fence), phase).await);
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
