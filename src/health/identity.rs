//! Which release answers: read from an answer's body, or asked through a router.

use std::time::{Duration, Instant};

use reqwest::Url;

use super::text::{headline, human, tidy};
use super::web::{fetch, warm};
use crate::inventory::Identity;

/// A release's own word for who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The tag that it answered with.
    pub tag: String,
    /// The status: 200 to 299.
    pub status: u16,
    /// From the request's start to the end of the answer, connecting included.
    pub latency: Duration,
}

/// Why nobody said which release answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The URL cannot be asked.
    #[error("{url}: {problem}; expected http://HOST or https://HOST")]
    Url {
        /// As given.
        url: String,
        /// In words.
        problem: String,
    },
    /// No connection.
    #[error("{url}: no connection: {problem}")]
    Connect {
        /// What was asked.
        url: String,
        /// The deepest cause.
        problem: String,
    },
    /// No answer in time.
    #[error("{url}: no answer within {}", human(*.deadline))]
    Silent {
        /// What was asked.
        url: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The connection was closed, or something came that is no HTTP answer.
    #[error("{url}: the answer broke off: {problem}")]
    Broken {
        /// What was asked.
        url: String,
        /// The deepest cause.
        problem: String,
    },
    /// An answer that is no success.
    #[error("{url}: expected status 200, found {status}{}", said(.line))]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The body's first line.
        line: String,
    },
    /// A success that names no release.
    #[error("{url}: expected {expected}, found {line:?}")]
    NoRelease {
        /// What was asked.
        url: String,
        /// Where the tag should stand.
        expected: String,
        /// The body's first line.
        line: String,
    },
}

/// The tag that a body names; see [`crate::http::identity`].
pub fn read(body: &str, identity: &Identity) -> Option<String> {
    crate::http::identity(body, identity.json.as_deref())
}

/// Asks `url` (a router's `http://HOST[:PORT]`) which release answers, over a fresh connection: a kept
/// one may belong to a worker that the router has already replaced. With `host_header` and `https` the
/// certificate must be the header's, not the address's.
///
/// # Errors
/// [`IdentityError`], one variant for each way not to get a tag.
pub async fn ask(
    url: &str,
    host_header: Option<&str>,
    identity: &Identity,
    deadline: Duration,
) -> Result<Answer, IdentityError> {
    let whole = target(url, identity)?;
    warm();
    let began = Instant::now();
    let shown = whole.to_string();
    match tokio::time::timeout(deadline, fetch(whole, host_header)).await {
        Err(_) => Err(IdentityError::Silent { url: shown, deadline }),
        Ok(Err(error)) => Err(error),
        Ok(Ok((status, body))) if !(200..300).contains(&status) => Err(IdentityError::Status {
            url: shown,
            status,
            line: headline(&body),
        }),
        Ok(Ok((status, body))) => match read(&body, identity) {
            Some(tag) => Ok(Answer {
                tag,
                status,
                latency: began.elapsed(),
            }),
            None => Err(IdentityError::NoRelease {
                url: shown,
                expected: match &identity.json {
                    Some(key) => format!("a tag as {key:?} of JSON"),
                    None => "a tag as the whole body".to_owned(),
                },
                line: headline(&body),
            }),
        },
    }
}

fn target(url: &str, identity: &Identity) -> Result<Url, IdentityError> {
    let wrong = |problem: &str| IdentityError::Url {
        url: tidy(url),
        problem: problem.to_owned(),
    };
    let base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(wrong("not a web address"));
    }
    base.join(&identity.path)
        .map_err(|error| wrong(&error.to_string()))
}

fn said(line: &str) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::health::testing::{Say, Server};
    use proptest::prelude::*;

    fn identity(json: Option<&str>) -> Identity {
        Identity {
            path: "/version".to_owned(),
            json: json.map(str::to_owned),
            service: None,
            port: 80,
        }
    }

    #[test]
    fn reads_the_whole_body_or_one_key() {
        assert_eq!(
            read(" 75_db4b44b\n", &identity(None)).as_deref(),
            Some("75_db4b44b")
        );
        assert_eq!(read("", &identity(None)), None);
        assert_eq!(read("<html>\n<p>hello", &identity(None)), None);
        let nested = identity(Some("app.release.tag"));
        let body = r#"{"app":{"release":{"tag":"v2"}},"tag":"v1"}"#;
        assert_eq!(read(body, &nested).as_deref(), Some("v2"));
        assert_eq!(read(body, &identity(Some("tag"))).as_deref(), Some("v1"));
        assert_eq!(
            read(r#"{"tag":75}"#, &identity(Some("tag"))).as_deref(),
            Some("75")
        );
        for none in [r#"{"tag":null}"#, r#"{"tag":""}"#, r#"{"tag":["v1"]}"#, "v1", "{"] {
            assert_eq!(read(none, &identity(Some("tag"))), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_tag_is_served_is_read_back(tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}") {
            let body = serde_json::json!({ "a": { "b": &tag } }).to_string();
            prop_assert_eq!(read(&body, &identity(Some("a.b"))), Some(tag.clone()));
            prop_assert_eq!(read(&format!("{tag}\r\n"), &identity(None)), Some(tag));
        }
    }

    const SOON: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn asks_a_router_with_its_host_header() {
        let server = Server::http(|request: &str| {
            assert!(request.starts_with("GET /version HTTP/1.1\r\n"), "{request}");
            Say::Reply(
                200,
                if request.contains("host: shop.example.com") {
                    "v2\n"
                } else {
                    "v1\n"
                }
                .to_owned(),
            )
        })
        .await;
        let url = format!("http://127.0.0.1:{}", server.port());
        let asked = |header| ask_once(&url, header);
        assert_eq!(asked(None).await.unwrap().tag, "v1");
        let answer = asked(Some("shop.example.com")).await.unwrap();
        assert_eq!((answer.tag.as_str(), answer.status), ("v2", 200));
        assert_eq!(
            server.connections(),
            2,
            "each question has a connection of its own"
        );
    }

    async fn ask_once(url: &str, header: Option<&str>) -> Result<Answer, IdentityError> {
        ask(url, header, &identity(None), SOON).await
    }

    #[tokio::test]
    async fn every_way_not_to_answer_has_its_own_words() {
        let error = async |say: Say| {
            let server = Server::http(move |_: &str| say.clone()).await;
            let url = format!("http://127.0.0.1:{}", server.port());
            ask_once(&url, None)
                .await
                .unwrap_err()
                .to_string()
                .replace(&url, "URL")
        };
        let page = "<html><title>502 Bad Gateway</title>".to_owned();
        assert_eq!(
            error(Say::Reply(502, page)).await,
            "URL/version: expected status 200, found 502: 502 Bad Gateway"
        );
        assert_eq!(
            error(Say::Reply(200, "a\nb".to_owned())).await,
            "URL/version: expected a tag as the whole body, found \"a\""
        );
        assert_eq!(error(Say::Nothing).await, "URL/version: no answer within 400 ms");
        assert!(
            error(Say::HangUp)
                .await
                .starts_with("URL/version: the answer broke off: ")
        );

        let nobody = Server::reserved().await;
        let refused = ask_once(&format!("http://127.0.0.1:{}", nobody.port()), None)
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, IdentityError::Connect { problem, .. } if problem.contains("refused")),
            "{refused}"
        );
        assert!(matches!(
            ask_once("lb1.example.com", None).await,
            Err(IdentityError::Url { .. })
        ));
        assert!(matches!(
            ask_once("ftp://lb1", None).await,
            Err(IdentityError::Url { .. })
        ));
    }
}
