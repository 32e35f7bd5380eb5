//! One conversation with a registry: what it is about, and what the answers mean.

use http::StatusCode;
use reqwest::{Response, Url};
use secrecy::SecretString;
use serde::Deserialize;

use super::auth::Authorization;
use super::build::unreachable;
use super::error::RegistryError;
use super::manifest::Manifest;
use super::reference::{Digest, Reference};

/// The largest manifest that registries must take; whatever is larger is something else.
const LARGEST: usize = 4 << 20;

/// The inventory's login.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) server: String,
    pub(super) username: String,
    pub(super) password: SecretString,
}

/// A conversation about one repository (or none): where, for what, and with which authorization.
pub(super) struct Talk<'a> {
    pub(super) base: Url,
    pub(super) server: &'a str,
    pub(super) scope: Option<String>,
    pub(super) login: Option<&'a Login>,
    pub(super) authorization: Authorization,
}

/// A good answer, read whole.
pub(super) struct Answer {
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Talk<'_> {
    pub(super) fn read(&self, answer: &Answer) -> Result<Manifest, RegistryError> {
        Manifest::read(&answer.body).ok_or_else(|| self.strange("a manifest of an unknown kind"))
    }

    /// Turns an answer's status into words.
    pub(super) async fn judge(
        &self,
        status: StatusCode,
        response: Response,
    ) -> Result<Answer, RegistryError> {
        let headers = response.headers().clone();
        let body = self.whole(response).await?;
        let said = Problems::read(&body);
        match status {
            StatusCode::OK => Ok(Answer { headers, body }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unauthorized(match said.message {
                Some(message) => format!("{status}, {message}"),
                None => status.to_string(),
            })),
            StatusCode::NOT_FOUND if said.code.as_deref() == Some("NAME_UNKNOWN") => {
                Err(RegistryError::NoRepository {
                    server: self.server.to_owned(),
                    repository: self.repository().to_owned(),
                })
            }
            StatusCode::NOT_FOUND if self.scope.is_some() => Err(RegistryError::NoTag {
                image: self.repository().to_owned(),
                tag: String::new(),
                tags: Vec::new(),
            }),
            _ => Err(self.strange(&match said.message {
                Some(message) => format!("{status}, {message}"),
                None => status.to_string(),
            })),
        }
    }

    /// The whole body, unless it cannot be what was asked for.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(self.server, &e))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(self.strange("more than 4 MiB where a manifest should be"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn repository(&self) -> &str {
        let scope = self.scope.as_deref().unwrap_or_default();
        scope.trim_start_matches("repository:").trim_end_matches(":pull")
    }

    /// Whether plain HTTP may be tried: only on this machine, as docker does.
    pub(super) fn may_be_plain(&self) -> bool {
        self.base.scheme() == "https"
            && match self.base.host_str() {
                Some("localhost" | "[::1]") => true,
                Some(host) => host
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|ip| ip.is_loopback()),
                None => false,
            }
    }

    pub(super) fn unauthorized(&self, status: String) -> RegistryError {
        RegistryError::Unauthorized {
            server: self.server.to_owned(),
            username: self.login.map(|login| login.username.clone()),
            status,
        }
    }

    pub(super) fn strange(&self, what: &str) -> RegistryError {
        RegistryError::Answer {
            server: self.server.to_owned(),
            what: what.to_owned(),
        }
    }
}

/// A registry's own words: `{"errors":[{"code":"NAME_UNKNOWN","message":"..."}]}`.
#[derive(Default)]
struct Problems {
    code: Option<String>,
    message: Option<String>,
}

impl Problems {
    fn read(body: &[u8]) -> Problems {
        #[derive(Deserialize)]
        struct Raw {
            errors: Vec<Problem>,
        }
        #[derive(Deserialize)]
        struct Problem {
            code: Option<String>,
            message: Option<String>,
        }
        let first = serde_json::from_slice::<Raw>(body)
            .ok()
            .and_then(|raw| raw.errors.into_iter().next());
        first.map_or_else(Problems::default, |problem| Problems {
            code: problem.code,
            message: problem.message.filter(|m| !m.is_empty()),
        })
    }
}

/// The digest of what came; it must be the one that was asked for, and the one that the registry says.
pub(super) fn checked_digest(
    talk: &Talk<'_>,
    image: &Reference,
    answer: &Answer,
) -> Result<Digest, RegistryError> {
    let found = Digest::of(&answer.body);
    let promised = answer
        .headers
        .get("docker-content-digest")
        .and_then(|value| value.to_str().ok())
        // Another algorithm's digest cannot be compared, and ours is as good.
        .filter(|digest| digest.starts_with("sha256:"));
    let expected = image.digest.as_ref().map(Digest::as_str).or(promised);
    if let Some(expected) = expected {
        same_digest(talk, expected, &found)?;
    }
    Ok(found)
}

pub(super) fn same_digest(talk: &Talk<'_>, expected: &str, found: &Digest) -> Result<(), RegistryError> {
    if expected == found.as_str() {
        return Ok(());
    }
    Err(RegistryError::Digest {
        server: talk.server.to_owned(),
        expected: expected.to_owned(),
        found: found.clone(),
    })
}
