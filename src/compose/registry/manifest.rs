//! Manifests and indexes, as far as a deploy must understand them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What is accepted: OCI's and Docker's index and manifest.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
application/vnd.docker.distribution.manifest.list.v2+json, \
application/vnd.oci.image.manifest.v1+json, \
application/vnd.docker.distribution.manifest.v2+json";

/// What a tag names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// One image for each of these architectures, with the digest of its manifest.
    Index(BTreeMap<String, String>),
    /// One image; its architecture stands in the blob of this digest.
    Image {
        /// Digest of the configuration.
        config: String,
        /// Bytes of the compressed layers.
        size: u64,
    },
}

#[derive(Deserialize)]
struct Raw {
    manifests: Option<Vec<Entry>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

impl Manifest {
    /// Reads a manifest; `None` for anything else, such as Docker's old version 1.
    pub(super) fn read(body: &[u8]) -> Option<Manifest> {
        let raw: Raw = serde_json::from_slice(body).ok()?;
        match (raw.manifests, raw.config) {
            (Some(entries), _) => {
                let archs = entries
                    .into_iter()
                    .filter_map(|entry| Some((entry.platform?, entry.digest)))
                    // Attestations stand among them as unknown/unknown.
                    .filter(|(platform, _)| platform.os == "linux")
                    .map(|(platform, digest)| (platform.architecture, digest))
                    .collect();
                Some(Manifest::Index(archs))
            }
            (None, Some(config)) => Some(Manifest::Image {
                config: config.digest,
                size: raw
                    .layers
                    .iter()
                    .map(|layer| layer.size)
                    .fold(0, u64::saturating_add),
            }),
            (None, None) => None,
        }
    }
}

/// The architecture in an image's configuration.
pub(super) fn architecture(config: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        architecture: String,
    }
    serde_json::from_slice::<Config>(config)
        .ok()
        .map(|c| c.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_its_architectures_without_attestations() {
        let body = br#"{"manifests":[{"digest":"sha256:a","platform":{"architecture":"arm64","os":"linux","variant":"v8"}},{"digest":"sha256:b","platform":{"architecture":"amd64","os":"linux"}},{"platform":{"architecture":"unknown","os":"unknown"}},{"platform":{"architecture":"amd64","os":"windows"}}]}"#;
        assert_eq!(
            Manifest::read(body),
            Some(Manifest::Index(BTreeMap::from([
                ("amd64".into(), "sha256:b".into()),
                ("arm64".into(), "sha256:a".into()),
            ])))
        );
    }

    #[test]
    fn the_old_version_is_not_understood() {
        assert_eq!(Manifest::read(br#"{"schemaVersion":1,"fsLayers":[]}"#), None);
        assert_eq!(Manifest::read(b"<html>"), None);
    }
}
