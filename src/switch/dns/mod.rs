//! DNS: the records of one name are one pool's or the other's.

pub mod route53;
pub mod zone;

pub use route53::Route53;
pub use zone::{Kind, RecordSet, Replace, Zone};
