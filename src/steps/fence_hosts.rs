//! Fences the hosts of a pool: what an older run still has under way there is refused from here on.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use super::stage::name;
use crate::plan;
use crate::remote::{Claim, Script};
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
    let nothing = &Script::new(":");
    cx.each(step, cx.target_hosts(), host_name, |host| async move {
        let claim = Claim {
            owner: cx.owner.clone(),
            ..Claim::default()
        };
        cx.host(host)
            .fence(&cx.fence, &name(cx, "fence"), &claim, nothing, step.deadline())
            .await?;
        Ok((StepOutcome::Applied, Some("fenced".to_owned())))
    })
    .await
}
