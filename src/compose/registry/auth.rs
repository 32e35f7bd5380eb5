//! How a registry wants to be logged in to, as its `WWW-Authenticate` says.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use secrecy::SecretString;
use serde::Deserialize;

/// What goes into the `Authorization` of a request.
#[derive(Debug, Clone, Default)]
pub(super) enum Authorization {
    /// Nothing.
    #[default]
    None,
    /// The inventory's name and password.
    Basic,
    /// A token for one repository.
    Bearer(SecretString),
}

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token, fetched from `realm`.
    Bearer {
        /// URL.
        realm: String,
        /// To be passed on.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge in an answer of 401; a token is preferred, because then the password travels once.
    pub(super) fn find(headers: &HeaderMap) -> Option<Challenge> {
        let read = |value: &http::HeaderValue| value.to_str().ok().and_then(Challenge::read);
        let mut found: Vec<Challenge> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(read)
            .collect();
        found.sort_by_key(|challenge| *challenge == Challenge::Basic);
        found.into_iter().next()
    }

    fn read(value: &str) -> Option<Challenge> {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut params = parameters(rest);
        Some(Challenge::Bearer {
            realm: params.remove("realm")?,
            service: params.remove("service"),
        })
    }
}

/// `name="value with, commas",other=plain`.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        params.insert(name, value.to_owned());
        text = after;
    }
    params
}

/// A token server's answer; some say it twice, some under the newer name only.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// The token.
    pub(super) fn secret(self) -> Option<SecretString> {
        self.token
            .or(self.access_token)
            .filter(|token| !token.is_empty())
            .map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static(value));
        }
        Challenge::find(&headers)
    }

    #[test]
    fn reads_what_registries_say() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let bearer = |realm: &str, service: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
        };
        let hub_challenge = bearer("https://auth.docker.io/token", Some("registry.docker.io"));
        assert_eq!(find(&[hub]), Some(hub_challenge.clone()));
        assert_eq!(find(&["Basic realm=\"x\"", hub]), Some(hub_challenge));
        assert_eq!(
            find(&["bearer realm=https://t/x, service=y"]),
            Some(bearer("https://t/x", Some("y")))
        );
        assert_eq!(find(&["BASIC"]), Some(Challenge::Basic));
        assert_eq!(find(&["Negotiate"]), None);
        assert_eq!(find(&["Bearer service=\"no realm\""]), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(text in "[ -~]{0,60}") {
            let _ = Challenge::read(&text);
        }
    }
}
