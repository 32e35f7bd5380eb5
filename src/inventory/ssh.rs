//! `[ssh]`: how servers are reached.

use std::time::Duration;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Checker;
use super::diagnostic::Mistake;
use super::grammar::Grammar;
use super::quantity;

/// How servers are reached. `~/.ssh/config` is honoured; what stands here goes before it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Login name. Without it `~/.ssh/config` decides.
    #[schemars(extend("grammar" = Grammar::User), example = &"deploy")]
    pub user: Option<String>,
    /// Port. Without it `~/.ssh/config` decides.
    #[schemars(range(min = 1), example = 22)]
    pub port: Option<u16>,
    /// Private key on this machine, relative to the file that names it; `~/` is the home folder.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &"~/.ssh/id_ed25519")]
    pub identity: Option<Utf8PathBuf>,
    /// Jump host, `[user@]host[:port]`, as ProxyJump takes it.
    #[schemars(extend("grammar" = Grammar::Jump), example = &"jump@bastion.example.com")]
    pub jump: Option<String>,
    /// known_hosts file to use instead of the user's. Host keys are always checked, never learned.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &"known_hosts")]
    pub known_hosts: Option<Utf8PathBuf>,
    /// ssh_config to include instead of `~/.ssh/config`.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &"ssh_config")]
    pub config: Option<Utf8PathBuf>,
    /// Longest that connecting to one server may take; at least `1s`.
    #[serde(deserialize_with = "quantity::duration")]
    #[schemars(with = "String", extend("grammar" = Grammar::Duration, "default" = "5s"))]
    pub connect_timeout: Duration,
    /// Most connects that are under way at once.
    #[schemars(range(min = 1, max = 1000), extend("default" = 32))]
    pub max_connects: usize,
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let path = ["ssh", "connect_timeout"];
    let Some(text) = checker.root.text(&path) else {
        return;
    };
    let short = quantity::parse_duration(text).is_some_and(|span| span < Duration::from_secs(1));
    if let Some(node) = checker.root.get(&path).filter(|_| short) {
        // ssh counts whole seconds, and takes 0 for ever.
        checker.mistakes.add(
            Mistake::at(
                &node.place,
                "ssh.connect_timeout",
                "`ssh.connect_timeout` is too short",
            )
            .expected("at least \"1s\", as ssh counts whole seconds")
            .found_text(node, text),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};

    #[test]
    fn a_whole_table_may_be_left_out() {
        let ssh = Lab::new().load().ssh;
        assert_eq!((ssh.connect_timeout.as_secs(), ssh.max_connects), (5, 32));
        assert!(ssh.user.is_none() && ssh.port.is_none() && ssh.identity.is_none());
    }

    #[test]
    fn files_start_from_the_inventory_or_home() {
        let lab = Lab::new();
        lab.write("known_hosts", "");
        lab.write("home/.ssh/id", "");
        let ssh = lab
            .load_text(&format!(
                "{}\n[ssh]\nknown_hosts = \"known_hosts\"\nidentity = \"~/.ssh/id\"\n",
                Lab::BASE
            ))
            .expect("valid")
            .ssh;
        assert_eq!(
            ssh.known_hosts.as_deref(),
            Some(lab.folder().join("known_hosts").as_path())
        );
        assert_eq!(
            ssh.identity.as_deref(),
            Some(lab.folder().join("home/.ssh/id").as_path())
        );
    }

    #[test]
    fn ssh_would_take_less_than_a_second_for_ever() {
        let errors = Lab::new().refused(&with("ssh.connect_timeout", r#""999ms""#));
        insta::assert_snapshot!(errors, @r#"
        error: `ssh.connect_timeout` is too short
          --> production.toml:20:19
           |
        20 | connect_timeout = "999ms"
           |                   ^^^^^^^ expected at least "1s", as ssh counts whole seconds, found "999ms"

        production.toml: 1 mistake
        "#);
    }

    #[test]
    fn options_are_no_hosts_and_no_users() {
        for (key, value) in [
            ("ssh.user", "-oProxyCommand=id"),
            ("ssh.user", "root;id"),
            ("ssh.jump", "-oProxyCommand=id"),
            ("ssh.jump", "a b"),
            ("ssh.identity", "-i"),
        ] {
            let errors = Lab::new().refused(&with(key, &format!("{value:?}")));
            assert!(errors.contains(&format!("`{key}` is malformed")), "{errors}");
        }
    }
}
