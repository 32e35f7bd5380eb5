//! A release: what a pool runs, by digest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::inventory::Pool;

/// One service's image, resolved once (invariant 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedImage {
    /// The Compose service.
    pub service: String,
    /// The image as the Compose file names it, with the tag filled in.
    pub reference: String,
    /// `sha256:...` of the manifest that all hosts pull.
    pub digest: String,
    /// Bytes of its compressed layers; 0 where the registry did not say.
    #[serde(default)]
    pub size: u64,
}

impl PinnedImage {
    /// `name@sha256:...`: what is pulled and started.
    pub fn pinned(&self) -> String {
        let (name, _) = split_tag(&self.reference);
        format!("{name}@{}", self.digest)
    }
}

/// What a pool runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Unique and sortable: `<tag>-<time>-<random>`; a folder's name on the hosts.
    pub id: String,
    /// The tag that was asked for.
    pub tag: String,
    /// The pool that it was made for.
    pub pool: Pool,
    /// Its images.
    pub images: Vec<PinnedImage>,
    /// SHA-256 of the Compose file, in hex.
    pub compose_sha256: String,
    /// SHA-256 of the env file, in hex; `None` without one.
    pub env_sha256: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// The run that made it.
    pub run: String,
    /// `user@machine`.
    pub who: String,
}

impl Release {
    /// An id for a release that is made now.
    pub fn new_id(tag: &str, now: Timestamp, entropy: u16) -> String {
        format!("{tag}-{}-{entropy:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
    }
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An image reference without its tag or digest, and the tag. The port of a registry is no tag.
pub fn split_tag(reference: &str) -> (&str, Option<&str>) {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split_tag("10.0.0.1:5000/shop"), ("10.0.0.1:5000/shop", None));
        assert_eq!(
            split_tag("10.0.0.1:5000/shop:v2"),
            ("10.0.0.1:5000/shop", Some("v2"))
        );
        assert_eq!(split_tag("nginx:1.27@sha256:ab"), ("nginx", Some("1.27")));
        assert_eq!(split_tag("nginx"), ("nginx", None));
    }

    #[test]
    fn ids_sort_by_time_within_a_tag() {
        let (a, b) = (
            "2026-11-23T10:00:00Z".parse().unwrap(),
            "2026-11-23T10:00:01Z".parse().unwrap(),
        );
        let (first, second) = (Release::new_id("v1", a, 0xffff), Release::new_id("v1", b, 0));
        assert_eq!(first, "v1-20261123T100000Z-ffff");
        assert!(first < second);
    }
}
