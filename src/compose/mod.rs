//! Pure builders of docker and compose scripts, and readers of their output. Nothing here runs
//! anything: what changes a server is run under the guard by the steps.

pub mod containers;
mod deployment;
pub mod file;
pub mod host;
pub mod pull;
pub mod registry;
pub mod release;

pub use containers::{Container, containers, exec, logs, parse_containers};
pub use deployment::Deployment;
pub use file::ComposeFile;
pub use host::HostFacts;
pub use release::{PinnedImage, Release};
