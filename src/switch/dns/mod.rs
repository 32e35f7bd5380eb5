//! DNS: the records of one name are one pool's or the other's.

pub mod ask;
pub mod cloudflare;
pub mod digitalocean;
pub mod forward;
pub mod lookup;
pub mod name;
mod note;
pub mod place;
pub mod powerdns;
mod records;
pub mod rfc2136;
pub mod route53;
mod web;
pub mod zone;

pub use lookup::ByResolver;
pub use name::Name;
pub use route53::Route53;
pub use zone::{Kind, RecordSet, Replace, Share, Zone};
