//! HTTP clients: one place that chooses TLS (rustls with ring) and follows no redirect.

use std::sync::Once;
use std::time::Duration;

/// A builder for every HTTP client of the program. `deadline` bounds a whole request.
pub fn builder(deadline: Duration) -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only when one is installed already, which then serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .timeout(deadline)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
}

/// The value in an answer that says which release it is: the whole body, or a key of its JSON (dots
/// descend).
pub fn identity(body: &str, json: Option<&str>) -> Option<String> {
    let Some(key) = json else {
        let word = body.trim();
        return (!word.is_empty() && word.len() <= 200).then(|| word.to_owned());
    };
    let mut value: &serde_json::Value = &serde_json::from_str(body).ok()?;
    for part in key.split('.') {
        value = value.get(part)?;
    }
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn reads_the_release_of_an_answer() {
        assert_eq!(identity("v2\n", None).as_deref(), Some("v2"));
        assert_eq!(identity("  \n", None), None);
        assert_eq!(
            identity(r#"{"app":{"tag":"v2"}}"#, Some("app.tag")).as_deref(),
            Some("v2")
        );
        assert_eq!(identity(r#"{"tag":75}"#, Some("tag")).as_deref(), Some("75"));
        assert_eq!(identity("<html>", Some("tag")), None);
        assert_eq!(identity(r#"{"tag":null}"#, Some("tag")), None);
    }
}
