//! `[app]`: what is deployed, and how it says which release it is.

use std::time::Duration;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Checker;
use super::grammar::Grammar;
use super::quantity;

/// What is deployed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The app's name. Part of project, folder, label and map names, so a change of it is a new app.
    #[schemars(extend("grammar" = Grammar::Name), example = &"shop")]
    pub name: String,
    /// Absolute folder on every host and router under which pointsman keeps its state and releases.
    #[schemars(extend("grammar" = Grammar::RemotePath), example = &"/home/deploy/shop")]
    pub path: String,
    /// The Compose file, relative to the file that names it. Sent to the hosts untouched.
    #[schemars(with = "String", extend("grammar" = Grammar::File), example = &"docker-compose.production.yml")]
    pub compose: Utf8PathBuf,
    /// The env file, relative to the file that names it. Sent as `.env`, mode 0600; its values are secret.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &".env.production")]
    pub env_file: Option<Utf8PathBuf>,
    /// How a host says which release it serves.
    #[schemars(example = serde_json::json!({"path": "/version", "json": "tag"}))]
    pub identity: Identity,
    /// How many proven releases are kept per pool besides the running one.
    #[schemars(range(min = 1, max = 100), extend("default" = 3))]
    pub keep_releases: usize,
    /// Longest that pulling one release may take on a host.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "10m"))]
    pub pull_timeout: Duration,
    /// Longest that a pull may go on without a piece of a layer arriving (a hundredth of it, 512 KiB at most); then it is
    /// ended and tried again. In whole seconds.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "60s"))]
    pub pull_stall: Duration,
    /// Longest that starting a pool's containers and its checks may take on a host.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "2m"))]
    pub start_timeout: Duration,
    /// Free bytes that a deploy wants on the docker root beside what the images need.
    #[serde(deserialize_with = "quantity::size")]
    #[schemars(with = "String", extend("grammar" = Grammar::Size, "default" = "1GiB"))]
    pub disk_margin: u64,
}

/// How a host says which release it serves: an HTTP endpoint that answers with the deployed tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Path of the endpoint. Asked on each host and through each router.
    #[schemars(extend("grammar" = Grammar::UrlPath), example = &"/version")]
    pub path: String,
    /// Key of the JSON answer that holds the tag; dots descend. Without it the whole body, trimmed, is the tag.
    #[schemars(extend("grammar" = Grammar::JsonKey), example = &"tag")]
    pub json: Option<String>,
    /// Compose service that answers it. Without it `port` is a port of the host.
    #[schemars(extend("grammar" = Grammar::Service), example = &"web")]
    pub service: Option<String>,
    /// Port of the service in the Compose network, or of the host.
    #[schemars(range(min = 1), extend("default" = 80))]
    pub port: u16,
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    if let Some(identity) = checker.root.get(&["app", "identity"]) {
        checker.endpoint(identity, "app.identity");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Lab, with};

    #[test]
    fn defaults_are_filled_in() {
        let app = Lab::new().load().app;
        assert_eq!(
            (app.name.as_str(), app.keep_releases, app.disk_margin),
            ("shop", 3, 1 << 30)
        );
        assert_eq!(
            (app.pull_timeout, app.start_timeout),
            (Duration::from_secs(600), Duration::from_secs(120))
        );
        assert_eq!(
            (app.identity.port, app.identity.json.as_deref()),
            (80, Some("tag"))
        );
        assert!(app.compose.is_absolute() && app.env_file.is_none());
    }

    #[test]
    fn the_identity_is_asked_of_a_service_that_exists() {
        let errors = Lab::new().refused(&with("app.identity.service", r#""wbe""#));
        insta::assert_snapshot!(errors, @r#"
        error: the Compose file has no service "wbe"
         --> production.toml:6:11
          |
        6 | service = "wbe"
          |           ^^^^^ expected one of `app`, `web`, found "wbe"

        production.toml: 1 mistake
        "#);
    }
}
