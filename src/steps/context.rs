//! What every step has: the job, and the fleet that carries it out.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;

use crate::fleet::{Did, Fleet, Job, StepError};
use crate::inventory::{Host, Pool, Router};
use crate::plan::Step;
use crate::report::{Kind, StepOutcome};
use crate::switch::RouterView;

/// Most servers that one step acts on at once.
const FAN_OUT: usize = 32;

/// What every step has.
pub struct Context {
    /// What is being done, and by what right.
    pub job: Job,
    /// The servers.
    pub fleet: Arc<dyn Fleet>,
}

impl Context {
    /// The pool that the plan changes or makes hot.
    pub fn to(&self) -> Pool {
        self.job.plan.to
    }

    /// The pool that traffic leaves.
    pub fn from(&self) -> Pool {
        self.job.plan.from
    }

    /// `-e ENV` of the next command.
    pub fn env(&self) -> &str {
        &self.job.inventory.env
    }

    /// What every router does now, each read; in the routers' order.
    pub async fn views(&self) -> Vec<(&Router, Result<RouterView, String>)> {
        let routers = self.job.routers();
        let views = join_all(routers.iter().map(|router| self.fleet.view(router))).await;
        routers.iter().zip(views).collect()
    }

    /// Does something on every router at once.
    ///
    /// # Errors
    /// As [`Context::each`].
    pub async fn on_routers<'a, F, R>(&'a self, step: &'a Step, run: F) -> Result<StepOutcome, StepError>
    where
        F: Fn(&'a Router) -> R,
        R: Future<Output = Did> + Send,
    {
        let routers: Vec<&Router> = self.job.routers().iter().collect();
        self.each(step, &routers, |router| &router.name, run).await
    }

    /// Does something on every host of the plan's pool at once.
    ///
    /// # Errors
    /// As [`Context::each`].
    pub async fn on_hosts<'a, F, R>(&'a self, step: &'a Step, run: F) -> Result<StepOutcome, StepError>
    where
        F: Fn(&'a Host) -> R,
        R: Future<Output = Did> + Send,
    {
        self.each(step, &self.job.hosts(), |host| &host.name, run).await
    }

    /// Does something on several servers at once, waits for all of them, and reports each. What may
    /// change a server is never abandoned because another one failed.
    ///
    /// # Errors
    /// All servers' errors as one.
    pub async fn each<'a, T, F, R>(
        &'a self,
        step: &'a Step,
        targets: &[&'a T],
        name: fn(&T) -> &str,
        run: F,
    ) -> Result<StepOutcome, StepError>
    where
        F: Fn(&'a T) -> R,
        R: Future<Output = Did> + Send,
    {
        let futures: Vec<_> = targets
            .iter()
            .map(|target| (name(target).to_owned(), run(target)))
            .map(|(target, running)| async move {
                let since = Instant::now();
                let result = running.await;
                let (word, message) = match &result {
                    Ok((outcome, message)) => (*outcome, message.clone()),
                    Err(error) if error.in_doubt => (StepOutcome::InDoubt, Some(error.message.clone())),
                    Err(error) => (StepOutcome::NotDone, Some(error.message.clone())),
                };
                self.job.sink.emit(Kind::StepEnded {
                    phase: step.action.name().to_owned(),
                    target,
                    result: word,
                    message,
                    elapsed_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                });
                result
            })
            .collect();
        let results: Vec<_> = stream::iter(futures).buffer_unordered(FAN_OUT).collect().await;
        let mut outcome = StepOutcome::AlreadyDone;
        let mut errors = Vec::new();
        for result in results {
            match result {
                Ok((StepOutcome::AlreadyDone, _)) => {}
                Ok((other, _)) => outcome = other,
                Err(error) => errors.push(error),
            }
        }
        match StepError::all(errors) {
            Some(error) => Err(error),
            None => Ok(outcome),
        }
    }
}
