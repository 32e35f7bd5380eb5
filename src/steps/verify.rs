//! Sees the new release through every router, with the prober's eyes, and asks the hosts of the
//! hot pool which release they are.

use std::time::Duration;

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
        let in_a_row = in_a_row(cx);
        if let Err(missing) = cx.fleet.answers(&cx.job, tag, in_a_row, step.deadline()).await {
            watch(cx, tag, Duration::ZERO).await?;
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

/// So many answers in a row for each host hardly come about while one host still answers as another: of 20 hosts once in
/// 10^6 times, of 2 never. That routers take servers in turns does not help: users' requests come in between.
const PER_HOST: usize = 15;
/// Longest that those may take, in seconds of the prober: a large pool must not hold a deploy up for minutes.
const AT_MOST: usize = 10;

/// How many answers in a row show that nobody answers as the old release any more. A deploy has seen nothing of this
/// release through the routers yet, so it looks for a second at least. What is flipped to by hand was seen before, and
/// is wanted now.
fn in_a_row(cx: &Context) -> u32 {
    let hosts = cx.job.hosts().len();
    let rate = usize::try_from(cx.job.inventory.switch.probe_rate).unwrap_or(usize::MAX);
    let answers = match cx.job.plan.intent {
        plan::Intent::Deploy { .. } | plan::Intent::Resume { .. } => {
            (hosts * PER_HOST).clamp(rate, rate.saturating_mul(AT_MOST))
        }
        plan::Intent::Flip { .. }
        | plan::Intent::Rollback { .. }
        | plan::Intent::Abort { .. }
        | plan::Intent::Prune { .. } => hosts * 2,
    };
    u32::try_from(answers).unwrap_or(u32::MAX)
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
    watch(cx, tag, time).await
}

/// # Errors
/// When errors have risen since traffic moved, or rise within this time.
async fn watch(cx: &Context, tag: &str, time: Duration) -> Result<(), StepError> {
    cx.fleet.bake(&cx.job, tag, time).await.map_err(|risen| {
        let pool = cx.to();
        let message = format!(
            "errors rose after traffic had moved to {pool}:\n{}",
            risen.join("\n")
        );
        StepError::failed(message).ending(End::RolledBack)
    })
}
