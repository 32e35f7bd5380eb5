//! Gives the lock back. The epoch stays: what is late of this run is refused for ever.

use async_trait::async_trait;

use super::Context;
use crate::fleet::{Records, StepError};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Unlock;

#[async_trait]
impl super::Step for Unlock {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        unlock(cx, step).await
    }
}

/// Takes this run's lock off every router that has it; also delivers the journal's last lines.
pub(super) async fn unlock(cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
    let records = &Records {
        unlock: true,
        ..Records::default()
    };
    cx.on_routers(step, |router| async move {
        match cx.fleet.record(&cx.job, step, router, "unlock", records).await {
            // A router that this run never fenced has neither lock nor journal of it.
            Err(error) if error.unfenced => Ok((StepOutcome::AlreadyDone, None)),
            other => other,
        }
    })
    .await
}
