//! What a host is, has and runs, as far as a deploy must know it; read in one round trip.

mod ports;
mod space;

use std::collections::BTreeSet;

use crate::remote::{Output, Script};

use super::Unreadable;
use super::engine::EngineProblem;
use super::project::Project;
use super::variant::{Call, Compose};

pub use ports::Listener;
pub use space::Space;

/// Longest that one question to the engine may take: a hung engine is found by it. A busy one
/// answers within 2 s.
const WAIT: &str = "10";

/// What a deploy needs of a server's own programs, beside docker.
const TOOLS: [&str; 8] = [
    "base64",
    "flock",
    "timeout",
    "sha256sum",
    "sync",
    "mktemp",
    "awk",
    "df",
];

/// The engine of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// Its architecture, in Docker's words (`amd64`, `arm64`, `arm`).
    pub arch: String,
}

/// A container on the host, of any project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
    /// `running`, `exited`, ...
    pub state: String,
    /// Its Compose project, or empty.
    pub project: String,
    /// Its Compose service, or empty.
    pub service: String,
    /// Whether it carries this app's and environment's labels.
    pub ours: bool,
    /// Its release label.
    pub release: Option<String>,
    /// Ports of the host that it publishes now.
    pub published: Vec<u16>,
}

/// What a killed run left on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// A private folder that may hold a registry's credentials; the next pull removes it.
    Login(String),
    /// A release's folder that was not finished; prune removes it.
    Stage(String),
}

/// What one host is, has and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Version of the docker client.
    pub client: Option<String>,
    /// The engine, or why there is none to speak to.
    pub engine: Result<Engine, EngineProblem>,
    /// Compose; the plugin is preferred.
    pub compose: Option<Compose>,
    /// Room on the file system of the engine's data.
    pub docker_space: Option<Space>,
    /// Room on the file system of the state directory.
    pub state_space: Option<Space>,
    /// The host's clock when it was asked and when it had answered: seconds since 1970.
    pub clock: Option<(i64, i64)>,
    /// Who listens on the ports that were asked for.
    pub listeners: Vec<Listener>,
    /// Containers of this project, ours or not.
    pub containers: Vec<Found>,
    /// What killed runs left.
    pub leftovers: Vec<Leftover>,
    /// Programs that a deploy needs and that are not there.
    pub missing_tools: Vec<&'static str>,
}

/// Asks for everything.
pub fn facts(project: &Project) -> Script {
    project.script(include_str!("facts.sh")).var("WAIT", WAIT)
}

impl HostFacts {
    /// Reads the answer to [`facts`]; of the listeners only those on `ports`.
    ///
    /// # Errors
    /// [`Unreadable`] when the script did not come to its end.
    pub fn read(output: &Output, project: &Project, ports: &[u16]) -> Result<HostFacts, Unreadable> {
        let part = |name: &str| output.section(name);
        let (Some(_), Some(tools)) = (part("end"), part("tools")) else {
            return Err(Unreadable::new("the facts of a host", output));
        };
        let tools: BTreeSet<&str> = tools.split_whitespace().collect();
        let everyone = part("containers").map(containers).unwrap_or_default();
        let listeners = ports::listeners(part("listeners").unwrap_or_default(), &everyone, ports);
        let second = |name: &str| part(name).and_then(|text| text.trim().parse().ok());
        let compose = |call, name: &str| Compose::read(call, part(name)?);
        Ok(HostFacts {
            client: part("client").and_then(client_version),
            engine: engine(output),
            compose: compose(Call::Plugin, "plugin").or_else(|| compose(Call::Standalone, "standalone")),
            docker_space: part("root").and_then(Space::read),
            state_space: part("state").and_then(Space::read),
            clock: second("clock").zip(second("clock-end")),
            listeners,
            containers: everyone
                .into_iter()
                .map(|(found, app, env)| Found {
                    ours: app == project.app && env == project.env,
                    ..found
                })
                .filter(|found| found.project == project.name())
                .collect(),
            leftovers: part("leftovers").map(leftovers).unwrap_or_default(),
            missing_tools: TOOLS.into_iter().filter(|tool| !tools.contains(tool)).collect(),
        })
    }
}

/// `Docker version 20.10.24+dfsg1, build 297e128`.
fn client_version(said: &str) -> Option<String> {
    let after = said
        .lines()
        .find_map(|line| line.strip_prefix("Docker version "))?;
    Some(after.split(',').next().unwrap_or(after).trim().to_owned())
}

fn engine(output: &Output) -> Result<Engine, EngineProblem> {
    let said = output.section("engine").unwrap_or_default();
    let code = output.section("engine-code").unwrap_or_default().trim();
    let answer = said.lines().find_map(|line| line.strip_prefix("pm:"));
    match (code, answer.and_then(|a| a.trim().split_once(' '))) {
        ("0", Some((version, arch))) => Ok(Engine {
            version: version.to_owned(),
            arch: arch.to_owned(),
        }),
        // What `timeout` answers for a command that it stopped; 137 when it had to kill it.
        ("124" | "137", _) => Err(EngineProblem::Hung),
        ("127", _) => Err(EngineProblem::NoClient),
        _ => Err(EngineProblem::find(said).unwrap_or_else(|| EngineProblem::Other(said.trim().to_owned()))),
    }
}

/// The containers with their app and env labels.
fn containers(text: &str) -> Vec<(Found, String, String)> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.strip_prefix("pm:")?.split('\t').collect();
            let [id, name, state, project, service, app, env, release, published] = fields[..] else {
                return None;
            };
            let found = Found {
                id: id.to_owned(),
                name: name.to_owned(),
                state: state.to_owned(),
                project: project.to_owned(),
                service: service.to_owned(),
                ours: false,
                release: (!release.is_empty()).then(|| release.to_owned()),
                published: ports::published(published),
            };
            Some((found, app.to_owned(), env.to_owned()))
        })
        .collect()
}

fn leftovers(text: &str) -> Vec<Leftover> {
    text.lines()
        .filter_map(|line| match line.split_once(' ')? {
            ("login", path) => Some(Leftover::Login(path.to_owned())),
            ("stage", path) => Some(Leftover::Stage(path.to_owned())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
