//! Requests to one registry: login, patience, and words for whatever comes back.

use std::error::Error as _;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT as ACCEPT_HEADER, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::auth::{Authorization, Challenge, Token};
use super::error::RegistryError;
use super::manifest::{ACCEPT, Manifest, architecture};
use super::patience::{Patience, retry_after};
use super::reference::{Digest, Reference, api_host, canonical};
use crate::inventory::Registry;

/// Longest that a connect may take: registries are near, or down.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest that one answer may take; manifests are small.
const ANSWER: Duration = Duration::from_secs(20);
/// The largest manifest that registries must take; whatever is larger is something else.
const LARGEST: usize = 4 << 20;
/// How many tags are shown when one is missing.
const SHOWN: usize = 5;

/// What a registry says to somebody who only wants to know whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// It asks for no login.
    Open,
    /// It took the inventory's login.
    LoggedIn,
    /// It asks for a login, and the inventory has none.
    NeedsLogin,
}

/// A client of the registry API, with the inventory's login for its own registry and none for others.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    login: Option<Login>,
    pub(super) patience: Patience,
}

#[derive(Debug, Clone)]
struct Login {
    server: String,
    username: String,
    password: SecretString,
}

/// A conversation about one repository (or none): where, for what, and with which authorization.
struct Talk<'a> {
    base: Url,
    server: &'a str,
    scope: Option<String>,
    login: Option<&'a Login>,
    authorization: Authorization,
}

/// A good answer, read whole.
struct Answer {
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// A client for the inventory's registry, or for open ones.
    ///
    /// # Errors
    /// [`RegistryError::Ca`] when the CA's file is not there or is no PEM certificate.
    pub fn new(registry: Option<&Registry>) -> Result<Client, RegistryError> {
        // Fails when somebody else in the process was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")));
        let mut ca_path = String::new();
        if let Some(path) = registry.and_then(|r| r.ca.as_ref()) {
            ca_path = path.to_string();
            let broken = |problem: String| RegistryError::Ca {
                path: path.to_string(),
                problem,
            };
            let pem = std::fs::read(path).map_err(|e| broken(e.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| broken(cause(&e)))?;
            if certificates.is_empty() {
                return Err(broken("expected a certificate in PEM, found none".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|e| RegistryError::Ca {
            path: ca_path,
            problem: cause(&e),
        })?;
        let login = registry.and_then(|r| {
            Some(Login {
                server: canonical(&r.server).to_owned(),
                username: r.username.clone()?,
                password: r.password.clone()?,
            })
        });
        Ok(Client {
            http,
            login,
            patience: Patience::default(),
        })
    }

    /// The digest that the tag names now. Each of `archs` must be among the image's.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn resolve(&self, image: &Reference, archs: &[&str]) -> Result<Digest, RegistryError> {
        let scope = format!("repository:{}:pull", image.repository);
        let mut talk = self.talk(&image.host, Some(scope))?;
        let path = format!("v2/{}/manifests/{}", image.repository, image.version());
        let answer = match self.get(&mut talk, &path, ACCEPT).await {
            Err(RegistryError::NoTag { .. }) => return Err(self.no_tag(&mut talk, image).await),
            other => other?,
        };
        let digest = checked_digest(&talk, image, &answer)?;
        let found = match Manifest::read(&answer.body) {
            Some(Manifest::Index(archs)) => archs,
            Some(Manifest::Image { .. }) if archs.is_empty() => Vec::new(),
            Some(Manifest::Image { config }) => {
                let path = format!("v2/{}/blobs/{config}", image.repository);
                let blob = self.get(&mut talk, &path, "*/*").await?;
                architecture(&blob.body).into_iter().collect()
            }
            None => return Err(talk.strange("a manifest of an unknown kind")),
        };
        match archs
            .iter()
            .find(|wanted| found.iter().all(|arch| arch != *wanted))
        {
            Some(wanted) => Err(RegistryError::Architecture {
                image: image.to_string(),
                wanted: (*wanted).to_owned(),
                found,
            }),
            None => Ok(digest),
        }
    }

    /// Whether the registry `server` answers, and takes the inventory's login.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn ping(&self, server: &str) -> Result<Ping, RegistryError> {
        let mut talk = self.talk(server, None)?;
        match self.get(&mut talk, "v2/", "*/*").await {
            Ok(_) if matches!(talk.authorization, Authorization::None) => Ok(Ping::Open),
            Ok(_) if talk.login.is_some() => Ok(Ping::LoggedIn),
            // A token for nobody is no login: what it opens is seen by `resolve`.
            Ok(_) | Err(RegistryError::Unauthorized { username: None, .. }) => Ok(Ping::NeedsLogin),
            Err(error) => Err(error),
        }
    }

    fn talk<'a>(&'a self, server: &'a str, scope: Option<String>) -> Result<Talk<'a>, RegistryError> {
        let base = Url::parse(&format!("https://{}/", api_host(server))).map_err(|error| {
            RegistryError::Unreachable {
                server: server.to_owned(),
                problem: error.to_string(),
            }
        })?;
        Ok(Talk {
            base,
            server,
            scope,
            login: self
                .login
                .as_ref()
                .filter(|login| login.server == canonical(server)),
            authorization: Authorization::None,
        })
    }

    /// One good answer, after as much login and patience as it takes.
    async fn get(&self, talk: &mut Talk<'_>, path: &str, accept: &str) -> Result<Answer, RegistryError> {
        let mut asked_for_login = false;
        loop {
            let url = talk.base.join(path).map_err(|e| talk.strange(&e.to_string()))?;
            let plain = talk.may_be_plain();
            let request = || {
                let request = self.http.get(url.clone()).header(ACCEPT_HEADER, accept);
                match (&talk.authorization, talk.login) {
                    (Authorization::Bearer(token), _) => request.bearer_auth(token.expose_secret()),
                    (Authorization::Basic, Some(login)) => {
                        request.basic_auth(&login.username, Some(login.password.expose_secret()))
                    }
                    _ => request,
                }
            };
            let response = match self.patiently(talk.server, plain, request).await {
                Err(RegistryError::Unreachable { .. } | RegistryError::Certificate { .. }) if plain => {
                    // As docker does for registries on the same machine.
                    let _ = talk.base.set_scheme("http");
                    continue;
                }
                other => other?,
            };
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !asked_for_login {
                asked_for_login = true;
                if let Some(challenge) = Challenge::find(response.headers()) {
                    talk.authorization = self.authorize(talk, challenge).await?;
                    continue;
                }
            }
            return talk.judge(status, response).await;
        }
    }

    /// Answers a challenge.
    async fn authorize(&self, talk: &Talk<'_>, challenge: Challenge) -> Result<Authorization, RegistryError> {
        let (realm, service) = match challenge {
            Challenge::Basic if talk.login.is_some() => return Ok(Authorization::Basic),
            Challenge::Basic => return Err(talk.unauthorized("401 Unauthorized".to_owned())),
            Challenge::Bearer { realm, service } => (realm, service),
        };
        let mut url = Url::parse(&realm).map_err(|_| talk.strange("a token server that is no URL"))?;
        if url.scheme() != "https" && talk.base.scheme() == "https" {
            return Err(talk.strange("a token server without TLS, which would show the password"));
        }
        for (name, value) in [("service", &service), ("scope", &talk.scope)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let request = || {
            let request = self.http.get(url.clone());
            match talk.login {
                Some(login) => request.basic_auth(&login.username, Some(login.password.expose_secret())),
                None => request,
            }
        };
        let response = self.patiently(talk.server, false, request).await?;
        let status = response.status();
        let answer = talk.judge(status, response).await.map_err(|error| match error {
            // A token server has no tags: whatever it does not find is its own business.
            RegistryError::NoTag { .. } | RegistryError::NoRepository { .. } => {
                talk.strange("a token server that is not there")
            }
            other => other,
        })?;
        serde_json::from_slice::<Token>(&answer.body)
            .ok()
            .and_then(Token::secret)
            .map(Authorization::Bearer)
            .ok_or_else(|| talk.strange("no token"))
    }

    /// Sends until there is an answer that waiting does not better. `once`: a failed connect is not
    /// tried again, because there is another way to try.
    async fn patiently(
        &self,
        server: &str,
        once: bool,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut done = 0;
        loop {
            done += 1;
            let (asked, failure) = match request().send().await {
                Ok(response) if !is_busy(response.status()) => return Ok(response),
                Ok(response) => {
                    let header = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
                    let after = header.and_then(|value| retry_after(value, Timestamp::now()));
                    let busy = RegistryError::Busy {
                        server: server.to_owned(),
                        after,
                    };
                    (after, busy)
                }
                Err(error) => {
                    let error = unreachable(server, &error);
                    if once || matches!(error, RegistryError::Certificate { .. }) {
                        return Err(error);
                    }
                    (None, error)
                }
            };
            match self.patience.pause(done, asked) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    /// A tag that is not there, with some that are.
    async fn no_tag(&self, talk: &mut Talk<'_>, image: &Reference) -> RegistryError {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let path = format!("v2/{}/tags/list", image.repository);
        let tags = match self.get(talk, &path, "application/json").await {
            Ok(answer) => serde_json::from_slice::<Tags>(&answer.body)
                .ok()
                .and_then(|t| t.tags),
            Err(missing @ RegistryError::NoRepository { .. }) => return missing,
            // It was only to help.
            Err(_) => None,
        };
        let mut tags = tags.unwrap_or_default();
        let likeness = |tag: &String| strsim::jaro_winkler(tag, image.version());
        tags.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)).then_with(|| b.cmp(a)));
        tags.truncate(SHOWN);
        RegistryError::NoTag {
            image: image.name(),
            tag: image.version().to_owned(),
            tags,
        }
    }
}

impl Talk<'_> {
    /// Turns an answer's status into words.
    async fn judge(&self, status: StatusCode, response: Response) -> Result<Answer, RegistryError> {
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
    fn may_be_plain(&self) -> bool {
        self.base.scheme() == "https"
            && match self.base.host_str() {
                Some("localhost" | "[::1]") => true,
                Some(host) => host
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|ip| ip.is_loopback()),
                None => false,
            }
    }

    fn unauthorized(&self, status: String) -> RegistryError {
        RegistryError::Unauthorized {
            server: self.server.to_owned(),
            username: self.login.map(|login| login.username.clone()),
            status,
        }
    }

    fn strange(&self, what: &str) -> RegistryError {
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
fn checked_digest(talk: &Talk<'_>, image: &Reference, answer: &Answer) -> Result<Digest, RegistryError> {
    let found = Digest::of(&answer.body);
    let promised = answer
        .headers
        .get("docker-content-digest")
        .and_then(|value| value.to_str().ok())
        // Another algorithm's digest cannot be compared, and ours is as good.
        .filter(|digest| digest.starts_with("sha256:"));
    let expected = image.digest.as_ref().map(Digest::as_str).or(promised);
    match expected {
        Some(expected) if expected != found.as_str() => Err(RegistryError::Digest {
            server: talk.server.to_owned(),
            expected: expected.to_owned(),
            found,
        }),
        _ => Ok(found),
    }
}

/// Whether waiting may help.
fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn unreachable(server: &str, error: &reqwest::Error) -> RegistryError {
    let server = server.to_owned();
    let problem = cause(error);
    if error.is_timeout() {
        let problem = format!("no answer within {} s", ANSWER.as_secs());
        RegistryError::Unreachable { server, problem }
    } else if problem.to_ascii_lowercase().contains("certificate") {
        RegistryError::Certificate { server, problem }
    } else {
        RegistryError::Unreachable { server, problem }
    }
}

/// The innermost cause: what wraps it repeats the URL and says no more.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    if error.source().is_none() {
        error.to_string()
    } else {
        innermost.to_string()
    }
}
