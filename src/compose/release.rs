//! What a pool runs: one tag, pinned to digests, with the files that it was started from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::inventory::Pool;

/// One image of one service, pinned: the tag was resolved once, every host pulls the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedImage {
    /// The Compose service.
    pub service: String,
    /// The reference that the Compose file says, interpolated (`registry:5000/shop:v1`).
    pub reference: String,
    /// `sha256:...` of the manifest, or of the index when the tag is one.
    pub digest: String,
    /// Bytes of its compressed layers; 0 where the registry did not say.
    #[serde(default)]
    pub size: u64,
}

impl PinnedImage {
    /// What is pulled and started: the name without its tag, and the digest.
    pub fn pinned(&self) -> String {
        format!("{}@{}", repository(&self.reference), self.digest)
    }
}

/// The part of an image's reference that names its repository: no tag, no digest.
pub fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    // A colon before the last slash belongs to the registry's port.
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[path..].rfind(':') {
        Some(colon) => &name[..path + colon],
        None => name,
    }
}

/// One release of one pool; kept as `release.json` beside the files that it was started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its id, see [`Release::new_id`].
    pub id: String,
    /// The tag that was deployed.
    pub tag: String,
    /// The pool that it was made for.
    pub pool: Pool,
    /// The image of each service.
    pub images: Vec<PinnedImage>,
    /// SHA-256 of the Compose file, in hexadecimal.
    pub compose_sha256: String,
    /// SHA-256 of the env file, in hexadecimal; `None` when the app has none.
    pub env_sha256: Option<String>,
    /// Names of the env file's variables that have a value, sorted: a deploy that would lose one
    /// can then be refused without reading a secret back.
    #[serde(default)]
    pub env_keys: Vec<String>,
    /// When the run began, by the operator's clock.
    pub created_at: Timestamp,
    /// The run that made it.
    pub run: String,
    /// Who ran it (`user@machine`).
    pub who: String,
}

impl Release {
    /// `<tag>-<yyyymmddThhmmssZ>-<4 hex>`: sorts by time within a tag, is safe as a file's name, and
    /// is another one for each run, so that deploying a tag again does not touch the release that
    /// may be hot. What no Docker tag can contain becomes `-`.
    pub fn new_id(tag: &str, now: Timestamp, entropy: u16) -> String {
        let mut name: String = tag
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            // The longest tag that Docker takes; file names end at 255.
            .take(128)
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            // Not hidden, and no option to any program.
            name.insert(0, 'r');
        }
        format!("{name}-{}-{entropy:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
    }

    /// Whether two releases run the same images from the same files.
    pub fn same_content(&self, other: &Release) -> bool {
        self.tag == other.tag
            && self.images == other.images
            && self.compose_sha256 == other.compose_sha256
            && self.env_sha256 == other.env_sha256
    }
}

/// SHA-256 in lower-case hexadecimal, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn an_id_says_tag_time_and_chance() {
        assert_eq!(
            Release::new_id("75_db4b44b", at("2026-03-01T12:34:56.789Z"), 0xbeef),
            "75_db4b44b-20260301T123456Z-beef"
        );
    }

    #[test]
    fn a_pinned_image_keeps_the_port_and_loses_the_tag() {
        let image = |reference: &str| PinnedImage {
            service: "app".into(),
            reference: reference.into(),
            digest: "sha256:00".into(),
            size: 0,
        };
        for (reference, pinned) in [
            ("shop:v1", "shop@sha256:00"),
            ("shop", "shop@sha256:00"),
            ("10.0.0.5:5000/shop:v1", "10.0.0.5:5000/shop@sha256:00"),
            ("10.0.0.5:5000/team/shop", "10.0.0.5:5000/team/shop@sha256:00"),
            ("r.example.com/shop:v1@sha256:11", "r.example.com/shop@sha256:00"),
        ] {
            assert_eq!(image(reference).pinned(), pinned);
        }
    }

    #[test]
    fn hashes_as_sha256sum_does() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn an_id_is_a_safe_file_name(tag in ".{0,300}", seconds in 0i64..4_000_000_000, entropy: u16) {
            let id = Release::new_id(&tag, Timestamp::from_second(seconds).expect("in range"), entropy);
            prop_assert!(id.len() <= 255);
            prop_assert!(id.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)), "{}", id);
        }

        #[test]
        fn ids_of_one_tag_sort_by_time(early in 0i64..2_000_000_000, later in 1i64..2_000_000_000, a: u16, b: u16) {
            let id = |second, entropy| Release::new_id("v1", Timestamp::from_second(second).expect("in range"), entropy);
            prop_assert!(id(early, a) < id(early + later, b));
        }
    }
}
