//! A simulated fleet under the real planner, dispatcher, steps and fold: runs are killed, put to sleep and raced at
//! every point, messages get lost, come late or twice, and a judge that shares nothing with the planner looks
//! at the servers after every effect.

mod fleet;
mod judge;
mod scene;
mod world;

pub use judge::Violation;
pub use scene::{Outcome, simulate};
pub use world::Protection;
