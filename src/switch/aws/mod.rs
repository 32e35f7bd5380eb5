//! What Route 53 and the load balancers of AWS share: a small client that signs its requests and says what an error means.
//!
//! A question is asked again when no proper answer came. A change is sent again only where AWS said that it was not
//! done (throttled); everything else after sending is in doubt.

mod client;
mod keys;
mod problem;
mod sigv4;
mod skew;
pub(super) mod xml;

pub(super) use client::{Body, Call, Client, Service};
pub(super) use problem::{Fault, Said};
