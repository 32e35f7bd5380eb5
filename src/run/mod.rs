//! Executes plans: the dispatcher, the journal, and how a run ends.

mod dispatch;
pub mod journal;

pub use dispatch::{Finished, execute};
