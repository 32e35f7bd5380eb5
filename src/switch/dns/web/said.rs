//! What an answer that is no yes means, and what no answer means: refused, out of reach, or in doubt.

use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

use super::Provider;
use crate::switch::api::ApiError;

/// What to do about an API that does not answer.
const LOOK: &str = "see that this machine reaches it, and that it runs; then try again";

/// Longest text of a provider's own words that is shown, in characters: some answer with a page of HTML.
const WORDS: usize = 300;

/// What ended a request.
pub(in crate::switch::dns) enum Fault {
    /// The way there and back, in words already.
    Way(ApiError),
    /// An answer that is no yes.
    Said(Said),
}

/// An answer that is no yes.
pub(in crate::switch::dns) struct Said {
    /// Its status.
    pub(in crate::switch::dns) status: StatusCode,
    body: Json,
    changes: bool,
}

impl Said {
    /// Such an answer, to a request that `changes` something or not.
    pub(in crate::switch::dns) fn new(status: StatusCode, body: Json, changes: bool) -> Said {
        Said {
            status,
            body,
            changes,
        }
    }

    /// The numbers of the errors that it names, the causes of causes included: Cloudflare has such.
    pub(in crate::switch::dns) fn codes(&self) -> Vec<i64> {
        let mut codes = Vec::new();
        for error in self.errors() {
            codes.extend(error["code"].as_i64());
            let chain = error["error_chain"].as_array().into_iter().flatten();
            codes.extend(chain.filter_map(|error| error["code"].as_i64()));
        }
        codes
    }

    fn errors(&self) -> impl Iterator<Item = &Json> {
        self.body["errors"].as_array().into_iter().flatten()
    }

    /// Its own words; the status where it has none. `token` is struck out: a careless server may repeat it.
    pub(in crate::switch::dns) fn words(&self, token: &SecretString) -> String {
        let mut said: Vec<String> = Vec::new();
        said.extend(self.body["error"].as_str().map(str::to_owned));
        said.extend(self.body["message"].as_str().map(str::to_owned));
        for error in self.errors() {
            let message = error.as_str().or(error["message"].as_str()).unwrap_or_default();
            said.push(match error["code"].as_i64() {
                Some(code) => format!("{message} ({code})"),
                None => message.to_owned(),
            });
        }
        let words: String = said
            .join("; ")
            .replace(token.expose_secret(), "***")
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(WORDS)
            .collect();
        match words.trim() {
            "" => format!("HTTP {}", self.status),
            words => format!("HTTP {}, {words}", self.status.as_u16()),
        }
    }

    /// It means that the credentials were refused.
    pub(in crate::switch::dns) fn credentials(
        &self,
        at: &str,
        provider: &Provider,
        token: &SecretString,
    ) -> ApiError {
        ApiError::Refused {
            problem: format!("{at}: credentials refused ({})", self.words(token)),
            hint: provider.credentials.to_owned(),
        }
    }

    /// What it means where the provider has no meaning of its own for it.
    pub(super) fn verdict(&self, at: &str, provider: &Provider, token: &SecretString) -> ApiError {
        let words = self.words(token);
        let refused = |problem: String, hint: &str| ApiError::Refused {
            problem: format!("{at}: {problem}"),
            hint: hint.to_owned(),
        };
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.credentials(at, provider, token),
            StatusCode::NOT_FOUND => refused(format!("zone not found ({words})"), provider.zone),
            // The server gave up waiting for the rest of the request: who knows what it did with what it had.
            StatusCode::REQUEST_TIMEOUT if self.changes => ApiError::InDoubt {
                problem: format!("{at}: {words}"),
            },
            status if status.is_client_error() => {
                refused(words, "change what it names in the inventory or in the zone")
            }
            status if status.is_redirection() => refused(
                format!("expected an answer, found a redirection ({status})"),
                "let `endpoint` name the API itself",
            ),
            // It may have failed before the change or after it.
            _ if self.changes => ApiError::InDoubt {
                problem: format!("{at}: {words}"),
            },
            _ => ApiError::Unreachable {
                problem: format!("{at}: {words}"),
                hint: LOOK.to_owned(),
            },
        }
    }
}

/// No answer came, or not all of it. Only a connection that was never made cannot have carried the request.
pub(super) fn lost(at: &str, error: &reqwest::Error, changes: bool, within: Duration) -> ApiError {
    let problem = if error.is_timeout() && !error.is_connect() {
        format!("{at}: no answer within {} s", within.as_secs())
    } else {
        format!("{at}: {}", cause(error))
    };
    if changes && !error.is_connect() && !error.is_builder() {
        return ApiError::InDoubt { problem };
    }
    ApiError::Unreachable {
        problem,
        hint: LOOK.to_owned(),
    }
}

/// A yes that is no JSON: whatever stands before the API may have passed the request on.
pub(super) fn no_json(at: &str, status: StatusCode, changes: bool) -> ApiError {
    let problem = format!("{at}: expected JSON, found something else (HTTP {status})");
    if changes {
        return ApiError::InDoubt { problem };
    }
    ApiError::Refused {
        problem,
        hint: "let `endpoint` name the API of the provider, and nothing else".to_owned(),
    }
}

/// It turned requests away until patience ended.
pub(super) fn throttled(at: &str, status: StatusCode, tries: u32, asked: Option<Duration>) -> ApiError {
    let asked = asked.filter(|asked| !asked.is_zero());
    let asked = asked.map_or(String::new(), |asked| {
        format!(", and it asks to wait {} s", asked.as_secs())
    });
    let turned_away = match tries {
        1 => "a request was turned away".to_owned(),
        tries => format!("{tries} requests were turned away"),
    };
    ApiError::Refused {
        problem: format!("{at}: throttled: {turned_away} (HTTP {status}){asked}"),
        hint: "wait, then try again; see what else uses up the limit of this account".to_owned(),
    }
}

/// The innermost cause: what wraps it repeats the URL and says no more.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use serde_json::json;

    const SOME: Provider = Provider {
        name: "Some",
        endpoint: None,
        key: Key::Bearer,
        credentials: "renew the token",
        zone: "make the zone",
    };

    fn verdict(status: u16, body: Json, changes: bool) -> ApiError {
        let status = StatusCode::from_u16(status).expect("a status");
        Said::new(status, body, changes).verdict("Some at h", &SOME, &SecretString::from("s3cret"))
    }

    #[test]
    fn each_status_has_its_words_and_its_cure() {
        let own = json!({ "error": "bad s3cret\u{1b}[31m" });
        let told = |status, changes| {
            let error = verdict(status, own.clone(), changes);
            format!("{error:?}")
        };
        let all = [401, 403, 404, 400, 422, 409, 301, 408, 500, 502].map(|status| told(status, true));
        insta::assert_debug_snapshot!(all, @r#"
        [
            "Refused { problem: \"Some at h: credentials refused (HTTP 401, bad *** [31m)\", hint: \"renew the token\" }",
            "Refused { problem: \"Some at h: credentials refused (HTTP 403, bad *** [31m)\", hint: \"renew the token\" }",
            "Refused { problem: \"Some at h: zone not found (HTTP 404, bad *** [31m)\", hint: \"make the zone\" }",
            "Refused { problem: \"Some at h: HTTP 400, bad *** [31m\", hint: \"change what it names in the inventory or in the zone\" }",
            "Refused { problem: \"Some at h: HTTP 422, bad *** [31m\", hint: \"change what it names in the inventory or in the zone\" }",
            "Refused { problem: \"Some at h: HTTP 409, bad *** [31m\", hint: \"change what it names in the inventory or in the zone\" }",
            "Refused { problem: \"Some at h: expected an answer, found a redirection (301 Moved Permanently)\", hint: \"let `endpoint` name the API itself\" }",
            "InDoubt { problem: \"Some at h: HTTP 408, bad *** [31m\" }",
            "InDoubt { problem: \"Some at h: HTTP 500, bad *** [31m\" }",
            "InDoubt { problem: \"Some at h: HTTP 502, bad *** [31m\" }",
        ]
        "#);
        assert!(matches!(
            verdict(500, Json::Null, false),
            ApiError::Unreachable { .. }
        ));
        assert!(verdict(503, Json::Null, true).is_in_doubt());
    }

    #[test]
    fn words_of_all_three_are_read() {
        let words = |body| {
            let said = Said::new(StatusCode::BAD_REQUEST, body, false);
            (said.words(&SecretString::from("s3cret")), said.codes())
        };
        let cloudflare = json!({ "success": false, "errors": [{ "code": 6003, "message": "Invalid request headers",
            "error_chain": [{ "code": 6111, "message": "Invalid format" }] }] });
        let found = words(cloudflare);
        assert_eq!(
            found,
            (
                "HTTP 400, Invalid request headers (6003)".to_owned(),
                vec![6003, 6111]
            )
        );
        let ocean = json!({ "id": "unprocessable_entity", "message": "Data needs an address." });
        assert_eq!(words(ocean).0, "HTTP 400, Data needs an address.");
        assert_eq!(
            words(json!({ "error": "x", "errors": ["y"] })).0,
            "HTTP 400, x; y"
        );
        assert_eq!(words(Json::Null).0, "HTTP 400 Bad Request");
        assert_eq!(words(json!({ "error": "x".repeat(900) })).0.len(), 310);
    }
}
