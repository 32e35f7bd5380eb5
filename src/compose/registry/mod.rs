//! The registry's HTTP API, asked from the operator's machine: a tag is resolved to a digest once,
//! before any server is touched, and every server then pulls that digest.

mod auth;
mod build;
mod client;
mod error;
mod manifest;
pub mod on_host;
mod reference;
mod talk;

pub use client::{Client, Ping, Resolved};
pub use error::RegistryError;
pub use reference::{Digest, Reference};

use crate::inventory;

/// Resolves one image's tag to the digest that each architecture's servers can pull, and its size. `archs` are in
/// Docker's words (`amd64`); an empty list checks none. For several images make one [`Client`].
///
/// # Errors
/// [`RegistryError`].
pub async fn resolve(
    image: &str,
    registry: Option<&inventory::Registry>,
    archs: &[&str],
) -> Result<Resolved, RegistryError> {
    Client::new(registry)?.resolve(&image.parse()?, archs).await
}

#[cfg(test)]
mod tests;
