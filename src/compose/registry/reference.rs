//! Names of images, as docker reads them.

use std::fmt;
use std::str::FromStr;

use super::error::RegistryError;

/// The registry that a name without a host means.
const DEFAULT_HOST: &str = "docker.io";

/// `sha256:` and 64 hexadecimal digits: exactly one manifest, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest in text, if it is one.
    pub fn parse(text: &str) -> Option<Digest> {
        let hex = text.strip_prefix("sha256:")?;
        let good = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        good.then(|| Digest(text.to_owned()))
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(format!("sha256:{}", crate::compose::release::sha256_hex(bytes)))
    }

    /// As it stands in names of images.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`, with what is left out filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `docker.io` when the name has none.
    pub host: String,
    /// With `library/` before the official images.
    pub repository: String,
    /// `latest` when the name has none.
    pub tag: String,
    /// When the name is pinned already.
    pub digest: Option<Digest>,
}

impl Reference {
    /// What the API asks for: the digest, or else the tag.
    pub(super) fn version(&self) -> &str {
        self.digest.as_ref().map_or(&self.tag, |digest| &digest.0)
    }

    /// `HOST/REPOSITORY`, for messages.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

/// Where the API of a registry is: Docker Hub's is not where its images seem to be.
pub(super) fn api_host(host: &str) -> &str {
    if canonical(host) == DEFAULT_HOST {
        "registry-1.docker.io"
    } else {
        host
    }
}

/// One name for each registry, so that credentials go to the right one and to no other.
pub(super) fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DEFAULT_HOST,
        other => other,
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}@{digest}", self.name()),
            None => write!(f, "{}:{}", self.name(), self.tag),
        }
    }
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Reference, RegistryError> {
        let bad = |problem| RegistryError::Reference {
            image: text.to_owned(),
            problem,
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = Digest::parse(digest)
                    .ok_or_else(|| bad("its digest is not sha256: and 64 hexadecimal digits"))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
            _ => (DEFAULT_HOST, name),
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, tag),
            None => (path, "latest"),
        };
        if !repository.split('/').all(is_component) {
            return Err(bad(
                "its repository is not lower-case words of letters, digits, `.`, `_` and `-` between slashes",
            ));
        }
        if !is_tag(tag) {
            return Err(bad(
                "its tag is not letters, digits, `.`, `_` and `-` (at most 128)",
            ));
        }
        if !host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c))
        {
            return Err(bad("its registry is not a host name with or without a port"));
        }
        let host = canonical(host);
        let official = host == DEFAULT_HOST && !repository.contains('/');
        Ok(Reference {
            host: host.to_owned(),
            repository: format!("{}{repository}", if official { "library/" } else { "" }),
            tag: tag.to_owned(),
            digest,
        })
    }
}

fn is_component(word: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(word.chars().next())
        && edge(word.chars().next_back())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        text.parse::<Reference>()
            .map_or_else(|e| e.to_string(), |r| r.to_string())
    }

    #[test]
    fn what_is_left_out_is_filled_in_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("team/shop:v1", "docker.io/team/shop:v1"),
            ("index.docker.io/team/shop", "docker.io/team/shop:latest"),
            ("10.0.0.5:5000/shop:75_db4b44b", "10.0.0.5:5000/shop:75_db4b44b"),
            ("localhost/shop", "localhost/shop:latest"),
            ("ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"),
        ] {
            assert_eq!(read(text), full);
        }
        assert_eq!(
            read(&format!("r.io/shop:v1@{digest}")),
            format!("r.io/shop@{digest}")
        );
        assert_eq!(api_host("docker.io"), "registry-1.docker.io");
    }

    #[test]
    fn what_is_no_name_is_refused_before_anything_is_sent() {
        for text in [
            "",
            "r.io/",
            "Shop",
            "shop:",
            "shop:.x",
            "shop:a b",
            "r.io/a//b",
            "shop@sha256:12",
            "r.io/shop:v1/../x",
            "re?g.io/x",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_the_same_again(text in "[a-z.:/@0-9_-]{0,30}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().expect("its own text").to_string(), reference.to_string());
            }
        }
    }
}
