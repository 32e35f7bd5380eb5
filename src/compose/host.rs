//! What a host said when it was looked at before a change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::ComposeFile;
use super::release::Release;
use crate::remote::Output;

/// What a host is, and what the Compose file comes to on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The engine's version.
    pub docker: String,
    /// The engine's architecture, in Docker's words (`amd64`).
    pub arch: String,
    /// `v2 2.26.1` or `v1 1.29.2`.
    pub compose: String,
    /// Clock, seconds since 1970.
    pub clock: Option<i64>,
    /// Free bytes where pointsman keeps its state.
    pub state_free: u64,
    /// Free bytes on the engine's root.
    pub docker_free: u64,
    /// Free inodes on the engine's root; `None` where its file system does not count them.
    pub docker_inodes: Option<u64>,
    /// Images by service, as `config` fills them in.
    pub images: BTreeMap<String, String>,
    /// Ports that the Compose file publishes on the host.
    pub ports: Vec<u16>,
    /// Releases of this pool that the host keeps.
    pub releases: Vec<Release>,
    /// Everything that keeps a deploy from succeeding here, in words with a cure.
    pub problems: Vec<String>,
}

/// Fewer inodes than this do not hold a release's layers.
const MIN_INODES: u64 = 10_000;
/// Free bytes that the state folder must have: releases' files, journals, outputs.
const STATE_NEED: u64 = 50 * 1024 * 1024;

/// Reads what the inspection printed. `project` is ours; `margin` is free bytes wanted on the
/// engine's root beside the images.
///
/// # Errors
/// In words, when the answer is cut.
pub fn parse(output: &Output, project: &str, margin: u64) -> Result<HostFacts, String> {
    if output.section("end").is_none() {
        return Err(format!("could not be looked at: {}", output.complaint()));
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    let mut facts = HostFacts {
        clock: text("clock").parse().ok(),
        ..HostFacts::default()
    };
    let mut problems = Vec::new();

    let missing: Vec<&str> = text("tools").lines().collect();
    if !missing.is_empty() {
        problems.push(format!(
            "expected {} on it, found none: install util-linux and coreutils",
            missing.join(", ")
        ));
    }
    let (code, engine) = text("docker").split_once(' ').unwrap_or((text("docker"), ""));
    if code == "0" {
        let (version, arch) = engine.split_once(' ').unwrap_or((engine, ""));
        version.clone_into(&mut facts.docker);
        arch.trim().clone_into(&mut facts.arch);
    } else {
        problems.push(engine_problem(code, engine));
    }
    text("compose").clone_into(&mut facts.compose);
    if facts.compose.is_empty() {
        problems.push("Compose is not installed: expected `docker compose` or docker-compose".to_owned());
    }
    disk(
        &mut facts,
        &mut problems,
        text("state-disk"),
        text("docker-disk"),
        code == "0",
        margin,
    );

    if let Some(config) = output.section("config") {
        let problem = text("config-problem");
        match ComposeFile::parse(config) {
            _ if !problem.is_empty() => problems.push(format!("the Compose file is refused: {problem}")),
            Ok(file) => {
                facts.images = file.images();
                facts.ports = file.published_ports();
            }
            Err(error) => problems.push(format!(
                "what `config` prints of the Compose file is not understood: {error}"
            )),
        }
    }
    let containers: Vec<(&str, &str, &str)> = text("containers")
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, '|');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
        .collect();
    let listening: Vec<u16> = text("listening")
        .lines()
        .filter_map(|hex| u16::from_str_radix(hex, 16).ok())
        .collect();
    for port in &facts.ports {
        let publishes = |ports: &str| ports.contains(&format!(":{port}->"));
        let owner = containers.iter().find(|(_, _, ports)| publishes(ports));
        match owner {
            Some((owner, _, _)) if *owner == project => {}
            Some((_, name, _)) => problems.push(format!(
                "port {port} is taken by container {name}, which is not ours"
            )),
            None if listening.contains(port) => {
                problems.push(format!(
                    "port {port} is taken by a process outside Docker: `ss -ltnp` as root names it"
                ));
            }
            None => {}
        }
    }
    facts.releases = text("releases")
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    facts.problems = problems;
    Ok(facts)
}

fn engine_problem(code: &str, said: &str) -> String {
    if code == "124" {
        return "Docker does not answer within 10 s: is dockerd hung?".to_owned();
    }
    if code == "127" || said.contains("not found") {
        return "Docker is not installed: expected the docker command".to_owned();
    }
    if said.contains("permission denied") {
        return "Docker refuses this user: put it into the group docker (and log in anew)".to_owned();
    }
    format!(
        "Docker's engine does not run: {}",
        said.lines().last().unwrap_or(said)
    )
}

fn disk(
    facts: &mut HostFacts,
    problems: &mut Vec<String>,
    state: &str,
    docker: &str,
    engine: bool,
    margin: u64,
) {
    let mut lines = state.lines();
    facts.state_free = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    if lines.next() != Some("writable") {
        problems.push("[app] path cannot be written by the deploy user".to_owned());
    } else if facts.state_free < STATE_NEED {
        problems.push(format!(
            "the disk of [app] path is nearly full: {}",
            need(STATE_NEED, facts.state_free)
        ));
    }
    if !engine {
        return;
    }
    let mut lines = docker.lines();
    facts.docker_free = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    facts.docker_inodes = lines.next().and_then(|line| line.parse().ok());
    if facts.docker_free < margin {
        problems.push(format!(
            "the disk of Docker's root is nearly full: {}",
            need(margin, facts.docker_free)
        ));
    }
    // A file system without a fixed number of inodes says 0 of 0.
    if facts
        .docker_inodes
        .is_some_and(|free| free > 0 && free < MIN_INODES)
    {
        problems.push(format!(
            "the disk of Docker's root is nearly out of inodes: expected {MIN_INODES} free"
        ));
    }
}

/// `expected 1024 MiB free, found 12 MiB`
pub fn need(wanted: u64, found: u64) -> String {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    format!("expected {} MiB free, found {} MiB", mib(wanted), mib(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\n@@pm:docker\n0 20.10.24 amd64\n\n@@pm:compose\nv2 2.26.1\n\n@@pm:tools\n\n@@pm:clock\n1700000000\n\n@@pm:state-disk\n9000000000\nwritable\n\n@@pm:docker-disk\n9000000000\n500000\n\n@@pm:containers\nshop-prod-blue|web-1|0.0.0.0:80->80/tcp\n\n@@pm:listening\n0050\n0016\n\n@@pm:releases\n\n@@pm:config\nservices:\n  web:\n    image: r/nginx:v2\n    ports:\n    - 80:80\n\n@@pm:config-problem\n\n@@pm:end\n";

    fn read(text: &str) -> HostFacts {
        let output = Output {
            stdout: text.to_owned(),
            ..Output::default()
        };
        parse(&output, "shop-prod-blue", 1 << 30).unwrap()
    }

    #[test]
    fn a_good_host_has_no_problem() {
        let facts = read(GOOD);
        assert_eq!(facts.problems, [""; 0]);
        assert_eq!(
            (facts.arch.as_str(), facts.images["web"].as_str()),
            ("amd64", "r/nginx:v2")
        );
    }

    #[test]
    fn each_problem_is_told_in_words() {
        let cases = [
            (
                "0 20.10.24 amd64",
                "1 Cannot connect to the Docker daemon",
                "engine does not run",
            ),
            ("0 20.10.24 amd64", "124 ", "does not answer within 10 s"),
            (
                "0 20.10.24 amd64",
                "1 Got permission denied while trying",
                "group docker",
            ),
            ("v2 2.26.1", "", "Compose is not installed"),
            ("writable", "", "cannot be written"),
            ("shop-prod-blue|web-1", "other|web-1", "taken by container web-1"),
            ("shop-prod-blue|web-1|0.0.0.0:80->80/tcp", "", "outside Docker"),
            (
                "9000000000\n500000",
                "1000\n500000",
                "expected 1024 MiB free, found 0 MiB",
            ),
            ("500000", "50", "inodes"),
            (
                "@@pm:config-problem\n",
                "@@pm:config-problem\nservices.web is bad\n",
                "services.web is bad",
            ),
        ];
        for (from, to, words) in cases {
            let facts = read(&GOOD.replacen(from, to, 1));
            assert!(
                facts.problems.iter().any(|p| p.contains(words)),
                "{words}: {:?}",
                facts.problems
            );
        }
    }
}
