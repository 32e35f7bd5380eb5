//! What people and programs see: events, terminal, NDJSON, the flip receipt.

pub mod event;
pub mod receipt;

pub use event::{Event, Kind, StepOutcome};
pub use receipt::{Receipt, RouterReceipt};
