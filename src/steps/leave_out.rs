//! Leaves hosts out of the routers, and puts back in those that a run without them had left out. Both before the
//! pool is started, under its claim: nobody flips to a claimed pool.

use async_trait::async_trait;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct LeaveOut;

/// It has no undo: who is left out is not fenced, and stays out until a deploy with it has fenced it and given it a
/// fresh release; who was put in again is fenced, and in a pool that is not proven.
#[async_trait]
impl super::Step for LeaveOut {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.on_routers(step, |router| cx.fleet.leave_out(&cx.job, step, router))
            .await
    }
}
