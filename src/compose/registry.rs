//! The registry's HTTP API: a tag is resolved to a digest once, before any server is changed.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::release::{sha256, split_tag};
use crate::http;
use crate::inventory::Registry;

/// Longest that one request may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// A registry that is busy is asked this often, and waited for at most this long each time.
const TRIES: u32 = 4;
const MAX_WAIT: Duration = Duration::from_secs(10);
const TYPES: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Why an image could not be resolved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached from here.
    #[error("the registry {server} cannot be reached: {problem}")]
    Unreachable {
        /// `host[:port]`.
        server: String,
        /// In words.
        problem: String,
    },
    /// The login was refused; never retried, as that locks accounts.
    #[error("the registry {server} refuses the login ({status}): check [registry] username and password")]
    Unauthorized {
        /// `host[:port]`.
        server: String,
        /// 401 or 403.
        status: u16,
    },
    /// There is no such tag.
    #[error("the registry {server} has no {name}:{tag}{known}")]
    Missing {
        /// `host[:port]`.
        server: String,
        /// The image.
        name: String,
        /// The tag.
        tag: String,
        /// A few tags that it has, in words.
        known: String,
    },
    /// The tag exists, but not for a host's architecture.
    #[error("{reference} does not exist for {wanted}, only for {found}")]
    Architecture {
        /// The image.
        reference: String,
        /// What the hosts are.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// Anything else that it said.
    #[error("the registry {server} answered {status}: {said}")]
    Refused {
        /// `host[:port]`.
        server: String,
        /// The status.
        status: u16,
        /// The beginning of its answer.
        said: String,
    },
}

/// A resolved image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `sha256:...`
    pub digest: String,
    /// Bytes of the compressed layers for the wanted architecture.
    pub size: u64,
}

/// A registry as seen from one place: directly, or through a tunnel of a host.
#[derive(Debug, Clone)]
pub struct Api<'a> {
    settings: Option<&'a Registry>,
    via: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Entry>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default)]
    size: u64,
}

impl<'a> Api<'a> {
    /// Asks from here.
    pub fn direct(settings: Option<&'a Registry>) -> Api<'a> {
        Api { settings, via: None }
    }

    /// Asks through a local socket that leads to the registry's port.
    pub fn through(settings: Option<&'a Registry>, via: PathBuf) -> Api<'a> {
        Api {
            settings,
            via: Some(via),
        }
    }

    /// The digest of an image reference, for hosts of these architectures (Docker's words).
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn resolve(
        &self,
        reference: &str,
        architectures: &[String],
    ) -> Result<Resolved, RegistryError> {
        let (name, tag) = split_tag(reference);
        let (server, repository) = server_of(name);
        let tag = tag.unwrap_or("latest");
        let response = self.manifest(&server, &repository, tag).await?;
        let digest = response
            .headers()
            .get("docker-content-digest")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let body = response
            .bytes()
            .await
            .map_err(|error| unreachable(&server, &error))?;
        let digest = digest.unwrap_or_else(|| format!("sha256:{}", sha256(&body)));
        let mut manifest = read(&server, &body)?;
        if !manifest.manifests.is_empty() {
            let entry = |arch: &str| {
                manifest.manifests.iter().find(|entry| {
                    entry
                        .platform
                        .as_ref()
                        .is_some_and(|p| p.architecture == arch && p.os == "linux")
                })
            };
            if let Some(wanted) = architectures.iter().find(|arch| entry(arch).is_none()) {
                let found = manifest.manifests.iter().filter_map(|e| e.platform.as_ref());
                let found: Vec<_> = found.map(|p| format!("{}/{}", p.os, p.architecture)).collect();
                return Err(RegistryError::Architecture {
                    reference: reference.to_owned(),
                    wanted: format!("linux/{wanted}"),
                    found: found.join(", "),
                });
            }
            if let Some(entry) = architectures.first().and_then(|arch| entry(arch)) {
                let response = self.manifest(&server, &repository, &entry.digest.clone()).await?;
                let body = response
                    .bytes()
                    .await
                    .map_err(|error| unreachable(&server, &error))?;
                manifest = read(&server, &body)?;
            }
        }
        Ok(Resolved {
            digest,
            size: manifest.layers.iter().map(|layer| layer.size).sum(),
        })
    }

    /// Whether the registry is there and takes the login.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn ping(&self, server: &str) -> Result<(), RegistryError> {
        self.get(server, "", "").await.map(drop)
    }

    async fn manifest(&self, server: &str, repository: &str, tag: &str) -> Result<Response, RegistryError> {
        let path = format!("{repository}/manifests/{tag}");
        match self.get(server, repository, &path).await {
            Err(RegistryError::Refused { status: 404, .. }) => Err(RegistryError::Missing {
                server: server.to_owned(),
                name: repository.to_owned(),
                tag: tag.to_owned(),
                known: self.known(server, repository).await,
            }),
            other => other,
        }
    }

    /// A few tags that there are: what was meant is often among them.
    async fn known(&self, server: &str, repository: &str) -> String {
        #[derive(Deserialize)]
        struct Tags {
            #[serde(default)]
            tags: Vec<String>,
        }
        let Ok(response) = self
            .get(server, repository, &format!("{repository}/tags/list"))
            .await
        else {
            return String::new();
        };
        let Ok(Tags { mut tags }) = response.json().await else {
            return String::new();
        };
        tags.sort();
        let newest: Vec<_> = tags.iter().rev().take(10).rev().cloned().collect();
        if newest.is_empty() {
            String::new()
        } else {
            format!("; it has {}", newest.join(", "))
        }
    }

    async fn get(&self, server: &str, repository: &str, path: &str) -> Result<Response, RegistryError> {
        let client = self.client(server)?;
        // Docker Hub's API has another name than its images.
        let host = if server == "docker.io" {
            "registry-1.docker.io"
        } else {
            server
        };
        let url = format!("https://{host}/v2/{path}");
        let mut authorization = self.basic(server);
        let mut asked_for_token = false;
        for attempt in 1.. {
            let mut request = client.get(&url).header(ACCEPT, TYPES);
            if let Some(value) = &authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request
                .send()
                .await
                .map_err(|error| unreachable(server, &error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && !asked_for_token {
                asked_for_token = true;
                if let Some(token) = self.token(&client, server, repository, &response).await? {
                    authorization = Some(format!("Bearer {token}"));
                    continue;
                }
            }
            if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
                return Err(RegistryError::Unauthorized {
                    server: server.to_owned(),
                    status: status.as_u16(),
                });
            }
            if (status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE)
                && attempt < TRIES
            {
                let told = response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|v| v.to_str().ok()?.parse().ok());
                let wait = told.map_or(
                    Duration::from_millis(500) * 2_u32.pow(attempt),
                    Duration::from_secs,
                );
                tokio::time::sleep(wait.min(MAX_WAIT)).await;
                continue;
            }
            let said = response.text().await.unwrap_or_default();
            return Err(RegistryError::Refused {
                server: server.to_owned(),
                status: status.as_u16(),
                said: said.chars().take(200).collect(),
            });
        }
        unreachable!("the loop ends by returning")
    }

    /// The token that a `WWW-Authenticate: Bearer` asks for, if it does.
    async fn token(
        &self,
        client: &Client,
        server: &str,
        repository: &str,
        response: &Response,
    ) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let Some(challenge) = response
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|v| v.to_str().ok())
        else {
            return Ok(None);
        };
        let Some(fields) = challenge.strip_prefix("Bearer ") else {
            return Ok(None);
        };
        let field = |name: &str| {
            fields.split(',').find_map(|f| {
                f.trim()
                    .strip_prefix(name)?
                    .strip_prefix("=\"")?
                    .strip_suffix('"')
                    .map(str::to_owned)
            })
        };
        let Some(realm) = field("realm") else {
            return Ok(None);
        };
        let scope = field("scope").unwrap_or_else(|| format!("repository:{repository}:pull"));
        let mut url = reqwest::Url::parse(&realm).map_err(|error| unreachable(server, &error))?;
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = field("service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = client.get(url);
        if let Some(value) = self.basic(server) {
            request = request.header(AUTHORIZATION, value);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| unreachable(server, &error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(RegistryError::Unauthorized {
                server: server.to_owned(),
                status: status.as_u16(),
            });
        }
        let token: Token = answer.json().await.map_err(|error| unreachable(server, &error))?;
        Ok(token.token.or(token.access_token))
    }

    fn basic(&self, server: &str) -> Option<String> {
        let registry = self.settings.filter(|registry| registry.server == server)?;
        let pair = format!(
            "{}:{}",
            registry.username.as_ref()?,
            registry.password.as_ref()?.expose_secret()
        );
        Some(format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(pair)
        ))
    }

    fn client(&self, server: &str) -> Result<Client, RegistryError> {
        let mut builder = http::builder(DEADLINE);
        if let Some(path) = &self.via {
            builder = builder.unix_socket(path.clone());
        }
        if let Some(file) = self.settings.and_then(|registry| registry.ca.as_ref()) {
            let pem = std::fs::read(file).map_err(|error| unreachable(server, &error))?;
            for certificate in
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreachable(server, &error))?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build().map_err(|error| unreachable(server, &error))
    }
}

fn read(server: &str, body: &[u8]) -> Result<Manifest, RegistryError> {
    serde_json::from_slice(body).map_err(|error| RegistryError::Refused {
        server: server.to_owned(),
        status: 200,
        said: format!("a manifest that is not understood: {error}"),
    })
}

fn unreachable(server: &str, error: &(dyn std::error::Error + 'static)) -> RegistryError {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    RegistryError::Unreachable {
        server: server.to_owned(),
        problem: cause.to_string(),
    }
}

/// `host[:port]` and repository of an image's name, by Docker's rule: the first part is a server when
/// it has a dot or a port, or is localhost; else it is Docker Hub's.
pub fn server_of(name: &str) -> (String, String) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (first.to_owned(), rest.to_owned())
        }
        Some(_) => ("docker.io".to_owned(), name.to_owned()),
        None => ("docker.io".to_owned(), format!("library/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::server_of;

    #[test]
    fn names_are_split_as_docker_does() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(server_of("nginx"), pair("docker.io", "library/nginx"));
        assert_eq!(server_of("team/app"), pair("docker.io", "team/app"));
        assert_eq!(server_of("10.0.0.1:5000/shop"), pair("10.0.0.1:5000", "shop"));
        assert_eq!(server_of("localhost/shop"), pair("localhost", "shop"));
        assert_eq!(
            server_of("registry.example.com/a/b"),
            pair("registry.example.com", "a/b")
        );
    }
}
