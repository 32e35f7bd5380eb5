//! Gives the lock back. The epoch stays: what is late of this run is refused for ever.

use async_trait::async_trait;

use super::context::{Context, router_name};
use super::error::StepError;
use super::records::Records;
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
    let records = Records {
        lines: cx.journal_lines(),
        unlock: true,
        ..Records::default()
    };
    let script = &records.script(&cx.fence);
    cx.each(step, cx.routers(), router_name, |router| async move {
        // A router that this run never fenced has neither lock nor journal of it.
        let output = match cx
            .router(router)
            .mutate(&cx.fence, "unlock", script, step.deadline())
            .await
        {
            Err(error) if error.is_in_doubt() => return Err(error.into()),
            Err(crate::remote::RemoteError::Refused { .. }) => return Ok((StepOutcome::AlreadyDone, None)),
            other => other?,
        };
        if output.ok() {
            Ok((StepOutcome::Applied, None))
        } else {
            Err(StepError::failed(format!(
                "{}: {}",
                router.name,
                output.complaint()
            )))
        }
    })
    .await
}
