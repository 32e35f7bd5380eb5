//! Takes the environment's lock and a new epoch: first by compare-and-set on the first router, so
//! that of two runs one wins; then on the others, all at once.

use async_trait::async_trait;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Fence;

#[async_trait]
impl super::Step for Fence {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let routers: Vec<_> = cx.job.routers().iter().collect();
        let Some((first, others)) = routers.split_first() else {
            return Err(StepError::failed("the environment has no router"));
        };
        let expect = Some(cx.job.plan.expects.first_epoch);
        cx.each(
            step,
            &[*first],
            |router| &router.name,
            |router| cx.fleet.fence_router(&cx.job, step, router, expect),
        )
        .await?;
        cx.each(
            step,
            others,
            |router| &router.name,
            |router| cx.fleet.fence_router(&cx.job, step, router, None),
        )
        .await?;
        Ok(StepOutcome::Applied)
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        super::unlock::unlock(cx, step).await.map(drop)
    }
}
