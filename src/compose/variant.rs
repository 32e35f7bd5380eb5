//! Which Compose a host has: v2 as a plugin of docker, v2 alone, or v1.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How Compose is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// `docker compose`.
    Plugin,
    /// `docker-compose`, which is v1, or v2 as a program of its own.
    Standalone,
}

/// The Compose of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compose {
    /// How it is called.
    pub call: Call,
    /// Its version, as it says it (`2.26.1-4`).
    pub version: String,
}

impl Compose {
    /// Reads what `version --short` printed: `1.29.2`, `v2.3.3`, `2.26.1-4`. `None` for anything
    /// else, such as the help text that a docker without the plugin prints.
    pub fn read(call: Call, printed: &str) -> Option<Compose> {
        let version = printed
            .lines()
            .map(|line| line.trim().trim_start_matches('v'))
            .find(|line| leading_number(line).is_some() && line.contains('.') && !line.contains(' '))?;
        Some(Compose {
            call,
            version: version.to_owned(),
        })
    }

    /// Its first number: 1 is the Python program, which wants the overlay's `version` to be that of
    /// the main file; everything newer is the Go one.
    pub fn major(&self) -> u32 {
        leading_number(&self.version).unwrap_or(2)
    }

    /// The command line for a project whose files lie in the working directory.
    pub(super) fn argv(&self, project: &str) -> Vec<String> {
        let call: &[&str] = match self.call {
            Call::Plugin => &["docker", "compose"],
            Call::Standalone => &["docker-compose"],
        };
        let rest = ["-p", project, "-f", "docker-compose.yml", "-f", "pointsman.yml"];
        call.iter().chain(&rest).map(|&word| word.to_owned()).collect()
    }
}

impl fmt::Display for Compose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self.call {
            Call::Plugin => "docker compose",
            Call::Standalone => "docker-compose",
        };
        write!(f, "{call} {}", self.version)
    }
}

fn leading_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_each_generation_prints() {
        for (printed, version, major) in [
            ("1.29.2\n", "1.29.2", 1),
            ("v2.3.3\n", "2.3.3", 2),
            ("2.26.1-4", "2.26.1-4", 2),
            ("WARNING: something\n2.20.0\n", "2.20.0", 2),
        ] {
            let compose = Compose::read(Call::Standalone, printed).expect(printed);
            assert_eq!((compose.version.as_str(), compose.major()), (version, major));
        }
    }

    #[test]
    fn the_help_of_a_docker_without_the_plugin_is_no_version() {
        let help = "unknown flag: --short\nSee 'docker --help'.\n\nUsage:  docker [OPTIONS] COMMAND\n20.10 is great\n";
        assert_eq!(Compose::read(Call::Plugin, help), None);
    }

    #[test]
    fn each_is_called_by_its_own_name() {
        let compose = |call| Compose {
            call,
            version: "2.0.0".into(),
        };
        assert_eq!(
            compose(Call::Plugin).argv("p")[..4],
            ["docker", "compose", "-p", "p"]
        );
        assert_eq!(
            compose(Call::Standalone).argv("p")[..3],
            ["docker-compose", "-p", "p"]
        );
    }
}
