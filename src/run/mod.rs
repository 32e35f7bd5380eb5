//! Executes plans: from a wish to its end, on whatever fleet.

mod dispatch;
mod heart;
mod start;

pub use dispatch::{Finished, execute};
pub use start::{PLANS, Ran, Request, make, numbered, run, run_of};
