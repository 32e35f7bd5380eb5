//! Lowers how long answers of a name are cached, before anything else: what caches hold until then runs out meanwhile,
//! and what is left of it is waited out before the flip.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

/// Pause between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct LowerTtl;

#[async_trait]
impl super::Step for LowerTtl {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        cx.on_routers(step, |router| cx.fleet.lower_ttl(&cx.job, step, router))
            .await
    }
}

/// Waits until no cache holds an answer that was given out with a higher TTL; only where this run lowered it, as who goes
/// back, or flips by hand, wants it now.
///
/// # Errors
/// When the user stops it.
pub(super) async fn wait_out(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    if !cx.job.plan.has(plan::Action::LowerTtl) {
        return Ok(());
    }
    loop {
        let mut last = None;
        for (router, view) in cx.views().await {
            let long = view.ok().and_then(|view| view.caches?.long_until);
            if let Some(until) = long.filter(|until| *until > Timestamp::now()) {
                cx.job.progress(
                    step,
                    &router.name,
                    format!("waits until {until}, when the last answer of a higher TTL has run out"),
                );
                last = last.max(Some(until));
            }
        }
        let Some(until) = last else { return Ok(()) };
        while Timestamp::now() < until {
            cx.job.go_on()?;
            cx.fleet.pause(PAUSE).await;
        }
    }
}
