//! Starts the release's containers on each host of the cold pool.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::{End, StepError};
use super::stage::name;
use crate::compose::Deployment;
use crate::health::diagnosis::{self, Evidence};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Start;

#[async_trait]
impl super::Step for Start {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let deployment = Deployment {
                inventory: &cx.inventory,
                host,
                pool: cx.to(),
                release: &cx.plan.release,
            };
            let output = cx
                .host(host)
                .mutate(
                    &cx.fence,
                    &name(cx, "start"),
                    &deployment.start(),
                    step.deadline(),
                )
                .await?;
            if output.ok() {
                return Ok((
                    StepOutcome::Applied,
                    Some(format!("{} started", cx.plan.release.tag)),
                ));
            }
            let said = format!("{}\n{}", output.stdout.trim(), output.stderr.trim());
            let lines: Vec<String> = said.lines().map(str::to_owned).collect();
            let cause = cause("Compose", &lines);
            Err(StepError::failed(format!(
                "{}: Compose could not start it{cause}\n{}",
                host.name,
                said.trim()
            )))
        })
        .await
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        clean_up(cx, step).await
    }
}

/// What the last words of a command come from, as lines to add to a message; nothing where unknown.
pub(super) fn cause(said_by: &str, lines: &[String]) -> String {
    let logs = [(said_by.to_owned(), lines.to_vec())];
    let facts = lines.join("\n");
    let evidence = Evidence {
        logs: &logs,
        facts: &facts,
        ..Evidence::default()
    };
    diagnosis::diagnose(&evidence).map_or(String::new(), |found| {
        format!("\n  problem   {}\n  cure      {}", found.what, found.cure)
    })
}

/// Takes what the run put into the cold pool away again, once every router was read as not using it.
pub(super) async fn clean_up(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    let pool = cx.to();
    // Invariant 3: unknown counts as using.
    super::flip::expect_cold(cx, pool).await.map_err(|error| {
        StepError::failed(format!(
            "{pool} is left as it is, because not every router is known to be off it: {error}"
        ))
        .ending(End::Stuck)
    })?;
    // What was made for this run goes; a release that the hosts kept before stays kept.
    let forget = cx.plan.release.run == cx.fence.run;
    cx.each(step, cx.target_hosts(), host_name, |host| async move {
        let deployment = Deployment {
            inventory: &cx.inventory,
            host,
            pool,
            release: &cx.plan.release,
        };
        let script = deployment.stop(forget);
        // Undo of `stage` and of `start` are the same; each is a record of its own.
        let record = format!("undo-{}-{pool}", step.action.name());
        let output = cx
            .host(host)
            .mutate(&cx.fence, &record, &script, step.deadline())
            .await?;
        if output.ok() {
            Ok((StepOutcome::Applied, Some("cleaned up".to_owned())))
        } else {
            Err(StepError::failed(format!("{}: {}", host.name, output.complaint())).ending(End::Stuck))
        }
    })
    .await
    .map(drop)
}
