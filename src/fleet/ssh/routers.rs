//! Routers over SSH: fence, records, flips, what they see, and the heartbeat.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;

use super::SshFleet;
use crate::fleet::{Armed, Did, Job, Records, StepError};
use crate::inventory::{Pool, Router};
use crate::plan::Step;
use crate::remote::{Claim, Fence, Guarded, Script};
use crate::report::StepOutcome;
use crate::switch::{ArmedFlip, Route, RouterView};

/// Longest that a prepared router waits for the word: all routers prepare within this, or none moves.
/// Shorter than anybody waits for the router's lock, so that a lost word has run out by then.
const LEASE: Duration = Duration::from_secs(15);
/// Longest to wait for a router's answer to the word; it takes one round trip and a file rename.
const COMMIT: Duration = Duration::from_secs(5);
/// Pause between two looks at what a router sees: its own checks come at about this pace.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest that a heartbeat may take; the next one comes anyway.
const BEAT: Duration = Duration::from_secs(4);

impl SshFleet {
    pub(super) async fn take(&self, job: &Job, step: &Step, router: &Router, expect: Option<u64>) -> Did {
        let claim = Claim {
            expect,
            hold: true,
            owner: job.owner.clone(),
            steal: job.plan.steal.clone(),
        };
        self.fence(job, &self.router(router), "fence", &claim, step.deadline())
            .await?;
        Ok((StepOutcome::Applied, Some(format!("epoch {}", job.fence.epoch))))
    }

    pub(super) async fn write(
        &self,
        job: &Job,
        step: &Step,
        router: &Router,
        name: &str,
        records: &Records,
    ) -> Did {
        let script = records.script(&job.fence);
        let output = self
            .mutate(job, &self.router(router), name, &script, step.deadline())
            .await?;
        if output.ok() {
            Ok((StepOutcome::Applied, None))
        } else {
            Err(StepError::failed(format!(
                "{}: {}",
                router.name,
                output.complaint()
            )))
        }
    }

    pub(super) async fn prepare(
        &self,
        job: &Job,
        router: &Router,
        name: &str,
        to: Pool,
    ) -> Result<Box<dyn Armed>, StepError> {
        job.go_on()?;
        let session = self.router(router);
        let pending = self.pending(job, &session);
        let work = Guarded {
            fence: &job.fence,
            step: name,
            lines: &pending.text,
            required: pending.required,
        };
        let armed = self
            .connector()?
            .arm(&session, &work, &Route::all(to), LEASE)
            .await?;
        job.ledger.delivered(session.name(), &pending);
        Ok(Box::new(Ready(armed)))
    }

    pub(super) async fn sees_up(
        &self,
        job: &Job,
        step: &Step,
        router: &Router,
        pool: Pool,
        need: usize,
    ) -> Did {
        let ready = |view: &RouterView| view.up(pool) >= need;
        let last = self
            .until(job, step, router, ready, |view| view.servers_in_words(pool))
            .await?;
        let words = last.servers_in_words(pool);
        if ready(&last) {
            return Ok((StepOutcome::Applied, Some(words)));
        }
        Err(StepError::failed(format!(
            "{}: sees {} of {} servers of {pool} up, expected at least {need} within {:?}: {words}\n\
             the hosts passed their own checks: can the router reach their web port?",
            router.name,
            last.up(pool),
            job.inventory.hosts(pool).len(),
            step.deadline(),
        )))
    }

    pub(super) async fn leave(&self, job: &Job, step: &Step, router: &Router) -> Did {
        job.go_on()?;
        let (pool, out) = (job.to(), &job.plan.without);
        let session = self.router(router);
        let pending = self.pending(job, &session);
        let work = Guarded {
            fence: &job.fence,
            step: "leave-out",
            lines: &pending.text,
            required: pending.required,
        };
        self.connector()?
            .leave_out(&session, &work, pool, out, step.deadline())
            .await?;
        job.ledger.delivered(session.name(), &pending);
        let up = |view: &RouterView| -> Vec<String> {
            let servers = view.backends.get(&pool).into_iter().flatten();
            let still = servers.filter(|server| server.up && out.contains(&server.name));
            still.map(|server| server.name.clone()).collect()
        };
        let words = |view: &RouterView| format!("still up: {}", up(view).join(", "));
        let last = self
            .until(job, step, router, |view| up(view).is_empty(), words)
            .await?;
        if !up(&last).is_empty() {
            return Err(StepError::failed(format!(
                "{}: expected {} to get no requests within {:?}, found {}",
                router.name,
                out.join(", "),
                step.deadline(),
                words(&last)
            )));
        }
        let done = if out.is_empty() {
            "all are in".to_owned()
        } else {
            format!("without {}", out.join(", "))
        };
        Ok((StepOutcome::Applied, Some(done)))
    }

    /// Looks at a router until it is ready, or the step's time is over; the last look.
    async fn until(
        &self,
        job: &Job,
        step: &Step,
        router: &Router,
        ready: impl Fn(&RouterView) -> bool,
        words: impl Fn(&RouterView) -> String,
    ) -> Result<RouterView, StepError> {
        let session = self.router(router);
        let deadline = Instant::now() + step.deadline();
        loop {
            job.go_on()?;
            let view = self
                .connector()?
                .observe(&session, router)
                .await
                .map_err(|error| StepError::failed(format!("{}: {error}", router.name)))?;
            if ready(&view) || Instant::now() >= deadline {
                return Ok(view);
            }
            job.progress(step, &router.name, words(&view));
            // The router is asked again: it has no way to tell us.
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn beat(&self, fence: &Fence, phase: &str) {
        let script = &Script::new(include_str!("heartbeat.sh"))
            .var("STATE", &fence.state_dir)
            .var("RUN", &fence.run)
            .var("PHASE", phase);
        // One that cannot be delivered is missed: that is what it tells the others.
        join_all(
            self.inventory
                .switch
                .routers
                .iter()
                .map(|router| async move { drop(self.router(router).read(script, BEAT).await) }),
        )
        .await;
    }
}

/// A router of the lab or the world that waits for the word.
struct Ready(ArmedFlip);

#[async_trait]
impl Armed for Ready {
    async fn commit(self: Box<Self>) -> Result<RouterView, StepError> {
        Ok(self.0.commit(COMMIT).await?)
    }
}
