//! Records on every router that the pool is proven with the release, and takes the claim off: from
//! here on a flip to this pool needs the routers alone.

use async_trait::async_trait;

use super::Context;
use super::claim::write;
use crate::fleet::{Records, StepError};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Prove;

#[async_trait]
impl super::Step for Prove {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let release = serde_json::to_string(&cx.job.plan.release).map_err(|error| {
            StepError::failed(format!("the release's record could not be written: {error}"))
        })?;
        let records = Records {
            proven: Some((cx.to(), release)),
            unclaim: Some(cx.to()),
            ..Records::default()
        };
        write(cx, step, "prove", &records).await
    }

    /// The pool is about to be stopped: it is claimed again before that.
    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        let records = Records {
            claim: Some(cx.to()),
            unproven: Some(cx.to()),
            ..Records::default()
        };
        write(cx, step, "unprove", &records).await.map(drop)
    }
}
