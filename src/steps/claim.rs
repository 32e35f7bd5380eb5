//! Claims a pool on every router, makes sure under the new epoch that no router uses it, and
//! fences its hosts: only then may the pool be changed (DESIGN.md 6).

use async_trait::async_trait;

use super::context::{Context, router_name};
use super::error::{End, StepError};
use super::records::Records;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Claim;

#[async_trait]
impl super::Step for Claim {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let pool = cx.to();
        let records = Records {
            lines: cx.journal_lines(),
            claim: Some(pool),
            unproven: Some(pool),
            ..Records::default()
        };
        write(cx, step, "claim", &records).await?;
        super::flip::expect_cold(cx, pool).await?;
        super::fence_hosts::fence_hosts(cx, step).await
    }

    /// The pool's containers are gone by now (`start` is undone first), so nothing is half-changed.
    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        let records = Records {
            lines: cx.journal_lines(),
            unclaim: Some(cx.to()),
            ..Records::default()
        };
        write(cx, step, "unclaim", &records).await.map(drop)
    }
}

/// Writes records on every router.
pub(super) async fn write(
    cx: &Context,
    step: &plan::Step,
    name: &str,
    records: &Records,
) -> Result<StepOutcome, StepError> {
    let script = &records.script(&cx.fence);
    let written = cx
        .each(step, cx.routers(), router_name, |router| async move {
            let output = cx
                .router(router)
                .mutate(&cx.fence, name, script, step.deadline())
                .await?;
            if output.ok() {
                Ok((StepOutcome::Applied, None))
            } else {
                Err(StepError::failed(format!("{}: {}", router.name, output.complaint())).ending(End::Failed))
            }
        })
        .await;
    if written.is_err() {
        cx.keep_lines(&records.lines);
    }
    written
}
