//! What the engine says of the containers.

use super::Diagnosis;
use super::rules::{CAUSES, matched};
use crate::compose::Container;
use crate::health::text::tidy;

/// Killed for memory, refused by the engine, or paused: nothing in a log weighs more.
pub(super) fn killed_or_refused(containers: &[Container]) -> Option<Diagnosis> {
    let killed = || containers.iter().find_map(killed);
    let refused = || containers.iter().find_map(refused);
    let paused = || containers.iter().find_map(paused);
    killed().or_else(refused).or_else(paused)
}

/// A container that ended, and nobody knows why.
pub(super) fn ended(containers: &[Container]) -> Option<Diagnosis> {
    let container = containers.iter().find(|c| {
        c.state == "restarting" || (matches!(c.state.as_str(), "exited" | "dead") && c.exit_code != 0)
    })?;
    // What a shell, the engine or a signal means by the code; the app's own codes mean nothing to us.
    let meaning = match container.exit_code {
        125 => "the engine could not run it",
        126 => "its command is not executable",
        127 => "its command was not found in the image",
        137 => "it was killed (SIGKILL: for memory, or because it did not stop in time)",
        139 => "it crashed (SIGSEGV)",
        143 => "it was told to stop (SIGTERM)",
        _ => "it ended by itself",
    };
    Some(told(
        container,
        format!(
            "service {} ends with code {}: {meaning}",
            container.service, container.exit_code
        ),
        format!(
            "state {}, restarted {} times",
            container.state, container.restarts
        ),
        "read its last log lines below; to try it by hand on the host: docker run --rm -it IMAGE sh",
    ))
}

fn killed(container: &Container) -> Option<Diagnosis> {
    container.oom_killed.then(|| {
        told(
            container,
            format!(
                "service {} was killed: it used more memory than it may",
                container.service
            ),
            format!("OOMKilled, exit code {}", container.exit_code),
            "raise its memory limit (mem_limit, deploy.resources), or run fewer workers",
        )
    })
}

fn refused(container: &Container) -> Option<Diagnosis> {
    let error = container.error.as_deref().filter(|error| !error.is_empty())?;
    // The engine keeps the words of a failed start; a container that runs has got over it.
    if container.state == "running" {
        return None;
    }
    let (what, cure) = matched(CAUSES, error).unwrap_or_else(|| {
        let what = format!("the engine cannot start service {}", container.service);
        (what, "correct what the engine names, then deploy again")
    });
    Some(told(container, what, tidy(error), cure))
}

fn paused(container: &Container) -> Option<Diagnosis> {
    (container.state == "paused").then(|| {
        told(
            container,
            format!(
                "service {} is paused: it takes connections and answers none",
                container.service
            ),
            "state paused".to_owned(),
            "find out who paused it, then wake it on the host: docker unpause NAME",
        )
    })
}

fn told(container: &Container, what: String, why: String, cure: &str) -> Diagnosis {
    Diagnosis {
        what,
        why: format!("container {}: {why}", container.name),
        cure: cure
            .replace("NAME", &container.name)
            .replace("IMAGE", &container.image),
        service: Some(container.service.clone()),
    }
}
