//! The journal of a run: JSON Lines, written ahead, chained; read and folded by any machine.
//! The dispatcher is its only writer; copies ride along to the anchor servers ([`Ledger`]).

mod file;
mod fold;
mod ledger;
mod line;

pub use file::{FileLog, local_folder};
pub use fold::{Entered, FoldError, Progress, Verdict, fold};
pub use ledger::{Ledger, Pending};
pub use line::{FORMAT, Journal, Line, LineKind, Log, read};
