//! Why a registry's answer is of no use.

use std::time::Duration;

use super::reference::Digest;

/// Why a registry's answer is of no use. No server has been touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not the name of an image.
    #[error("{image:?} is not the name of an image: {problem}")]
    Reference {
        /// What was given.
        image: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file of the CA cannot be used.
    #[error("the registry's CA {path} cannot be used: {problem}")]
    Ca {
        /// The file.
        path: String,
        /// In words.
        problem: String,
    },
    /// No answer.
    #[error("registry {server} cannot be reached: {problem}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// In words.
        problem: String,
    },
    /// Its certificate is not trusted here.
    #[error("registry {server} is not trusted: {problem}")]
    Certificate {
        /// Host and port.
        server: String,
        /// In words.
        problem: String,
    },
    /// It wants other credentials, or any.
    #[error("registry {server} refuses {}: {status}", credentials(.username.as_deref()))]
    Unauthorized {
        /// Host and port.
        server: String,
        /// Who was refused; `None` for nobody.
        username: Option<String>,
        /// The status, and the registry's own words.
        status: String,
    },
    /// It has no such tag.
    #[error("{image} has no tag {tag}{}", nearest(.tags))]
    NoTag {
        /// `HOST/REPOSITORY`.
        image: String,
        /// The tag, or digest.
        tag: String,
        /// A few tags that it has, most alike first.
        tags: Vec<String>,
    },
    /// It has no such repository, or does not show it.
    #[error("registry {server} has no repository {repository}")]
    NoRepository {
        /// Host and port.
        server: String,
        /// The repository.
        repository: String,
    },
    /// The image is not built for a server's architecture.
    #[error("{image} is not built for {wanted}; expected it among its architectures, found {}", .found.join(", "))]
    Architecture {
        /// The image.
        image: String,
        /// The architecture of a server.
        wanted: String,
        /// Those of the image.
        found: Vec<String>,
    },
    /// It asks to wait longer than a deploy should.
    #[error("registry {server} is busy and asks to wait{}", .after.map_or(String::new(), |d| format!(" {} s", d.as_secs())))]
    Busy {
        /// Host and port.
        server: String,
        /// How long, when it says so.
        after: Option<Duration>,
    },
    /// What came is not the manifest that its digest names.
    #[error(
        "registry {server} answers with a manifest of another digest: expected {expected}, found {found}"
    )]
    Digest {
        /// Host and port.
        server: String,
        /// What was asked for or promised.
        expected: String,
        /// That of what came.
        found: Digest,
    },
    /// An answer that the protocol does not know.
    #[error("registry {server} answers {what}")]
    Answer {
        /// Host and port.
        server: String,
        /// The status, or what is wrong with the body.
        what: String,
    },
}

fn credentials(username: Option<&str>) -> String {
    username.map_or_else(
        || "to answer without a login".to_owned(),
        |name| format!("the login of {name}"),
    )
}

fn nearest(tags: &[String]) -> String {
    if tags.is_empty() {
        String::new()
    } else {
        format!("; it has {}", tags.join(", "))
    }
}

impl RegistryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            RegistryError::Reference { .. } => "look at `image` in the Compose file, and at the tag".into(),
            RegistryError::Ca { .. } => "`ca` in [registry] is a PEM file, relative to the inventory".into(),
            RegistryError::Unreachable { server, .. } => {
                format!("does `curl -I https://{server}/v2/` answer from here?")
            }
            RegistryError::Certificate { .. } => "set `ca` in [registry] to the CA's PEM file".into(),
            RegistryError::Unauthorized { username: None, .. } => {
                "set `username` and `password` in [registry]".into()
            }
            RegistryError::Unauthorized { .. } => {
                "check `username` and `password` in [registry], and that they may read this image; it is not tried again, so that nobody is locked out".into()
            }
            RegistryError::NoTag { tag, .. } => format!("was {tag} pushed? look at the CI run that built it"),
            RegistryError::NoRepository { .. } => {
                "look at `image` in the Compose file; some registries hide what a login may not read".into()
            }
            RegistryError::Architecture { wanted, .. } => {
                format!("build for it too: `docker buildx build --platform linux/{wanted}`")
            }
            RegistryError::Busy { .. } => "wait, then deploy again; a login often has a higher limit".into(),
            RegistryError::Digest { .. } => "look for a proxy or cache between here and the registry".into(),
            RegistryError::Answer { server, .. } => format!("is {server} a registry of API version 2?"),
        }
    }
}
