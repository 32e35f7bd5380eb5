//! `[registry]`: where the images come from.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::check::Checker;
use super::diagnostic::Mistake;
use super::grammar::Grammar;

/// Where the images come from. Leave it out when hosts are logged in already or the registry is open.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// `host` or `host:port`, as it stands before the first `/` of an image's name.
    #[schemars(extend("grammar" = Grammar::HostPort), example = &"registry.example.com")]
    pub server: String,
    /// Login name. Both or neither of name and password are given.
    #[schemars(extend("grammar" = Grammar::Login), example = &"${DOCKER_USER}")]
    pub username: Option<String>,
    /// Password or token. Goes to the registry by standard input only, never into a command line.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${DOCKER_PASS}")]
    pub password: Option<SecretString>,
    /// PEM file of the CA that signed the registry's certificate, relative to the file that names it.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &"ca.pem")]
    pub ca: Option<Utf8PathBuf>,
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let Some(registry) = checker.root.get(&["registry"]) else {
        return;
    };
    let (given, lacking) = match (registry.get(&["username"]), registry.get(&["password"])) {
        (Some(given), None) => ((given, "username"), "password"),
        (None, Some(given)) => ((given, "password"), "username"),
        _ => return,
    };
    let variable = if lacking == "password" {
        "DOCKER_PASS"
    } else {
        "DOCKER_USER"
    };
    checker.mistakes.add(
        Mistake::at(
            &given.0.place,
            format!("registry.{lacking}"),
            format!("`registry.{lacking}` is missing"),
        )
        .expected("both or neither of `username` and `password`")
        .found(format!("only `{}`", given.1))
        .help(format!("add `{lacking} = \"${{{variable}}}\"`")),
    );
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::super::testing::Lab;

    #[test]
    fn name_and_password_come_together() {
        let errors = Lab::new().refused(&format!(
            "{}\n[registry]\nserver = \"registry.example.com\"\npassword = \"hunter2\"\n",
            Lab::BASE
        ));
        insta::assert_snapshot!(errors, @r#"
        error: `registry.username` is missing
          --> production.toml:22:12
           |
        22 | password = "*******"
           |            ^^^^^^^^^ expected both or neither of `username` and `password`, found only `password`
           |
           = help: add `username = "${DOCKER_USER}"`

        production.toml: 1 mistake
        "#);
    }

    #[test]
    fn passwords_are_never_shown() {
        let lab = Lab::new();
        let text = |password: &str| {
            format!(
                "{}\n[registry]\nserver = \"r:5000\"\nusername = \"ci\"\npassword = {password}\n",
                Lab::BASE
            )
        };
        for bad in [
            r#""hunter2\n""#,
            r#""hunter2"#,
            "hunter2",
            r#"["hunter2"]"#,
            r#""${DOCKER_PASS}\n""#,
        ] {
            let errors = lab.load_text(&text(bad)).expect_err("refused");
            let shown = format!("{} {errors:?}", errors.render(false));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let errors = lab.refused(&text("1234567890"));
        assert!(
            errors.contains("expected a string, found an integer") && !errors.contains("123"),
            "{errors}"
        );
        let registry = lab
            .load_text(&text(r#""${DOCKER_PASS}""#))
            .expect("valid")
            .registry
            .expect("given");
        assert_eq!(
            registry.password.as_ref().expect("given").expose_secret(),
            "hunter2 from the environment"
        );
        assert!(!format!("{registry:?}").contains("hunter2"));
    }
}
