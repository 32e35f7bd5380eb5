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

/// Looks in all that may fail: some 10 s.
const UNREAD: u32 = 20;

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
    let mut unread = 0;
    loop {
        let mut last = None;
        for (router, view) in cx.views().await {
            let Ok(view) = view else {
                // One look that fails is no verdict; where all do, the flip itself says so.
                cx.job.go_on()?;
                unread += 1;
                if unread < UNREAD {
                    cx.fleet.pause(PAUSE).await;
                    last = last.max(Some(Timestamp::now()));
                }
                continue;
            };
            let long = view.caches.and_then(|caches| caches.long_until);
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
