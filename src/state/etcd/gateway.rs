//! etcd's v3 JSON gateway over HTTP: the few calls that the store needs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::problem::{self, Fault};
use crate::inventory::state::EtcdState;
use crate::state::{CALL, StoreError};

/// Longest that one member may take: one that accepts and never answers must leave time for the others.
const REQUEST: Duration = Duration::from_secs(CALL.as_secs() / 3);

/// Most keys of one answer, so that a long journal does not come as one.
const PAGE: usize = 500;

/// One key with its value.
#[derive(Debug, Default)]
pub(super) struct Kv {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) mod_revision: i64,
    pub(super) lease: i64,
}

/// The cluster.
pub(super) struct Gateway {
    /// Where, for messages: `etcd at https://etcd1:2379`.
    pub(super) at: String,
    http: reqwest::Client,
    endpoints: Vec<String>,
    login: Option<(String, SecretString)>,
    session: Mutex<Session>,
}

/// What was learned of the cluster while talking to it.
#[derive(Default)]
struct Session {
    /// The endpoint that is asked first; the next one after it failed.
    first: usize,
    token: Option<SecretString>,
}

/// A text as the gateway wants it.
pub(super) fn text(text: &str) -> Json {
    Json::String(BASE64.encode(text))
}

/// An operation of a transaction.
pub(super) fn put(key: &str, value: &str, lease: Option<i64>) -> Json {
    let lease = lease.unwrap_or_default().to_string();
    json!({ "requestPut": { "key": text(key), "value": text(value), "lease": lease } })
}

/// An operation of a transaction.
pub(super) fn delete(key: &str) -> Json {
    json!({ "requestDeleteRange": { "key": text(key) } })
}

impl Gateway {
    pub(super) fn new(settings: &EtcdState) -> Result<Gateway, StoreError> {
        let mut builder = crate::http::builder(REQUEST).connect_timeout(REQUEST);
        if let Some(path) = &settings.ca_file {
            let unusable = |problem: String| StoreError::Refused {
                problem: format!("{path}: {problem}"),
                hint: "let `state.ca_file` name the PEM file of the CA".to_owned(),
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| unusable(problem::cause(&error)))?;
            if roots.is_empty() {
                return Err(unusable("expected a certificate in PEM, found none".to_owned()));
            }
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|error| StoreError::Refused {
            problem: format!("an HTTP client cannot be set up: {}", problem::cause(&error)),
            hint: "name a CA in `state.ca_file`".to_owned(),
        })?;
        let endpoints = settings.endpoints.iter();
        Ok(Gateway {
            at: format!("etcd at {}", settings.endpoints.join(", ")),
            http,
            endpoints: endpoints
                .map(|url| url.trim_end_matches('/').to_owned())
                .collect(),
            login: settings.login.clone(),
            session: Mutex::default(),
        })
    }

    /// One key, or all from `key` up to `end`, as the whole cluster agrees on now.
    pub(super) async fn range(&self, key: &str, end: Option<&str>) -> Result<Vec<Kv>, Fault> {
        let mut body = json!({ "key": text(key), "serializable": false });
        if let Some(end) = end {
            body["rangeEnd"] = text(end);
        }
        kvs(&self.ask("/v3/kv/range", &body).await?)
    }

    /// All keys that begin with this, in order.
    pub(super) async fn all(&self, prefix: &str) -> Result<Vec<Kv>, Fault> {
        let mut found: Vec<Kv> = Vec::new();
        let mut from = prefix.to_owned();
        loop {
            let body =
                json!({ "key": text(&from), "rangeEnd": text(&after(prefix)), "limit": PAGE.to_string() });
            let answer = self.ask("/v3/kv/range", &body).await?;
            found.extend(kvs(&answer)?);
            match found.last() {
                // The next key after the last one: itself and a NUL.
                Some(last) if answer["more"] == true => from = format!("{}\0", last.key),
                Some(_) | None => return Ok(found),
            }
        }
    }

    /// How many keys begin with this.
    pub(super) async fn count(&self, prefix: &str) -> Result<u64, Fault> {
        let body = json!({ "key": text(prefix), "rangeEnd": text(&after(prefix)), "countOnly": true });
        let answer = self.ask("/v3/kv/range", &body).await?;
        Ok(number(&answer["count"]).unsigned_abs())
    }

    /// Does `puts` if all of `compare` holds; says whether it did.
    pub(super) async fn transaction(&self, compare: Vec<Json>, puts: Vec<Json>) -> Result<bool, Fault> {
        let body = json!({ "compare": compare, "success": puts });
        let answer = self.send("/v3/kv/txn", &body, true).await?;
        Ok(answer["succeeded"] == true)
    }

    /// A lease of so many seconds.
    pub(super) async fn grant(&self, seconds: i64) -> Result<i64, Fault> {
        let answer = self
            .ask("/v3/lease/grant", &json!({ "TTL": seconds.to_string() }))
            .await?;
        Ok(number(&answer["ID"]))
    }

    /// Begins a lease anew.
    pub(super) async fn renew(&self, lease: i64) -> Result<(), Fault> {
        let body = json!({ "ID": lease.to_string() });
        self.ask("/v3/lease/keepalive", &body).await.map(drop)
    }

    /// Seconds that are gone of a lease; `None` when it ran out.
    pub(super) async fn gone_of(&self, lease: i64) -> Result<Option<i64>, Fault> {
        let answer = self
            .ask("/v3/lease/timetolive", &json!({ "ID": lease.to_string() }))
            .await?;
        let (left, granted) = (number(&answer["TTL"]), number(&answer["grantedTTL"]));
        Ok((left >= 0 && granted > 0).then_some(granted - left))
    }

    /// A question: nothing changes that a run depends on.
    async fn ask(&self, path: &str, body: &Json) -> Result<Json, Fault> {
        self.send(path, body, false).await.map_err(Fault::of_a_question)
    }

    /// Sends to the first endpoint that answers. What changes something is sent to the next one only if
    /// the one before cannot have got it.
    async fn send(&self, path: &str, body: &Json, changes: bool) -> Result<Json, Fault> {
        let mut session = self.session.lock().await;
        let mut renewed = false;
        let mut tried = 0;
        // A question is asked once more than there are members: a kept connection may have ended since it was used.
        let most = self.endpoints.len() + usize::from(!changes);
        loop {
            if session.token.is_none()
                && let Some((name, password)) = &self.login
            {
                let login = json!({ "name": name, "password": password.expose_secret() });
                let endpoint = &self.endpoints[session.first % self.endpoints.len()];
                match self.post(endpoint, "/v3/auth/authenticate", &login, None).await {
                    Ok(answer) => {
                        session.token = answer["token"].as_str().map(SecretString::from);
                    }
                    Err(fault) if tried + 1 < most && fault.of_the_way() => {
                        tried += 1;
                        session.first += 1;
                        continue;
                    }
                    Err(fault) => return Err(fault.of_a_question()),
                }
            }
            let endpoint = &self.endpoints[session.first % self.endpoints.len()];
            let answer = self.post(endpoint, path, body, session.token.as_ref()).await;
            match answer {
                // Tokens end: after minutes, or with any change of the users. Nothing was done.
                Err(fault) if fault.stale_token && !renewed && self.login.is_some() => {
                    renewed = true;
                    session.token = None;
                }
                Err(fault) if fault.of_the_way() && !(changes && fault.in_doubt) => {
                    session.first += 1;
                    tried += 1;
                    if tried >= most {
                        return Err(fault);
                    }
                }
                Err(fault) => {
                    // Whoever did not answer is asked last next time.
                    session.first += usize::from(fault.of_the_way());
                    return Err(fault);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn post(
        &self,
        endpoint: &str,
        path: &str,
        body: &Json,
        token: Option<&SecretString>,
    ) -> Result<Json, Fault> {
        let mut request = self.http.post(format!("{endpoint}{path}")).json(body);
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, token.expose_secret());
        }
        let response = request
            .send()
            .await
            .map_err(|error| problem::of_the_way(&error))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| problem::of_the_way(&error))?;
        if !status.is_success() {
            return Err(problem::of_an_answer(status, &body));
        }
        serde_json::from_slice(&body).map_err(|_| problem::no_gateway(status))
    }
}

/// The first key after all that begin with this; the prefixes here end in `/`, which has a successor.
fn after(prefix: &str) -> String {
    let mut end = prefix.trim_end_matches('/').to_owned();
    end.push('0');
    end
}

fn kvs(answer: &Json) -> Result<Vec<Kv>, Fault> {
    let decode = |json: &Json| -> Result<String, Fault> {
        // The gateway leaves out what is empty.
        let bytes = BASE64
            .decode(json.as_str().unwrap_or_default())
            .map_err(|_| problem::garbled())?;
        String::from_utf8(bytes).map_err(|_| problem::garbled())
    };
    let kvs = answer["kvs"].as_array().into_iter().flatten();
    kvs.map(|kv| {
        Ok(Kv {
            key: decode(&kv["key"])?,
            value: decode(&kv["value"])?,
            mod_revision: number(&kv["mod_revision"]),
            lease: number(&kv["lease"]),
        })
    })
    .collect()
}

/// The gateway writes 64-bit numbers as strings, and leaves out 0.
fn number(json: &Json) -> i64 {
    match json {
        Json::String(text) => text.parse().unwrap_or_default(),
        other => other.as_i64().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_after_all_of_it_and_before_anything_else() {
        let end = after("/pointsman/shop/a/journal/");
        assert!("/pointsman/shop/a/journal/~~~" < end.as_str());
        assert!("/pointsman/shop/a/journal0" <= end.as_str());
        assert!("/pointsman/shop/a/journal-b/" < "/pointsman/shop/a/journal/");
    }

    #[test]
    fn answers_are_read_as_the_gateway_writes_them() {
        let answer = json!({ "kvs": [{ "key": "YQ==", "mod_revision": "7", "lease": "12" }, { "key": "Yg==", "value": "eA==" }] });
        let found = kvs(&answer).ok().unwrap_or_default();
        assert_eq!((found[0].key.as_str(), found[0].value.as_str()), ("a", ""));
        assert_eq!((found[0].mod_revision, found[0].lease), (7, 12));
        assert_eq!(found[1].value, "x");
        assert!(kvs(&json!({ "kvs": [{ "key": "%" }] })).is_err());
    }
}
