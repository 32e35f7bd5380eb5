//! What is being done, and by what right.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StepError;
use super::error::End;
use crate::inventory::{Host, Inventory, Pool, Router};
use crate::journal::Ledger;
use crate::plan::{Plan, Step};
use crate::remote::Fence;
use crate::report::{Kind, Sink};

/// Turns true when the user wants the run to stop.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// One run's work: what, where, by what right, and who hears of it.
pub struct Job {
    /// The environment.
    pub inventory: Arc<Inventory>,
    /// What is being executed.
    pub plan: Arc<Plan>,
    /// The run's right to change servers.
    pub fence: Fence,
    /// `owner.json` of this run.
    pub owner: String,
    /// The journal's lines, and who has them.
    pub ledger: Ledger,
    /// Where everything seen goes.
    pub sink: Sink,
    /// Whether the user wants it to stop.
    pub stop: Stop,
    /// Whether what the run put into the pool was taken away again.
    pub cleaned: AtomicBool,
    /// Routers that were told to move and did not answer, not even when their lock was asked for: they may obey late.
    pub late: Mutex<BTreeSet<String>>,
}

impl Job {
    /// The routers, first in order of the fence.
    pub fn routers(&self) -> &[Router] {
        &self.inventory.switch.routers
    }

    /// The hosts of the pool that the plan changes or makes hot.
    pub fn hosts(&self) -> Vec<&Host> {
        self.inventory.hosts(self.plan.to).iter().collect()
    }

    /// The pool that the plan changes or makes hot.
    pub fn to(&self) -> Pool {
        self.plan.to
    }

    /// Nothing more is sent once the user wants it to stop.
    ///
    /// # Errors
    /// [`End::Interrupted`].
    pub fn go_on(&self) -> Result<(), StepError> {
        if *self.stop.borrow() {
            Err(StepError::failed("stopped by the user").ending(End::Interrupted))
        } else {
            Ok(())
        }
    }

    /// A live line for one server.
    pub fn progress(&self, step: &Step, target: &str, message: impl Into<String>) {
        self.sink.emit(Kind::Progress {
            phase: step.action.name().to_owned(),
            target: target.to_owned(),
            message: message.into(),
        });
    }

    /// Notes that a router may still obey a word that it has not answered.
    pub fn may_be_late(&self, router: &Router) {
        self.late().insert(router.name.clone());
    }

    /// Whether a router may still obey a word that it has not answered.
    pub fn is_late(&self, router: &Router) -> bool {
        self.late().contains(&router.name)
    }

    fn late(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that nothing of the run is left in the pool.
    pub fn has_cleaned(&self) {
        self.cleaned.store(true, Ordering::Relaxed);
    }

    /// Whether nothing of the run is left in the pool.
    pub fn is_clean(&self) -> bool {
        self.cleaned.load(Ordering::Relaxed)
    }
}
