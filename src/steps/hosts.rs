//! The steps that do one thing on each host of the cold pool: stage, start, check, prune.

use async_trait::async_trait;

use super::Context;
use super::clean::clean_up;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

/// Sends the release's files to each host and pulls its images, by digest.
pub(super) struct Stage;

#[async_trait]
impl super::Step for Stage {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.on_hosts(step, |host| cx.fleet.stage(&cx.job, step, host))
            .await
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        clean_up(cx, step).await
    }
}

/// Starts the release's containers on each host, once nobody is served by what they replace.
pub(super) struct Start;

#[async_trait]
impl super::Step for Start {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        super::drain::drain(cx, step).await;
        cx.on_hosts(step, |host| cx.fleet.start(&cx.job, step, host))
            .await
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        clean_up(cx, step).await
    }
}

/// Proves each host: nginx and Unicorn apart, and the release's identity.
pub(super) struct Check;

#[async_trait]
impl super::Step for Check {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.on_hosts(step, |host| cx.fleet.check(&cx.job, step, host))
            .await
    }
}

/// Removes old releases of the pool, and images that no release that stays refers to.
pub(super) struct Prune;

#[async_trait]
impl super::Step for Prune {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.on_hosts(step, |host| cx.fleet.prune(&cx.job, step, host))
            .await
    }
}
