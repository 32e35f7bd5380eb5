//! Takes the environment's lock and a new epoch: first by compare-and-set on the first router, so
//! that of two runs one wins; then on the others, all at once.

use async_trait::async_trait;

use super::Context;
use crate::fleet::{End, StepError};
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

    /// A run that lost its lock may have been alive, and may have acted since the plan was made.
    async fn verify(&self, cx: &Context, _: &plan::Step) -> Result<(), StepError> {
        let plan = &cx.job.plan;
        if plan.steal.is_empty() || plan.expects.routers.is_empty() {
            return Ok(());
        }
        let found = cx.fleet.routers().await.routers_in_words();
        if found == plan.expects.routers {
            return Ok(());
        }
        let message = format!(
            "run {} went on until its lock was taken over: expected\n{}\nfound\n{}",
            plan.steal.join(", "),
            plan.expects.routers.join("\n"),
            found.join("\n")
        );
        Err(StepError {
            stale: true,
            ..StepError::failed(message).ending(End::Interrupted)
        })
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        super::unlock::unlock(cx, step).await.map(drop)
    }
}
