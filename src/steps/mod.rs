//! The step contract, and the steps of a plan, one file each.

mod claim;
mod clean;
mod context;
mod drain;
mod fence;
mod fence_hosts;
mod flip;
mod hosts;
mod leave_out;
mod left;
mod lower_ttl;
mod migrate;
mod prove;
mod router_check;
mod unlock;
mod verify;

use async_trait::async_trait;

pub use context::Context;

use crate::fleet::StepError;
use crate::plan::{self, Action};
use crate::report::StepOutcome;

/// What one action does. Every function may be called again after a crash: each looks at the world
/// first, or does what does not matter twice.
#[async_trait]
pub trait Step: Send + Sync {
    /// Does it. The dispatcher has written the intent before this is called.
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError>;

    /// Looks whether it holds, with other eyes than those that did it.
    async fn verify(&self, _cx: &Context, _step: &plan::Step) -> Result<(), StepError> {
        Ok(())
    }

    /// Takes it back; also called when it failed or is in doubt.
    async fn undo(&self, _cx: &Context, _step: &plan::Step) -> Result<(), StepError> {
        Ok(())
    }
}

/// Sends the newest journal lines to every router, with nothing else.
///
/// # Errors
/// When a router could not be told.
pub async fn tell_routers(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    claim::write(cx, step, "tell", &crate::fleet::Records::default())
        .await
        .map(drop)
}

/// The step of an action.
pub fn step_for(action: Action) -> &'static dyn Step {
    match action {
        Action::Fence => &fence::Fence,
        Action::LowerTtl => &lower_ttl::LowerTtl,
        Action::Claim => &claim::Claim,
        Action::FenceHosts => &fence_hosts::FenceHosts,
        Action::LeaveOut => &leave_out::LeaveOut,
        Action::Stage => &hosts::Stage,
        Action::Migrate => &migrate::Migrate,
        Action::Start => &hosts::Start,
        Action::Check => &hosts::Check,
        Action::RouterCheck => &router_check::RouterCheck,
        Action::Prove => &prove::Prove,
        Action::Flip => &flip::Flip,
        Action::Verify => &verify::Verify,
        Action::Prune => &hosts::Prune,
        Action::Clean => &clean::Clean,
        Action::Unclaim => &claim::Unclaim,
        Action::Unlock => &unlock::Unlock,
    }
}
