//! Executes plans: from a wish to its end, on whatever fleet.

mod dispatch;
mod heart;
mod start;

pub use dispatch::{Finished, execute};
pub use heart::SILENT;
pub use start::{Ran, Request, make, run, run_of};
