//! Takes what a run put into the cold pool away again, once every router was read as not using it.

use async_trait::async_trait;

use super::Context;
use crate::fleet::{End, StepError};
use crate::plan;
use crate::report::StepOutcome;

/// The step of `abort`.
pub(super) struct Clean;

#[async_trait]
impl super::Step for Clean {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        clean_up(cx, step).await.map(|()| StepOutcome::Applied)
    }
}

/// Cleans the plan's pool.
pub(super) async fn clean_up(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    if cx.job.is_clean() {
        return Ok(());
    }
    let pool = cx.to();
    // Invariant 3: unknown counts as using.
    super::flip::expect_cold(cx, pool).await.map_err(|error| {
        let end = match error.end {
            End::InDoubt => End::InDoubt,
            _ => End::Stuck,
        };
        StepError::failed(format!(
            "{pool} is left as it is, because not every router is known to be off it: {error}"
        ))
        .ending(end)
    })?;
    cx.on_hosts(step, |host| cx.fleet.clean(&cx.job, step, host))
        .await?;
    cx.job.has_cleaned();
    Ok(())
}
