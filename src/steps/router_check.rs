//! Waits until every router itself sees enough of the pool's servers up: what is healthy from the
//! host need not be from the load balancer (FAULTS.md 52, 64).

use async_trait::async_trait;

use super::Context;
use crate::fleet::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct RouterCheck;

#[async_trait]
impl super::Step for RouterCheck {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let pool = cx.to();
        let need = cx.job.inventory.servers_needed(pool);
        cx.on_routers(step, |router| cx.fleet.wait_up(&cx.job, step, router, pool, need))
            .await
    }
}
