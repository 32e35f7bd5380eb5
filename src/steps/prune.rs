//! Removes old releases of the pool, and images that no release that stays refers to.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use super::stage::name;
use crate::compose::prune::{prunable, prune, pruned};
use crate::compose::releases::{parse_releases, releases};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Prune;

#[async_trait]
impl super::Step for Prune {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let project = &cx.inventory.project(cx.to());
        // What a pool runs, or is recorded as proven with, always stays.
        let running = std::iter::once(&cx.plan.release)
            .chain(&cx.plan.old)
            .map(|release| release.id.clone());
        let protected: &BTreeSet<String> = &running.collect();
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let session = cx.host(host);
            let failed = |words: String| StepError::failed(format!("{}: {words}", host.name));
            let kept = session.read(&releases(project), step.deadline()).await?;
            let kept = parse_releases(&kept).map_err(|error| failed(error.to_string()))?;
            let spare = prunable(&kept, cx.to(), cx.inventory.app.keep_releases, protected);
            if spare.releases.is_empty() && spare.images.is_empty() {
                return Ok((StepOutcome::AlreadyDone, None));
            }
            let output = session
                .mutate(
                    &cx.fence,
                    &name(cx, "prune"),
                    &prune(project, &spare),
                    step.deadline(),
                )
                .await?;
            let gone = pruned(&output).map_err(|error| failed(error.to_string()))?;
            let words = format!(
                "{} releases and {} images removed",
                gone.releases.len(),
                gone.images.len()
            );
            Ok((StepOutcome::Applied, Some(words)))
        })
        .await
    }
}
