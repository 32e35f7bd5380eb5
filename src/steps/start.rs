//! Starts the release's containers on each host of the cold pool.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::{End, StepError};
use super::stage::name;
use crate::compose::prune::{Prunable, prune, pruned};
use crate::compose::start::{start, started};
use crate::compose::stop::{stop, stopped};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Start;

#[async_trait]
impl super::Step for Start {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let release = &cx.plan.release;
        let services: &Vec<&str> = &release
            .images
            .iter()
            .map(|image| image.service.as_str())
            .collect();
        let project = &cx.inventory.project(cx.to());
        super::drain::drain(cx, step).await;
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let script = start(cx.on_host(project, host)?, release);
            let output = cx
                .host(host)
                .mutate(&cx.fence, &name(cx, "start"), &script, step.deadline())
                .await?;
            started(&output, release, services)
                .map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.hint()))?;
            Ok((StepOutcome::Applied, Some(format!("{} started", release.tag))))
        })
        .await
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        clean_up(cx, step).await
    }
}

/// Takes what the run put into the cold pool away again, once every router was read as not using it.
pub(super) async fn clean_up(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    let pool = cx.to();
    // Invariant 3: unknown counts as using.
    super::flip::expect_cold(cx, pool).await.map_err(|error| {
        let end = if error.end == End::InDoubt {
            End::InDoubt
        } else {
            End::Stuck
        };
        StepError::failed(format!(
            "{pool} is left as it is, because not every router is known to be off it: {error}"
        ))
        .ending(end)
    })?;
    let project = cx.inventory.project(pool);
    let stop_script = &stop(&project);
    // What was made for this run goes; a release that the hosts kept before stays kept.
    let unproven = Prunable {
        releases: vec![cx.plan.release.id.clone()],
        images: Vec::new(),
    };
    let forget = &(!cx.plan.retained).then(|| prune(&project, &unproven));
    cx.each(step, cx.target_hosts(), host_name, |host| async move {
        let stuck = |words: String| StepError::failed(format!("{}: {words}", host.name)).ending(End::Stuck);
        let session = cx.host(host);
        // `stage` and `start` are undone alike; each undo is a record of its own.
        let record = |what: &str| name(cx, &format!("undo-{}-{what}", step.action.name()));
        let output = session
            .mutate(&cx.fence, &record("stop"), stop_script, step.deadline())
            .await?;
        stopped(&output).map_err(|error| stuck(error.to_string()))?;
        if let Some(script) = forget {
            let output = session
                .mutate(&cx.fence, &record("forget"), script, step.deadline())
                .await?;
            pruned(&output).map_err(|error| stuck(error.to_string()))?;
        }
        Ok((StepOutcome::Applied, Some("cleaned up".to_owned())))
    })
    .await
    .map(drop)
}
