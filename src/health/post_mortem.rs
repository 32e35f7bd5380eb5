//! What there is to say about a host that was not proven, gathered once, at the end.

use std::time::Duration;

use futures::future::join_all;

use super::board::Board;
use super::check::Project;
use super::crash::Crash;
use super::diagnosis::{Evidence, diagnose};
use super::fault::Fault;
use super::probe::Probe;
use super::text::tidy;
use super::unhealthy::Unhealthy;
use crate::compose::Container;

/// A proof that has failed.
pub(super) struct PostMortem<'a> {
    pub(super) host: &'a str,
    pub(super) project: &'a dyn Project,
    pub(super) board: &'a Board<'a>,
    pub(super) probes: &'a [Probe<'a>],
    /// The container that ended the proof, if one did.
    pub(super) crash: Option<Crash>,
    pub(super) took: Duration,
}

impl PostMortem<'_> {
    /// Reads logs and facts, and tells what was found.
    pub(super) async fn write(self) -> Unhealthy {
        let PostMortem {
            host,
            project,
            board,
            probes,
            crash,
            took,
        } = self;
        let blamed = match &crash {
            // The check of the container that ended tells more than one that waits for it.
            Some(crash) => probes
                .iter()
                .position(|p| p.place.service.as_ref() == Some(&crash.service)),
            None => Some(board.to_blame()),
        };
        let service = match &crash {
            Some(crash) => Some(crash.service.clone()),
            None => blamed.and_then(|index| probes[index].place.service.clone()),
        };
        let logs = all_logs(project, board.containers(), service.as_deref()).await;
        let facts = project.facts().await;
        let mut order: Vec<usize> = (0..probes.len()).collect();
        order.sort_by_key(|index| Some(*index) != blamed);
        let faults: Vec<Fault> = order
            .iter()
            .filter_map(|index| board.last_fault(*index).cloned())
            .collect();
        let diagnosis = diagnose(&Evidence {
            containers: board.containers(),
            faults: &faults,
            logs: &logs,
            facts: &facts,
        });

        // The log that the diagnosis speaks of is the one to show.
        let service = diagnosis
            .as_ref()
            .and_then(|diagnosis| diagnosis.service.clone())
            .or(service);
        let shown = logs.into_iter().find(|(name, _)| Some(name) == service.as_ref());
        let (check, expected, found) = match crash {
            Some(Crash { service, how }) => (
                format!("service {service}"),
                "a container that keeps running".to_owned(),
                tidy(&how),
            ),
            None => {
                let index = board.to_blame();
                let found = match board.last_fault(index) {
                    Some(fault) => fault.to_string(),
                    None if board.has_looked() => "no answer yet".to_owned(),
                    None => "nothing: the look at its containers has not ended".to_owned(),
                };
                (probes[index].name.to_owned(), probes[index].expected(), found)
            }
        };
        Unhealthy {
            host: host.to_owned(),
            check,
            expected,
            found,
            waited: took,
            history: blamed
                .map(|index| board.history(index).clone())
                .unwrap_or_default(),
            service,
            logs: shown.map(|(_, lines)| lines).unwrap_or_default(),
            diagnosis,
        }
    }
}

/// The last lines of every service, `first` first.
async fn all_logs(
    project: &dyn Project,
    containers: &[Container],
    first: Option<&str>,
) -> Vec<(String, Vec<String>)> {
    let mut services: Vec<&str> = containers
        .iter()
        .map(|container| container.service.as_str())
        .collect();
    services.sort_by_key(|service| (Some(*service) != first, *service));
    services.dedup();
    join_all(services.into_iter().map(async |service| {
        let lines = match project.logs(service).await {
            Ok(lines) => lines.iter().map(|line| tidy(line)).collect(),
            Err(error) => vec![format!("(its log could not be read: {error})")],
        };
        (service.to_owned(), lines)
    }))
    .await
}
