//! Runs the migration: once per deploy, from one cold host, in the new image with the new env, before
//! the pool starts.

use async_trait::async_trait;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Migrate;

#[async_trait]
impl super::Step for Migrate {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let hosts = cx.job.hosts();
        let first: Vec<_> = hosts.into_iter().take(1).collect();
        cx.each(
            step,
            &first,
            |host| &host.name,
            |host| cx.fleet.migrate(&cx.job, step, host),
        )
        .await
    }
}
