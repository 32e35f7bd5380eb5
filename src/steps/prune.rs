//! Removes old releases of the pool, and images that only they named.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use super::stage::name;
use crate::compose::Deployment;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Prune;

#[async_trait]
impl super::Step for Prune {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let deployment = Deployment {
                inventory: &cx.inventory,
                host,
                pool: cx.to(),
                release: &cx.plan.release,
            };
            let script = deployment.prune(cx.inventory.app.keep_releases);
            let output = cx
                .host(host)
                .mutate(&cx.fence, &name(cx, "prune"), &script, step.deadline())
                .await?;
            if !output.ok() {
                return Err(StepError::failed(format!(
                    "{}: {}",
                    host.name,
                    output.complaint()
                )));
            }
            let removed = output
                .stdout
                .lines()
                .filter(|line| line.starts_with("removed "))
                .count();
            let outcome = if removed == 0 {
                StepOutcome::AlreadyDone
            } else {
                StepOutcome::Applied
            };
            Ok((outcome, Some(format!("{removed} removed"))))
        })
        .await
    }
}
