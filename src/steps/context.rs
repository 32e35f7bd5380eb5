//! What every step of a run shares.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;

use super::error::StepError;
use crate::compose::{OnHost, Project};
use crate::inventory::{Host, Inventory, Pool, Router};
use crate::plan::{Plan, Step};
use crate::remote::{Fence, Session, Sessions};
use crate::report::{Kind, Prober, Sink, StepOutcome};
use crate::switch::Connector;

/// Most servers that one step acts on at once.
const FAN_OUT: usize = 32;

/// What every step of a run shares. Only the dispatcher writes the journal; steps carry its newest
/// lines to the routers ([`Context::journal_lines`]).
pub struct Context {
    /// The environment.
    pub inventory: Arc<Inventory>,
    /// What is being executed.
    pub plan: Arc<Plan>,
    /// The servers.
    pub sessions: Sessions,
    /// Where everything seen goes.
    pub sink: Sink,
    /// What drives the routers.
    pub connector: Box<dyn Connector>,
    /// The run's right to change servers.
    pub fence: Fence,
    /// `owner.json` of this run.
    pub owner: String,
    /// Who watches the routers from outside.
    pub prober: Arc<Prober>,
    /// Journal lines that no router has yet.
    pub unshipped: Mutex<String>,
}

impl Context {
    /// The session of a router.
    pub fn router(&self, router: &Router) -> Session {
        self.sessions.session(&router.server())
    }

    /// The session of an app host.
    pub fn host(&self, host: &Host) -> Session {
        self.sessions.session(&host.server())
    }

    /// A pool's project on one of its hosts, with the Compose that the plan found there.
    ///
    /// # Errors
    /// When the plan names none: the host was not looked at.
    pub fn on_host<'a>(&'a self, project: &'a Project, host: &'a Host) -> Result<OnHost<'a>, StepError> {
        match self.plan.compose.get(&host.name) {
            Some(compose) => Ok(OnHost {
                project,
                compose,
                env: &host.env,
            }),
            None => Err(StepError::failed(format!(
                "{}: the plan does not say which Compose it has",
                host.name
            ))),
        }
    }

    /// The routers, first in order of the fence.
    pub fn routers(&self) -> &[Router] {
        &self.inventory.switch.routers
    }

    /// The hosts of the pool that the plan changes or makes hot.
    pub fn target_hosts(&self) -> &[Host] {
        self.inventory.hosts(self.plan.to)
    }

    /// The pool that the plan changes or makes hot.
    pub fn to(&self) -> Pool {
        self.plan.to
    }

    /// A live line for one server.
    pub fn progress(&self, step: &Step, target: &str, message: impl Into<String>) {
        self.sink.emit(Kind::Progress {
            phase: step.action.name().to_owned(),
            target: target.to_owned(),
            message: message.into(),
        });
    }

    /// The journal's lines that no router has yet, taken: the caller delivers them, or gives them
    /// back by [`Context::keep_lines`].
    pub fn journal_lines(&self) -> String {
        std::mem::take(&mut *self.unshipped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives back lines that could not be delivered.
    pub fn keep_lines(&self, lines: &str) {
        self.unshipped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert_str(0, lines);
    }

    /// Does something on every server of a step at once, waits for all of them, and reports each.
    /// What may change a server is never abandoned because another one failed.
    ///
    /// # Errors
    /// All servers' errors as one.
    pub async fn each<'a, T, F, R>(
        &'a self,
        step: &'a Step,
        targets: &'a [T],
        name: fn(&T) -> &str,
        run: F,
    ) -> Result<StepOutcome, StepError>
    where
        F: Fn(&'a T) -> R,
        R: Future<Output = Result<(StepOutcome, Option<String>), StepError>> + Send,
    {
        let futures: Vec<_> = targets
            .iter()
            .map(|target| (name(target), run(target)))
            .map(|(target, running)| async move {
                let since = Instant::now();
                let result = running.await;
                let (result_word, message) = match &result {
                    Ok((outcome, message)) => (*outcome, message.clone()),
                    Err(error) if error.in_doubt => (StepOutcome::InDoubt, Some(error.message.clone())),
                    Err(error) => (StepOutcome::NotDone, Some(error.message.clone())),
                };
                self.sink.emit(Kind::StepEnded {
                    phase: step.action.name().to_owned(),
                    target: target.to_owned(),
                    result: result_word,
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

/// For [`Context::each`].
pub fn host_name(host: &Host) -> &str {
    &host.name
}

/// For [`Context::each`].
pub fn router_name(router: &Router) -> &str {
    &router.name
}
