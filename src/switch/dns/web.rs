//! HTTP with JSON, as the APIs of DNS providers speak it: a key in a header, a deadline, patience with a busy
//! provider, and what no answer means.

mod said;
pub(super) mod sets;
pub(super) mod text;

use std::time::Duration;

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

pub(super) use self::said::{Fault, Said};
use crate::http::patience::{Patience, retry_after};
use crate::inventory::provider::Token;
use crate::switch::Finding;
use crate::switch::api::ApiError;

/// One request and four more, within some 4 s of their own pauses; a provider may ask for 30 s each. A flip that would have
/// to wait longer says so at once.
const PATIENCE: Patience = Patience {
    tries: 5,
    first: Duration::from_millis(300),
    longest: Duration::from_secs(30),
};

/// Longest that one request may take. Providers answer within a second; a flip that waits longer is better told so.
const REQUEST: Duration = Duration::from_secs(10);

/// Longest that a connection may take: a host that drops what it gets leaves time to say so.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. A provider that ends one while a change is on its way leaves the change in
/// doubt; balancers keep idle connections for 60 s, some reverse proxies for 5 s.
const IDLE: Duration = Duration::from_secs(3);

/// The largest answer that is read. A page of records is far smaller; a PowerDNS that knows no filter gives a whole zone.
const LARGEST: usize = 32 << 20;

/// Where a provider wants its key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// `Authorization: Bearer ...`
    Bearer,
    /// `X-API-Key: ...`
    XApiKey,
}

/// What is told of a provider, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Provider {
    /// Its name, for messages.
    pub(super) name: &'static str,
    /// Its own address, where it has one.
    pub(super) endpoint: Option<&'static str>,
    /// Where it wants the key.
    pub(super) key: Key,
    /// What to do when it refuses the key.
    pub(super) credentials: &'static str,
    /// What to do when it does not know the zone.
    pub(super) zone: &'static str,
}

/// One API.
pub(super) struct Web {
    /// Who and where, for messages: `PowerDNS at 127.0.0.1:8081`.
    pub(super) at: String,
    provider: &'static Provider,
    base: Url,
    http: reqwest::Client,
    header: (HeaderName, HeaderValue),
    token: SecretString,
    patience: Patience,
}

impl Web {
    /// A client with these settings; nothing is sent.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where token or address are missing or cannot be used.
    pub(super) fn new(provider: &'static Provider, settings: &Token) -> Result<Web, ApiError> {
        let name = provider.name;
        let unusable = |problem: String, hint: &str| ApiError::Refused {
            problem: format!("{name}: {problem}"),
            hint: hint.to_owned(),
        };
        let endpoint = settings.endpoint.as_deref().or(provider.endpoint);
        let Some(endpoint) = endpoint else {
            return Err(unusable(
                "the address of its API is not known".to_owned(),
                "give `endpoint`, such as http://127.0.0.1:8081",
            ));
        };
        let base = Url::parse(endpoint)
            .ok()
            .filter(|base| base.has_host() && matches!(base.scheme(), "http" | "https"))
            .ok_or_else(|| {
                unusable(
                    "`endpoint` is no address of HTTP".to_owned(),
                    "give `endpoint` as http://HOST:PORT or https://HOST",
                )
            })?;
        let token = settings.token.clone().ok_or_else(|| {
            unusable(
                "it wants a token, and none is given".to_owned(),
                "give `token`, such as \"${DNS_TOKEN}\"",
            )
        })?;
        let (header, value) = match provider.key {
            Key::Bearer => (AUTHORIZATION, format!("Bearer {}", token.expose_secret())),
            Key::XApiKey => (
                HeaderName::from_static("x-api-key"),
                token.expose_secret().to_owned(),
            ),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            unusable(
                "`token` cannot be sent in a header".to_owned(),
                "see that `token` is one line, without a line break at its end",
            )
        })?;
        value.set_sensitive(true);
        let http = crate::http::builder(REQUEST)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| {
                let problem = format!("an HTTP client cannot be set up: {}", said::cause(&error));
                unusable(problem, "see that this machine has CA certificates")
            })?;
        // Never the whole address: it may carry a name and a password.
        let host = base.host_str().unwrap_or_default();
        let at = match base.port() {
            Some(port) => format!("{name} at {host}:{port}"),
            None => format!("{name} at {host}"),
        };
        Ok(Web {
            at,
            provider,
            base,
            http,
            header: (header, value),
            token,
            patience: PATIENCE,
        })
    }

    /// What `doctor` says of a look at what is `there`.
    pub(super) fn finding(&self, looked: Result<(), ApiError>, there: &str) -> Finding {
        match looked {
            Ok(()) => {
                let words = format!("takes the token; {there} is there and its records can be read");
                Finding::good(&self.at, words)
            }
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                Finding::bad(&self.at, error.to_string(), hint)
            }
        }
    }

    /// A question: nothing is changed by it.
    pub(super) async fn ask(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, Fault> {
        self.tell(&Method::GET, path, query).await
    }

    /// A request that changes nothing that counts, whether it arrives or not.
    pub(super) async fn tell(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Json, Fault> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(method, url, None, false).await
    }

    /// A change: whatever happens to it after it was sent leaves it in doubt.
    pub(super) async fn change(
        &self,
        method: &Method,
        path: &[&str],
        body: Option<&Json>,
    ) -> Result<Json, Fault> {
        self.send(method, self.url(path), body, true).await
    }

    /// What a fault means, in words.
    pub(super) fn told(&self, fault: Fault) -> ApiError {
        match fault {
            Fault::Way(error) => error,
            Fault::Said(said) => said.verdict(&self.at, self.provider, &self.token),
        }
    }

    /// The zone is not there.
    pub(super) fn no_zone(&self, zone: &str) -> ApiError {
        self.refused(format!("zone {zone} not found"), self.provider.zone)
    }

    /// It refused the credentials.
    pub(super) fn no_credentials(&self, said: &Said) -> ApiError {
        said.credentials(&self.at, self.provider, &self.token)
    }

    /// Refused, by it or on its behalf.
    pub(super) fn refused(&self, problem: impl AsRef<str>, hint: &str) -> ApiError {
        ApiError::Refused {
            problem: format!("{}: {}", self.at, problem.as_ref()),
            hint: hint.to_owned(),
        }
    }

    /// It answered something that cannot be read.
    pub(super) fn strange(&self, problem: &str) -> ApiError {
        self.refused(
            problem,
            "let `endpoint` name the API of the provider, and nothing else",
        )
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // An address of HTTP always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn send(
        &self,
        method: &Method,
        url: Url,
        body: Option<&Json>,
        changes: bool,
    ) -> Result<Json, Fault> {
        let mut done = 0;
        loop {
            done += 1;
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .header(&self.header.0, &self.header.1);
            if let Some(body) = body {
                request = request.json(body);
            }
            let lost = |error: &reqwest::Error| Fault::Way(said::lost(&self.at, error, changes, REQUEST));
            let response = request.send().await.map_err(|error| lost(&error))?;
            let status = response.status();
            let asked = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| retry_after(value, Timestamp::now()));
            if !is_throttled(status, changes) {
                return self.read(status, response, changes).await;
            }
            let Some(pause) = self.patience.pause(done, asked) else {
                return Err(Fault::Way(said::throttled(&self.at, status, done, asked)));
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn read(
        &self,
        status: StatusCode,
        mut response: reqwest::Response,
        changes: bool,
    ) -> Result<Json, Fault> {
        let mut body = Vec::new();
        let torn = |error: &reqwest::Error| {
            // Whoever says no has done nothing, however much of its words is lost.
            if status.is_client_error() {
                return Fault::Said(Said::new(status, Json::Null, changes));
            }
            Fault::Way(said::lost(&self.at, error, changes, REQUEST))
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| torn(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(Fault::Way(
                    self.strange("more than 32 MiB where records should be"),
                ));
            }
        }
        if body.is_empty() && status.is_success() {
            return Ok(Json::Null);
        }
        let parsed = serde_json::from_slice::<Json>(&body);
        match parsed {
            Ok(json) if status.is_success() => Ok(json),
            Err(_) if status.is_success() => Err(Fault::Way(said::no_json(&self.at, status, changes))),
            parsed => Err(Fault::Said(Said::new(
                status,
                parsed.unwrap_or_default(),
                changes,
            ))),
        }
    }
}

/// Whether a request was turned away unread. 429 says so. 503 may as well come from a proxy that lost the server in the
/// middle of a change, also with `Retry-After`: some write that with every failure.
fn is_throttled(status: StatusCode, changes: bool) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => !changes,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Provider = Provider {
        name: "Some",
        endpoint: None,
        key: Key::Bearer,
        credentials: "",
        zone: "",
    };

    fn settings(endpoint: Option<&str>, token: Option<&str>) -> Token {
        Token {
            token: token.map(SecretString::from),
            endpoint: endpoint.map(str::to_owned),
            server: "localhost".to_owned(),
        }
    }

    fn problem(endpoint: Option<&str>, token: Option<&str>) -> String {
        match Web::new(&SOME, &settings(endpoint, token)) {
            Ok(_) => panic!("it was taken"),
            Err(error) => format!("{error} ({})", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn says_what_is_missing_and_never_what_is_secret() {
        insta::assert_snapshot!(problem(None, Some("s3cret")), @"Some: the address of its API is not known (give `endpoint`, such as http://127.0.0.1:8081)");
        insta::assert_snapshot!(problem(Some("ftp://h"), Some("s3cret")), @"Some: `endpoint` is no address of HTTP (give `endpoint` as http://HOST:PORT or https://HOST)");
        insta::assert_snapshot!(problem(Some("http://h"), None), @r#"Some: it wants a token, and none is given (give `token`, such as "${DNS_TOKEN}")"#);
        insta::assert_snapshot!(problem(Some("http://h"), Some("s3cret\n")), @"Some: `token` cannot be sent in a header (see that `token` is one line, without a line break at its end)");
    }

    #[test]
    fn paths_are_kept_apart_whatever_they_hold() {
        let web = Web::new(&SOME, &settings(Some("http://u:s3cret@h:1/base/"), Some("t")));
        let web = web.expect("these settings are fine");
        assert_eq!(web.at, "Some at h:1");
        assert_eq!(web.url(&["a/b", "c d"]).path(), "/base/a%2Fb/c%20d");
    }

    #[test]
    fn a_change_is_sent_again_only_where_it_was_turned_away() {
        assert!(is_throttled(StatusCode::TOO_MANY_REQUESTS, true));
        assert!(is_throttled(StatusCode::SERVICE_UNAVAILABLE, false));
        assert!(!is_throttled(StatusCode::SERVICE_UNAVAILABLE, true));
        assert!(!is_throttled(StatusCode::BAD_GATEWAY, true));
    }
}
