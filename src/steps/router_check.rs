//! Waits until every router itself sees enough of the pool's servers up: what is healthy from the
//! host need not be from the load balancer (FAULTS.md 52, 64).

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::context::{Context, router_name};
use super::error::StepError;
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct RouterCheck;

/// Pause between two looks: the routers' own checks come at about this pace.
const PAUSE: Duration = Duration::from_millis(200);

#[async_trait]
impl super::Step for RouterCheck {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let pool = cx.to();
        let need = cx.inventory.servers_needed(pool);
        let deadline = Instant::now() + step.deadline();
        cx.each(step, cx.routers(), router_name, |router| async move {
            let session = cx.router(router);
            loop {
                let view = cx.connector.observe(&session, router).await.map_err(|error| {
                    StepError::failed(format!("{}: {error}", router.name))
                })?;
                let up = view.up(pool);
                let words = view.servers_in_words(pool);
                if up >= need {
                    return Ok((StepOutcome::Applied, Some(words)));
                }
                if Instant::now() >= deadline {
                    return Err(StepError::failed(format!(
                        "{}: sees {up} of {} servers of {pool} up, expected at least {need} within {:?}: {words}\n\
                         the hosts passed their own checks: can the router reach their web port?",
                        router.name,
                        cx.target_hosts().len(),
                        step.deadline(),
                    )));
                }
                cx.progress(step, &router.name, words);
                // The router is asked again: it has no way to tell us.
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await
    }
}
