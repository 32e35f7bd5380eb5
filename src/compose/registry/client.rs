//! Requests to one registry: login, patience, and words for whatever comes back.

use std::path::Path;

use http::StatusCode;
use http::header::{ACCEPT as ACCEPT_HEADER, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Response, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::auth::{Authorization, Challenge, Token};
use super::build::{broken_ca, builder, cause, unreachable};
use super::error::RegistryError;
use super::manifest::{ACCEPT, Manifest, architecture};
use super::reference::{Digest, Reference, api_host, canonical};
use super::talk::{Answer, Login, Talk, checked_digest, same_digest};
use crate::http::patience::{Patience, retry_after};
use crate::inventory::Registry;

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

/// What a tag names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What every server pulls.
    pub digest: Digest,
    /// Bytes of the compressed layers; of the largest, where several architectures were asked for.
    /// 0 where none was asked for and the tag is an index.
    pub size: u64,
}

/// A client of the registry API, with the inventory's login for its own registry and none for others.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Leads to the registry itself; token servers are elsewhere, and are asked directly.
    tunnelled: Option<reqwest::Client>,
    login: Option<Login>,
    pub(super) patience: Patience,
}

impl Client {
    /// A client for the inventory's registry, or for open ones.
    ///
    /// # Errors
    /// [`RegistryError::Ca`] when the CA's file is not there or is no PEM certificate.
    pub fn new(registry: Option<&Registry>) -> Result<Client, RegistryError> {
        let ca = registry.and_then(|r| r.ca.as_ref());
        let http = builder(ca)?
            .build()
            .map_err(|error| broken_ca(ca, cause(&error)))?;
        let login = registry.and_then(|r| {
            Some(Login {
                server: canonical(&r.server).to_owned(),
                username: r.username.clone()?,
                password: r.password.clone()?,
            })
        });
        Ok(Client {
            http,
            tunnelled: None,
            login,
            patience: Patience::default(),
        })
    }

    /// The same, through a local socket that leads to the registry's port: for registries that only
    /// the servers reach. The certificate is still that of the registry's own name.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn through(registry: Option<&Registry>, socket: &Path) -> Result<Client, RegistryError> {
        let ca = registry.and_then(|r| r.ca.as_ref());
        let built = builder(ca)?.unix_socket(socket).build();
        let tunnelled = built.map_err(|error| broken_ca(ca, cause(&error)))?;
        Ok(Client {
            tunnelled: Some(tunnelled),
            ..Client::new(registry)?
        })
    }

    /// What the tag names now. Each of `archs` must be among the image's architectures.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn resolve(&self, image: &Reference, archs: &[&str]) -> Result<Resolved, RegistryError> {
        let scope = format!("repository:{}:pull", image.repository);
        let mut talk = self.talk(&image.host, Some(scope))?;
        let answer = match self.manifest(&mut talk, image, image.version()).await {
            Err(RegistryError::NoTag { .. }) => return Err(self.no_tag(&mut talk, image).await),
            other => other?,
        };
        let digest = checked_digest(&talk, image, &answer)?;
        let (found, size) = match talk.read(&answer)? {
            Manifest::Index(images) => {
                let mut size = 0;
                for digest in archs.iter().filter_map(|arch| images.get(*arch)) {
                    let answer = self.manifest(&mut talk, image, digest).await?;
                    same_digest(&talk, digest, &Digest::of(&answer.body))?;
                    if let Manifest::Image { size: this, .. } = talk.read(&answer)? {
                        size = size.max(this);
                    }
                }
                (images.into_keys().collect(), size)
            }
            Manifest::Image { size, .. } if archs.is_empty() => (Vec::new(), size),
            Manifest::Image { config, size } => {
                let path = format!("v2/{}/blobs/{config}", image.repository);
                let blob = self.get(&mut talk, &path, "*/*").await?;
                (architecture(&blob.body).into_iter().collect(), size)
            }
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
            None => Ok(Resolved { digest, size }),
        }
    }

    async fn manifest(
        &self,
        talk: &mut Talk<'_>,
        image: &Reference,
        version: &str,
    ) -> Result<Answer, RegistryError> {
        let path = format!("v2/{}/manifests/{version}", image.repository);
        self.get(talk, &path, ACCEPT).await
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
                let http = self.tunnelled.as_ref().unwrap_or(&self.http);
                let request = http.get(url.clone()).header(ACCEPT_HEADER, accept);
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
        let here = url.host_str() == talk.base.host_str()
            && url.port_or_known_default() == talk.base.port_or_known_default();
        let http = self.tunnelled.as_ref().filter(|_| here).unwrap_or(&self.http);
        let request = || {
            let request = http.get(url.clone());
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
