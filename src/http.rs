//! HTTP clients: one place that chooses TLS (rustls with ring) and follows no redirect; and how an
//! answer says which release it is.

pub mod patience;

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

/// The release that an answer names: the value of a JSON key (dots descend), or the whole body,
/// trimmed. `None` when there is none. A whole body of several lines is some page, not a release.
pub fn identity(body: &str, json: Option<&str>) -> Option<String> {
    let Some(key) = json else {
        let tag = body.trim();
        return (!tag.is_empty() && !tag.contains(char::is_control)).then(|| tag.to_owned());
    };
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    match key.split('.').try_fold(&answer, |value, part| value.get(part))? {
        serde_json::Value::String(tag) if !tag.is_empty() => Some(tag.clone()),
        // A build number is a tag, too.
        serde_json::Value::Number(tag) => Some(tag.to_string()),
        _ => None,
    }
}
