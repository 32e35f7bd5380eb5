//! DNS: the records of one name are one pool's or the other's.

pub mod ask;
pub mod rfc2136;
pub mod zone;

pub use zone::{Kind, RecordSet, Replace, Zone};
