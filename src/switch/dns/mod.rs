//! DNS: the records of one name are one pool's or the other's.

pub mod cloudflare;
pub mod digitalocean;
pub mod powerdns;
mod web;
pub mod zone;

pub use zone::{Kind, RecordSet, Replace, Zone};
