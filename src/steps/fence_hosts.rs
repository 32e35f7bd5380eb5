//! Fences the hosts of a pool: what an older run still has under way there is refused from here on.

use async_trait::async_trait;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct FenceHosts;

#[async_trait]
impl super::Step for FenceHosts {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        fence_hosts(cx, step).await
    }
}

/// Fences every host of the plan's pool.
pub(super) async fn fence_hosts(cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
    cx.on_hosts(step, |host| cx.fleet.fence_host(&cx.job, step, host))
        .await
}
