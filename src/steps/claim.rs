//! Claims a pool on every router, makes sure under the new epoch that no router uses it, and
//! fences its hosts: only then may the pool be changed (DESIGN.md 6).

use async_trait::async_trait;

use super::Context;
use crate::fleet::{Records, StepError};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Claim;

#[async_trait]
impl super::Step for Claim {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let pool = cx.to();
        super::left::wait(cx, step).await?;
        let records = Records {
            claim: Some(pool),
            unproven: Some(pool),
            ..Records::default()
        };
        write(cx, step, "claim", &records).await?;
        super::flip::expect_cold(cx, pool).await?;
        super::fence_hosts::fence_hosts(cx, step).await
    }

    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        // What another run had claimed before stays claimed until it was cleaned or proven: that
        // run's late commands may still reach a host that was not fenced.
        if cx.job.plan.reclaims && !cx.job.is_clean() {
            return Ok(());
        }
        unclaim(cx, step).await.map(drop)
    }
}

/// Takes the claim off a pool that was cleaned.
pub(super) struct Unclaim;

#[async_trait]
impl super::Step for Unclaim {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        unclaim(cx, step).await
    }
}

async fn unclaim(cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
    let records = Records {
        unclaim: Some(cx.to()),
        ..Records::default()
    };
    write(cx, step, "unclaim", &records).await
}

/// Writes records on every router.
pub(super) async fn write(
    cx: &Context,
    step: &plan::Step,
    name: &str,
    records: &Records,
) -> Result<StepOutcome, StepError> {
    cx.on_routers(step, |router| {
        cx.fleet.record(&cx.job, step, router, name, records)
    })
    .await
}
