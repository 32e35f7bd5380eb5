//! Proof that a host serves the release that it should: HTTP checks through SSH, the release's own
//! word for who it is, and, when the proof fails, what went wrong in words an operator can act on.
//!
//! [`check_host`] watches one host until all of its checks and its identity hold at once. It reaches
//! ports through [`Reach`] and looks at containers through [`Project`], so that all of it is tested
//! against plain sockets.

mod ask;
mod board;
mod check;
mod crash;
pub mod diagnosis;
pub mod direct;
mod fault;
mod history;
mod http;
pub mod identity;
mod post_mortem;
mod probe;
mod reach;
mod speaks;
mod streak;
pub mod tcp;
#[cfg(test)]
mod testing;
mod text;
mod unhealthy;
pub mod watch;
mod web;

pub use check::{CheckError, Healthy, Project, Proof, check_host};
pub use diagnosis::Diagnosis;
pub use fault::{Fault, Place};
pub use history::History;
pub use reach::{Connection, Reach, Stream, Tunnels};
pub use unhealthy::Unhealthy;
