//! The step contract, and the steps of a plan, one file each.

mod check;
mod claim;
mod drain;
mod fence;
mod fence_hosts;
mod flip;
mod migrate;
mod prove;
mod prune;
mod router_check;
mod stage;
mod start;
mod unlock;
mod verify;

pub mod context;
pub mod error;
pub mod records;

use async_trait::async_trait;

pub use context::Context;
pub use error::{End, StepError};

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

/// The step of an action.
pub fn step_for(action: Action) -> &'static dyn Step {
    match action {
        Action::Fence => &fence::Fence,
        Action::Claim => &claim::Claim,
        Action::FenceHosts => &fence_hosts::FenceHosts,
        Action::Stage => &stage::Stage,
        Action::Migrate => &migrate::Migrate,
        Action::Start => &start::Start,
        Action::Check => &check::Check,
        Action::RouterCheck => &router_check::RouterCheck,
        Action::Prove => &prove::Prove,
        Action::Flip => &flip::Flip,
        Action::Verify => &verify::Verify,
        Action::Prune => &prune::Prune,
        Action::Unlock => &unlock::Unlock,
    }
}
