//! `[migrate]`: what is run once per deploy before the cold pool starts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Checker;
use super::diagnostic::{Mistake, shown};
use super::grammar::Grammar;
use super::node::Value;
use super::quantity;

/// What is run once per deploy, before the cold pool starts. It must be safe to run twice.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// Compose service whose image and settings run it.
    #[schemars(extend("grammar" = Grammar::Service), example = &"app")]
    pub service: String,
    /// The command and its arguments; no shell takes them apart.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Any}), example = ["bin/rails", "db:migrate"])]
    pub command: Vec<String>,
    /// Longest that it may take.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "10m"))]
    pub timeout: Duration,
    /// Variable of the env file that holds the database's URL.
    #[schemars(extend("grammar" = Grammar::EnvName, "default" = "DATABASE_URL"))]
    pub database_url: String,
    /// Longest to wait until the database accepts connections.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Pause, "default" = "30s"))]
    pub wait: Duration,
    /// Paths that the hot pool is asked for through each router while the migration runs, to see that it does not break the release that serves. Those of the checks unless given.
    #[schemars(extend("items" = {"type": "string", "grammar": Grammar::UrlPath}, "default" = []), example = ["/up", "/products"])]
    pub watch: Vec<String>,
    /// How long they are still asked for after it.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Pause, "default" = "3s"))]
    pub watch_for: Duration,
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let Some(migrate) = checker.root.get(&["migrate"]) else {
        return;
    };
    checker.service_of(migrate, "migrate.service");
    let Some(program) = migrate.items(&["command"]).first() else {
        return;
    };
    if let Value::String(text) = &program.value
        && (text.is_empty() || text.starts_with('-'))
    {
        checker.mistakes.add(
            Mistake::at(
                &program.place,
                "migrate.command[0]",
                "`migrate.command` starts with no program",
            )
            .expected("the name of a program, which starts with no `-`")
            .found(shown(text)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lab;

    fn text(migrate: &str) -> String {
        format!("{}\n[migrate]\n{migrate}\n", Lab::BASE)
    }

    #[test]
    fn arguments_are_kept_as_they_are() {
        let migrate = Lab::new()
            .load_text(&text(
                r#"service = "app"
command = ["sh", "-c", "a 'b' \"$$c\"; d", ""]"#,
            ))
            .expect("valid")
            .migrate
            .expect("given");
        assert_eq!(migrate.command, ["sh", "-c", "a 'b' \"$c\"; d", ""]);
        assert_eq!((migrate.timeout.as_secs(), migrate.wait.as_secs()), (600, 30));
        assert_eq!(migrate.database_url, "DATABASE_URL");
        assert_eq!((migrate.watch.len(), migrate.watch_for.as_secs()), (0, 3));
    }

    #[test]
    fn its_mistakes() {
        let errors = Lab::new().refused(&text(
            r#"service = "worker"
command = ["--rm", 7]
database_url = "DATABASE-URL"
timeout = "soon""#,
        ));
        insta::assert_snapshot!(errors, @r#"
        error: the Compose file has no service "worker"
          --> production.toml:21:11
           |
        21 | service = "worker"
           |           ^^^^^^^^ expected one of `app`, `web`, found "worker"

        error: `migrate.command` starts with no program
          --> production.toml:22:12
           |
        22 | command = ["--rm", 7]
           |            ^^^^^^ expected the name of a program, which starts with no `-`, found "--rm"

        error: `migrate.command[1]` has the wrong type
          --> production.toml:22:20
           |
        22 | command = ["--rm", 7]
           |                    ^ expected a string, found an integer
           |
           = help: put it in quotes: "7"

        error: `migrate.database_url` is malformed
          --> production.toml:23:16
           |
        23 | database_url = "DATABASE-URL"
           |                ^^^^^^^^^^^^^^ expected letters, digits and `_`, no digit first, found "DATABASE-URL"

        error: `migrate.timeout` is malformed
          --> production.toml:24:11
           |
        24 | timeout = "soon"
           |           ^^^^^^ expected a duration as `"500ms"`, `"30s"`, `"2m"` or `"1h30m"`, above zero and at most 24h, found "soon"

        production.toml: 5 mistakes
        "#);
    }

    #[test]
    fn a_command_is_a_list_and_has_a_program() {
        let lab = Lab::new();
        let errors = lab.refused(&text("service = \"app\"\ncommand = \"bin/rails db:migrate\""));
        assert!(errors.contains("expected an array, found a string"), "{errors}");
        let errors = lab.refused(&text("service = \"app\"\ncommand = []"));
        assert!(errors.contains("`migrate.command` is empty"), "{errors}");
    }
}
