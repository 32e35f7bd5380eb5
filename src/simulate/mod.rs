//! A simulated fleet under the real planner, dispatcher, steps and fold: runs are killed, put to sleep and raced at
//! every point, messages get lost, come late or twice, disks are full, and a judge that shares nothing with the planner
//! looks at the servers after every effect.
//!
//! A run gives way whenever a message leaves and whenever it arrives, so it is killed before and after each intent,
//! send, effect, reply and outcome: between two of these nothing but its own memory changes, which dies with it.

mod campaign;
mod fleet;
mod judge;
mod scene;
mod wire;
mod world;

pub use campaign::{Tally, campaign};
pub use judge::Violation;
pub use scene::{Outcome, simulate};
pub use world::Protection;
