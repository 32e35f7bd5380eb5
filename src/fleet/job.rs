//! What is being done, and by what right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// Notes that nothing of the run is left in the pool.
    pub fn has_cleaned(&self) {
        self.cleaned.store(true, Ordering::Relaxed);
    }

    /// Whether nothing of the run is left in the pool.
    pub fn is_clean(&self) -> bool {
        self.cleaned.load(Ordering::Relaxed)
    }
}
