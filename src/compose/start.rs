//! Starts a staged release on a host. That containers are up is not health: the checks decide that.

use crate::remote::{Output, Script};

use super::containers::{Container, parse_containers};
use super::engine::EngineProblem;
use super::excerpt;
use super::project::OnHost;
use super::release::Release;
use super::stage::no_space;

/// Why a release did not start. Containers may have been made: `stop` removes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The release's folder is not there, or not whole.
    #[error("{0}")]
    NotStaged(String),
    /// Containers of the project that this tool did not start; they were left alone.
    #[error("expected no containers of strangers in the project, found {}", .0.join(", "))]
    Strangers(Vec<String>),
    /// Somebody else has a port.
    #[error("port {port} is in use on the server: {said}")]
    Port {
        /// The port, or `?` where the message names none.
        port: String,
        /// The engine's words.
        said: String,
    },
    /// Another container has the name (`container_name` in the Compose file).
    #[error("a container's name is in use: {0}")]
    Name(String),
    /// An image is not on the host, although it was pulled.
    #[error("an image is missing on the server: {0}")]
    Image(String),
    /// The disk is full.
    #[error("no space left on the server: {0}")]
    NoSpace(String),
    /// A container's program, mount or user cannot be had.
    #[error("a container cannot run: {0}")]
    Container(String),
    /// The host's engine.
    #[error(transparent)]
    Engine(EngineProblem),
    /// Compose said that all is up, and these services have no container of this release.
    #[error("Compose reported success, and {} has no container of this release", .0.join(", "))]
    Absent(Vec<String>),
    /// Anything else, in Compose's words.
    #[error("Compose failed: {0}")]
    Other(String),
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            StartError::NotStaged(_) => "deploy the tag again".into(),
            StartError::Strangers(names) => {
                format!(
                    "look what they are, and if nobody needs them: docker rm -f {}",
                    names.join(" ")
                )
            }
            StartError::Port { port, .. } => {
                format!("`sudo ss -ltnp 'sport = :{port}'` on the server names who has it")
            }
            StartError::Name(_) => {
                "take `container_name` out of the Compose file: one name cannot be two pools'".into()
            }
            StartError::Image(_) => "deploy again: it was removed after it was pulled".into(),
            StartError::NoSpace(_) => "`pointsman prune`, or make room on the server".into(),
            StartError::Engine(problem) => problem.hint().into(),
            StartError::Container(_) | StartError::Absent(_) | StartError::Other(_) => {
                "`pointsman logs`, and `docker ps -a` on the server".into()
            }
        }
    }

    fn of(output: &Output) -> StartError {
        if let Some(names) = output.section("strangers") {
            return StartError::Strangers(names.split_whitespace().map(str::to_owned).collect());
        }
        let said = excerpt(output);
        if output.code == NOT_STAGED {
            return StartError::NotStaged(said);
        }
        if let Some(problem) = EngineProblem::find(&output.stderr) {
            return StartError::Engine(problem);
        }
        let lower = output.stderr.to_ascii_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if any(&[
            "port is already allocated",
            "address already in use",
            "ports are not available",
        ]) {
            let port = port_in(&output.stderr).unwrap_or_else(|| "?".to_owned());
            StartError::Port { port, said }
        } else if lower.contains("conflict. the container name") {
            StartError::Name(said)
        } else if no_space(&lower) {
            StartError::NoSpace(said)
        } else if any(&[
            "no such image",
            "pull access denied",
            "manifest unknown",
            "needs to be built",
        ]) {
            StartError::Image(said)
        } else if any(&[
            "oci runtime",
            "exec format error",
            "error mounting",
            "invalid mount",
        ]) {
            StartError::Container(said)
        } else {
            StartError::Other(said)
        }
    }
}

/// How start.sh and migrate.sh end when the release's folder is not there.
pub(super) const NOT_STAGED: i32 = 66;

/// start.sh with what it calls.
const BODY: &str = concat!(
    include_str!("inspect.sh"),
    include_str!("atomic.sh"),
    include_str!("start.sh")
);

/// Starts the release, replacing what the pool ran, and notes it as the pool's current one. With
/// `adopt`, a release that is the current one already, all of it running, is left as it is.
pub fn start(host: OnHost<'_>, release: &Release, adopt: bool) -> Script {
    host.script(BODY, &release.tag, &release.id)
        .var("ADOPT", if adopt { "yes" } else { "" })
}

/// Whether what runs was there already.
pub fn adopted(output: &Output) -> bool {
    output.section("adopted").is_some()
}

/// Reads how starting ended: the containers of the release, in whatever state they are. `services`
/// are those that Compose was expected to start. Compose's word alone is not taken (FAULTS.md 46).
///
/// # Errors
/// [`StartError`].
pub fn started(output: &Output, release: &Release, services: &[&str]) -> Result<Vec<Container>, StartError> {
    if !output.ok() {
        return Err(StartError::of(output));
    }
    let mut containers = parse_containers(output).map_err(|error| StartError::Other(error.to_string()))?;
    containers.retain(|container| container.release.as_deref() == Some(&release.id));
    let absent: Vec<String> = services
        .iter()
        .filter(|service| containers.iter().all(|c| c.service != **service))
        .map(|&service| service.to_owned())
        .collect();
    if absent.is_empty() {
        Ok(containers)
    } else {
        Err(StartError::Absent(absent))
    }
}

/// The port in `Bind for 0.0.0.0:80 failed: port is already allocated` and in
/// `listen tcp4 0.0.0.0:80: bind: address already in use`.
fn port_in(said: &str) -> Option<String> {
    let after = ["Bind for ", "listen tcp4 ", "listen tcp6 ", "listen tcp "]
        .iter()
        .find_map(|words| said.split_once(words))?
        .1;
    let address = after.split_whitespace().next()?.trim_end_matches(':');
    let port = address.rsplit(':').next()?;
    port.parse::<u16>().ok().map(|port| port.to_string())
}

#[cfg(test)]
mod tests;
