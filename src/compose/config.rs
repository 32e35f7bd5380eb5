//! What the host's own Compose makes of the files: which images, which ports. This also proves that
//! the file is good for that Compose, before anything is changed (FAULTS.md 43).

use crate::remote::{Output, Script};

use super::engine::EngineProblem;
use super::excerpt;
use super::file::{ComposeFile, Service};
use super::project::OnHost;

/// Why a host's Compose does not take the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Compose refuses the file, in its own words.
    #[error("Compose refuses the file: {0}")]
    Refused(String),
    /// A variable that the file uses has no value: Compose would put nothing in its place.
    #[error("the Compose file uses {}, and neither the env file nor the host's env sets it", .0.join(", "))]
    Unset(Vec<String>),
    /// A service that would be built or has no image: a deploy starts what was pulled, nothing else.
    #[error("service {0} has no image")]
    NoImage(String),
    /// The engine or Compose is not there, or the answer was cut.
    #[error("Compose could not be asked: {0}")]
    Failed(String),
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            ConfigError::Refused(_) => "mend the Compose file; `docker compose config` shows the same".into(),
            ConfigError::Unset(names) => format!(
                "set {} in the env file, or give it a default in the Compose file: ${{{}:-value}}",
                names.join(", "),
                names.first().map_or("NAME", String::as_str)
            ),
            ConfigError::NoImage(service) => {
                format!("build the image in CI, push it, and name it as `image` of service {service}")
            }
            ConfigError::Failed(_) => "`pointsman doctor` looks at each server".into(),
        }
    }
}

/// Has Compose read the Compose file, the env file and an overlay that pins nothing yet.
pub fn config(
    host: OnHost<'_>,
    tag: &str,
    release: &str,
    compose_file: &[u8],
    env_file: Option<&[u8]>,
    overlay: &str,
) -> Script {
    host.script(include_str!("config.sh"), tag, release)
        .file("compose_file", compose_file)
        .file("overlay_file", overlay)
        .file("env_file", env_file.unwrap_or_default())
        .var("HAS_ENV", if env_file.is_some() { "1" } else { "0" })
}

/// The services as Compose resolved them: images and published ports with every variable replaced.
///
/// # Errors
/// [`ConfigError`].
pub fn resolved(output: &Output) -> Result<ComposeFile, ConfigError> {
    let Some(code) = output.section("code") else {
        return Err(ConfigError::Failed(excerpt(output)));
    };
    let said = output.section("stderr").unwrap_or_default();
    if code.trim() != "0" {
        return Err(match EngineProblem::find(said) {
            Some(problem) => ConfigError::Failed(problem.to_string()),
            None => ConfigError::Refused(words(said)),
        });
    }
    let unset = unset_variables(said);
    if !unset.is_empty() {
        return Err(ConfigError::Unset(unset));
    }
    let (Some(text), Some(_)) = (output.section("services"), output.section("end")) else {
        return Err(ConfigError::Failed(excerpt(output)));
    };
    let file = ComposeFile::parse(text).map_err(|error| ConfigError::Refused(error.to_string()))?;
    let imageless = |(_, service): &(&String, &Service)| service.image.as_deref().is_none_or(str::is_empty);
    match file.services.iter().find(imageless) {
        Some((name, _)) => Err(ConfigError::NoImage(name.clone())),
        None => Ok(file),
    }
}

/// Names in both generations' warnings: `The X variable is not set. Defaulting to a blank string.`
/// and `msg="The \"X\" variable is not set. Defaulting to a blank string."`.
fn unset_variables(said: &str) -> Vec<String> {
    let mut names: Vec<String> = said
        .lines()
        .filter_map(|line| line.split_once(" variable is not set"))
        .filter_map(|(before, _)| before.rsplit_once("The "))
        .map(|(_, name)| name.trim_matches(['\\', '"']).to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Compose's message without its warnings.
fn words(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("level=warning") && !line.starts_with("WARNING"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compose::testing;
    use crate::compose::variant::{Call, Compose};

    /// What v2 and v1 print for one file, secrets and all.
    const V2: &str = "name: shop\nservices:\n  app:\n    environment:\n      SECRET: hunter2\n      TRICK: |-\n        image: hunter2\n    image: r:5000/shop:v1\n    networks:\n      default: null\n  web:\n    image: r:5000/shop-nginx:v1\n    ports:\n      - mode: ingress\n        target: 80\n        published: \"8080\"\n        protocol: tcp\nnetworks:\n  default:\n    name: shop_default\n";
    const V1: &str = "services:\n  app:\n    environment:\n      SECRET: hunter2\n    image: r:5000/shop:v1\n  web:\n    image: r:5000/shop-nginx:v1\n    ports:\n    - published: 8080\n      target: 80\n    restart: unless-stopped\nversion: '3.8'\n";

    fn ask(docker_compose: &str) -> Output {
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("bin");
        testing::program(&bin, "docker-compose", docker_compose);
        let project = testing::project(dir.path());
        let compose = Compose {
            call: Call::Standalone,
            version: "1.29.2".into(),
        };
        let env = BTreeMap::from([("WEB_PORT".to_owned(), "8080".to_owned())]);
        let host = OnHost {
            project: &project,
            compose: &compose,
            env: &env,
        };
        let tmp = dir.path().join("tmp");
        std::fs::create_dir(&tmp).expect("made");
        let script = config(
            host,
            "v1",
            "v1-x",
            b"services: {}",
            Some(b"SECRET=hunter2\n"),
            "overlay",
        )
        .export("TMPDIR", tmp.to_str().expect("a path"));
        let output = testing::run(&testing::with_path(script, &bin));
        assert_eq!(
            std::fs::read_dir(&tmp).expect("there").count(),
            0,
            "nothing is left"
        );
        output
    }

    #[test]
    fn both_generations_are_read_and_secrets_stay_there() {
        for printed in [V1, V2] {
            let output = ask(&format!("cat <<'EOF'\n{printed}EOF"));
            assert!(!output.stdout.contains("hunter2"), "{}", output.stdout);
            let file = resolved(&output).expect("good");
            assert_eq!(file.services["app"].image.as_deref(), Some("r:5000/shop:v1"));
            assert_eq!(file.services["web"].published, [8080]);
        }
    }

    #[test]
    fn compose_gets_the_files_the_names_and_the_host_s_variables() {
        let output = ask(
            "echo \"$*|$DEPLOY_TAG|$POINTSMAN_POOL|$POINTSMAN_RELEASE|$WEB_PORT|$(cat docker-compose.yml .env pointsman.yml)|$(stat -c %a .env .)\" >&2; exit 1",
        );
        insta::assert_snapshot!(output.section("stderr").expect("printed"), @r"
        -p shop-production-blue -f docker-compose.yml -f pointsman.yml config|v1|blue|v1-x|8080|services: {}SECRET=hunter2
        overlay|600
        700
        ");
    }

    #[test]
    fn an_unset_variable_is_named_whoever_warns() {
        for warning in [
            "WARNING: The DEPLOY variable is not set. Defaulting to a blank string.",
            r#"time="2026-01-01T00:00:00Z" level=warning msg="The \"DEPLOY\" variable is not set. Defaulting to a blank string.""#,
        ] {
            let output = ask(&format!("echo '{warning}' >&2; echo services:"));
            assert_eq!(resolved(&output), Err(ConfigError::Unset(vec!["DEPLOY".into()])));
        }
    }

    #[test]
    fn a_refusal_keeps_compose_s_words() {
        let output = ask("echo \"services.app Additional property imge is not allowed\" >&2; exit 15");
        assert_eq!(
            resolved(&output),
            Err(ConfigError::Refused(
                "services.app Additional property imge is not allowed".into()
            ))
        );
        let output = ask("printf 'services:\\n  app:\\n    build: .\\n'");
        assert_eq!(resolved(&output), Err(ConfigError::NoImage("app".into())));
    }
}
