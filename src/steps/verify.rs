//! Sees the new release through every router, with the prober's eyes, and asks the hosts of the
//! hot pool which release they are.

use async_trait::async_trait;

use super::Context;
use crate::fleet::{End, StepError};
use crate::plan;
use crate::report::{Kind, StepOutcome};

pub(super) struct Verify;

#[async_trait]
impl super::Step for Verify {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let tag = &cx.job.plan.release.tag;
        if bakes(cx) {
            cx.fleet.count_errors();
        }
        // Routers spread requests over the pool's servers: this many answers in a row have met each.
        let in_a_row = u32::try_from(cx.job.hosts().len() * 2).unwrap_or(u32::MAX);
        if let Err(missing) = cx.fleet.answers(&cx.job, tag, in_a_row, step.deadline()).await {
            let message = format!(
                "expected {in_a_row} answers of {tag} in a row through every router within {:?}, not seen through {}",
                step.deadline(),
                missing.join(", ")
            );
            return Err(StepError::failed(message).ending(End::RolledBack));
        }
        bake(cx, step, tag).await?;
        for router in cx.job.routers() {
            cx.job.sink.emit(Kind::StepEnded {
                phase: step.action.name().to_owned(),
                target: router.name.clone(),
                result: StepOutcome::Applied,
                message: Some(format!("answers as {tag}")),
                elapsed_ms: 0,
            });
        }
        Ok(StepOutcome::Applied)
    }
}

/// A rollback or a flip by hand is what somebody wants now, so it is not held up.
fn bakes(cx: &Context) -> bool {
    !cx.job.inventory.switch.bake.is_zero() && matches!(cx.job.plan.intent, plan::Intent::Deploy { .. })
}

/// Goes on watching after a deploy.
async fn bake(cx: &Context, step: &plan::Step, tag: &str) -> Result<(), StepError> {
    let time = cx.job.inventory.switch.bake;
    if !bakes(cx) {
        return Ok(());
    }
    for router in cx.job.routers() {
        cx.job
            .progress(step, &router.name, format!("watches {tag} for {time:?}"));
    }
    cx.fleet.bake(&cx.job, tag, time).await.map_err(|risen| {
        let pool = cx.to();
        let message = format!(
            "errors rose after traffic had moved to {pool}:\n{}",
            risen.join("\n")
        );
        StepError::failed(message).ending(End::RolledBack)
    })
}
