//! What containers a project has on a host, and in which state.

use serde::Deserialize;

use crate::remote::{Output, Script};

use super::Unreadable;
use super::project::Project;

/// One container of one project, as `docker inspect` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Compose service (`com.docker.compose.service`).
    pub service: String,
    /// `running`, `exited`, `restarting`, `created`, `paused`, `dead`.
    pub state: String,
    /// Exit code of the last end.
    pub exit_code: i64,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// Addresses in the networks that it is attached to, first one first.
    pub addresses: Vec<String>,
    /// Image id that it runs (`sha256:...`).
    pub image_id: String,
    /// Image reference that it was started from.
    pub image: String,
    /// Release id label (`pointsman.release`), if any.
    pub release: Option<String>,
    /// What the engine says of its last failure to start, if anything.
    pub error: Option<String>,
}

/// Asks for the project's containers; those of `compose run` are not among them.
pub fn containers(project: &Project) -> Script {
    project.script(concat!(include_str!("inspect.sh"), "\nlist_containers\n"))
}

/// Reads the section that `list_containers` printed.
///
/// # Errors
/// [`Unreadable`] when the script did not come to its end or a line is not what was asked for. A
/// container that vanished while it was asked for is not among them.
pub fn parse_containers(output: &Output) -> Result<Vec<Container>, Unreadable> {
    let expected = "the containers of a project";
    let (Some(text), Some(_)) = (output.section("containers"), output.section("end")) else {
        return Err(Unreadable::new(expected, output));
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str::<Inspected>(line)
                .map(Container::from)
                .map_err(|_| Unreadable {
                    expected,
                    found: line.to_owned(),
                })
        })
        .collect()
}

/// One line of inspect.sh.
#[derive(Deserialize)]
struct Inspected {
    id: String,
    name: String,
    state: String,
    exit_code: i64,
    oom_killed: bool,
    error: String,
    restarts: u64,
    service: Option<String>,
    release: Option<String>,
    addresses: Vec<String>,
    image_id: String,
    image: String,
}

impl From<Inspected> for Container {
    fn from(raw: Inspected) -> Container {
        Container {
            id: raw.id,
            name: raw.name.trim_start_matches('/').to_owned(),
            service: raw.service.unwrap_or_default(),
            state: raw.state,
            exit_code: raw.exit_code,
            restarts: raw.restarts,
            oom_killed: raw.oom_killed,
            // A container that does not run has none.
            addresses: raw
                .addresses
                .into_iter()
                .filter(|address| !address.is_empty())
                .collect(),
            image_id: raw.image_id,
            image: raw.image,
            release: raw.release.filter(|release| !release.is_empty()),
            error: (!raw.error.is_empty()).then_some(raw.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: &str) -> Output {
        Output {
            code: 0,
            stdout: format!("\n@@pm:containers\n{lines}\n@@pm:end\n"),
            stderr: String::new(),
        }
    }

    #[test]
    fn reads_what_inspect_prints() {
        let line = r#"{"id":"c1","name":"/shop-production-blue-web-1","state":"exited","exit_code":137,"oom_killed":true,"error":"","restarts":3,"service":"web","release":"v1-x","addresses":["172.18.0.2","","","fd00::2",""],"image_id":"sha256:aa","image":"r/shop@sha256:bb"}"#;
        let read = parse_containers(&output(&format!("{line}\n"))).expect("readable");
        assert_eq!(
            read,
            [Container {
                id: "c1".into(),
                name: "shop-production-blue-web-1".into(),
                service: "web".into(),
                state: "exited".into(),
                exit_code: 137,
                restarts: 3,
                oom_killed: true,
                addresses: vec!["172.18.0.2".into(), "fd00::2".into()],
                image_id: "sha256:aa".into(),
                image: "r/shop@sha256:bb".into(),
                release: Some("v1-x".into()),
                error: None,
            }]
        );
    }

    #[test]
    fn no_containers_is_an_answer_and_a_cut_one_is_not() {
        assert_eq!(parse_containers(&output("")), Ok(Vec::new()));
        let cut = Output {
            code: 0,
            stdout: "\n@@pm:containers\n".into(),
            stderr: String::new(),
        };
        assert!(parse_containers(&cut).is_err());
        assert!(parse_containers(&output("Error: No such object")).is_err());
    }
}
