//! DNS: the records of one name are one pool's or the other's.

pub mod ask;
pub mod cloudflare;
pub mod digitalocean;
pub mod lookup;
pub mod name;
mod note;
pub mod place;
pub mod powerdns;
mod records;
pub mod rfc2136;
mod web;
pub mod zone;

pub use lookup::ByResolver;
pub use name::Name;
pub use zone::{Kind, RecordSet, Replace, Zone};
