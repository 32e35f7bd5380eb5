//! The dispatcher, the fence and the journal.
