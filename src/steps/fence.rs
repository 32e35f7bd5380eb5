//! Takes the environment's lock and a new epoch: first by compare-and-set on the first router, so
//! that of two runs one wins; then on the others, all at once.

use async_trait::async_trait;

use super::context::{Context, router_name};
use super::error::StepError;
use super::records::Records;
use crate::inventory::Router;
use crate::plan;
use crate::remote::Claim;
use crate::report::StepOutcome;

pub(super) struct Fence;

#[async_trait]
impl super::Step for Fence {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        // The whole plan travels with the fence: the intent of the flip is on every router before
        // anything else is sent.
        let records = Records {
            lines: cx.journal_lines(),
            ..Records::default()
        };
        let script = &records.script(&cx.fence);
        let fence = |router: &Router, expect: Option<u64>| {
            let session = cx.router(router);
            let name = router.name.clone();
            async move {
                let claim = Claim {
                    expect,
                    hold: true,
                    owner: cx.owner.clone(),
                    steal: None,
                };
                let output = session
                    .fence(&cx.fence, "fence", &claim, script, step.deadline())
                    .await?;
                if output.ok() {
                    Ok((StepOutcome::Applied, Some(format!("epoch {}", cx.fence.epoch))))
                } else {
                    Err(StepError::failed(format!("{name}: {}", output.complaint())))
                }
            }
        };
        let Some((first, others)) = cx.routers().split_first() else {
            return Err(StepError::failed("the environment has no router"));
        };
        let first = std::slice::from_ref(first);
        cx.each(step, first, router_name, |r| {
            fence(r, Some(cx.plan.expects.first_epoch))
        })
        .await?;
        cx.each(step, others, router_name, |r| fence(r, None)).await?;
        Ok(StepOutcome::Applied)
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        super::unlock::unlock(cx, step).await.map(drop)
    }
}
