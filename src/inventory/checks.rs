//! `[[checks]]`: how a host of the cold pool is proven.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Checker;
use super::diagnostic::{Mistake, shown};
use super::grammar::Grammar;
use super::quantity;

/// A health check: an HTTP request to each host, made through SSH. A pool gets traffic only when all pass on all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What it is called in messages.
    #[schemars(extend("grammar" = Grammar::Label), example = &"nginx")]
    pub name: String,
    /// Compose service that is asked inside the Compose network. Without it `port` is a port of the host.
    #[schemars(extend("grammar" = Grammar::Service), example = &"app")]
    pub service: Option<String>,
    /// Port of the service, or of the host.
    #[schemars(range(min = 1), example = 80)]
    pub port: u16,
    /// Path and query of the request.
    #[schemars(extend("grammar" = Grammar::UrlPath), example = &"/up")]
    pub path: String,
    /// Status that is healthy.
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    pub status: u16,
    /// Text that the body must contain.
    #[schemars(extend("grammar" = Grammar::Line), example = &"ok")]
    pub contains: Option<String>,
    /// `Host:` header to send, if the app insists on one.
    #[schemars(extend("grammar" = Grammar::HostPort), example = &"shop.example.com")]
    pub host_header: Option<String>,
    /// Successes in a row that are needed.
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub successes: u32,
    /// Shortest time over which those successes must spread.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Pause, "default" = "2s"))]
    pub min_healthy: Duration,
    /// Pause between two requests.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "500ms"))]
    pub interval: Duration,
    /// Deadline of one request.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "3s"))]
    pub timeout: Duration,
}

/// What to add to an inventory without checks.
pub(super) const SNIPPET: &str = "\
[[checks]]
name = \"web\"
port = 80
path = \"/up\"";

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let checks = checker.root.items(&["checks"]);
    let duration = |text: Option<&str>| text.and_then(quantity::parse_duration);
    let limit = duration(checker.root.text(&["app", "start_timeout"]));
    for (index, check) in checks.iter().enumerate() {
        checker.endpoint(check, &format!("checks[{index}]"));
        let Some(name) = check.text(&["name"]) else {
            continue;
        };
        let at = |key: &str| check.get(&[key]).map_or(&check.place, |node| &node.place);
        if let Some(first) = checks[..index]
            .iter()
            .find(|other| other.text(&["name"]) == Some(name))
        {
            checker.mistakes.add(
                Mistake::at(
                    at("name"),
                    format!("checks[{index}].name"),
                    "two checks have one name",
                )
                .expected("a name of its own")
                .found(shown(name))
                .related(
                    first.get(&["name"]).map_or(&first.place, |node| &node.place),
                    "the first one",
                ),
            );
        }
        let spread = spread(check.integer(&["successes"]), duration(check.text(&["interval"])))
            .max(duration(check.text(&["min_healthy"])));
        if let (Some(spread), Some(limit)) = (spread, limit)
            && spread >= limit
        {
            checker.mistakes.add(
                Mistake::at(
                    at("name"),
                    format!("checks[{index}].min_healthy"),
                    format!("the check {} can never pass", shown(name)),
                )
                .expected(format!(
                    "successes within `app.start_timeout`, which is {limit:?}"
                ))
                .found(format!("successes that spread over {spread:?}"))
                .help("lower `min_healthy`, `successes` or `interval`, or raise `app.start_timeout`"),
            );
        }
    }
}

/// The time that this many successes take at least.
fn spread(successes: Option<i128>, interval: Option<Duration>) -> Option<Duration> {
    interval?.checked_mul(u32::try_from(successes?).ok()?.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};
    use super::*;

    #[test]
    fn defaults_are_filled_in() {
        let check = Lab::new().load().checks.remove(0);
        assert_eq!((check.status, check.successes), (200, 3));
        assert_eq!(check.min_healthy, Duration::from_secs(2));
        assert_eq!(
            (check.interval, check.timeout),
            (Duration::from_millis(500), Duration::from_secs(3))
        );
    }

    #[test]
    fn an_app_without_checks_is_refused_with_the_lines_to_add() {
        let text = Lab::BASE.split("[[checks]]").next().expect("the head").to_owned() + Lab::SWITCH;
        insta::assert_snapshot!(Lab::new().refused(&text), @r#"
        error: `checks` is missing
        --> production.toml
         = note: expected a health check: an HTTP request to each host, made through SSH, found none
         = help: add:
                 [[checks]]
                 name = "web"
                 port = 80
                 path = "/up"

        production.toml: 1 mistake
        "#);
        let errors = Lab::new().refused(&format!("checks = []\n{text}"));
        assert!(errors.contains("[[checks]]"), "{errors}");
    }

    #[test]
    fn names_are_unique_and_services_exist() {
        let errors = Lab::new().refused(&format!(
            "{}\n[[checks]]\nname = \"nginx\"\nport = 8080\nservice = \"ap\"\npath = \"up\"\n",
            Lab::BASE
        ));
        insta::assert_snapshot!(errors, @r#"
        error: two checks have one name
          --> production.toml:21:8
           |
        21 | name = "nginx"
           |        ^^^^^^^ expected a name of its own, found "nginx"
           |
          ::: production.toml:13:8
           |
        13 | name = "nginx"
           |        ------- the first one

        error: the Compose file has no service "ap"
          --> production.toml:23:11
           |
        23 | service = "ap"
           |           ^^^^ expected one of `app`, `web`, found "ap"
           |
           = help: did you mean `app`?

        error: `checks[1].path` is malformed
          --> production.toml:24:8
           |
        24 | path = "up"
           |        ^^^^ expected a path that starts with `/`, anything unusual in it percent-encoded, found "up"

        production.toml: 3 mistakes
        "#);
    }

    #[test]
    fn a_check_that_outlasts_the_start_is_refused() {
        let lab = Lab::new();
        let errors = lab.refused(&with("app.start_timeout", r#""2s""#));
        insta::assert_snapshot!(errors, @r#"
        error: the check "nginx" can never pass
          --> production.toml:14:8
           |
        14 | name = "nginx"
           |        ^^^^^^^ expected successes within `app.start_timeout`, which is 2s, found successes that spread over 2s
           |
           = help: lower `min_healthy`, `successes` or `interval`, or raise `app.start_timeout`

        production.toml: 1 mistake
        "#);
        assert!(lab.load_text(&with("app.start_timeout", r#""2001ms""#)).is_ok());
    }
}
