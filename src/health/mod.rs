//! HTTP checks through SSH, release identity, diagnosis in words.

pub mod diagnosis;
mod probe;
mod prove;
pub mod tcp;
mod unhealthy;

pub use prove::{Subject, identity_of, prove};
pub use unhealthy::Unhealthy;
