//! What people and programs see: one typed stream of events, and its readers.

pub mod event;
mod ndjson;
mod prober;
pub mod receipt;
mod record;
mod stream;
mod terminal;

pub use event::{Event, Kind, StepOutcome};
pub use prober::{Awaited, Lookup, ProbeTarget, Prober, UNRESOLVED};
pub use receipt::{Receipt, RouterReceipt};
pub use stream::{Output, Sink, Stream, Verbosity, channel};
