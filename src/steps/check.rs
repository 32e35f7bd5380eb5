//! Proves each host of the cold pool: nginx and Unicorn apart, and the release's identity.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::health::{Subject, prove};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Check;

#[async_trait]
impl super::Step for Check {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let project = &cx.inventory.project(cx.to());
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let session = cx.host(host);
            let subject = Subject {
                session: &session,
                project,
                checks: &cx.inventory.checks,
                identity: &cx.inventory.app.identity,
                tag: &cx.plan.release.tag,
                deadline: step.deadline(),
            };
            match prove(subject, &|words| cx.progress(step, &host.name, words)).await {
                Ok(words) => Ok((StepOutcome::Applied, Some(words))),
                Err(unhealthy) => Err(StepError::failed(unhealthy.to_string().trim_end())),
            }
        })
        .await
    }
}
