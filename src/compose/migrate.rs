//! Runs the migration once per run, and finds out how it ended even if everybody was cut off.

use std::time::Duration;

use crate::inventory::Migrate;
use crate::remote::{Output, Script};

use super::engine::EngineProblem;
use super::excerpt;
use super::project::{OnHost, Project};
use super::release::Release;
use super::start::NOT_STAGED;

/// How the answer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It ran now.
    Ran,
    /// An earlier call of this run had started it; it was waited for, or had ended.
    TakenOver,
    /// It had ended and was recorded; only the answer had been lost.
    Recorded,
}

/// A migration that came to its end, well or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// How the answer came about.
    pub how: How,
    /// Its exit code.
    pub code: i64,
    /// Its last 500 lines, both streams.
    pub log: String,
}

/// Why there is no exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// It still runs; nobody stops it. In doubt: the next call goes on waiting.
    #[error("the migration still runs in container {container}")]
    StillRunning {
        /// The container.
        container: String,
        /// Its last lines.
        log: String,
    },
    /// It never ran.
    #[error("the migration did not start: {0}")]
    NotStarted(String),
    /// The host's engine; whether it ran is not known.
    #[error(transparent)]
    Engine(EngineProblem),
    /// The answer was cut; whether it ran is not known.
    #[error("the migration's end is not known: {0}")]
    Unknown(String),
}

impl MigrateError {
    /// Whether it may have run, or may still.
    pub fn is_in_doubt(&self) -> bool {
        !matches!(self, MigrateError::NotStarted(_))
    }

    /// What to do about it, on the server with this name.
    pub fn hint(&self, server: &str) -> String {
        match self {
            MigrateError::StillRunning { container, .. } => {
                format!("nobody stops it: `docker logs -f {container}` on {server} shows it")
            }
            MigrateError::NotStarted(_) => format!("`docker ps -a` on {server}, then deploy again"),
            MigrateError::Engine(problem) => problem.hint().into(),
            MigrateError::Unknown(_) => {
                format!(
                    "`docker ps -a --filter name=migrate` on {server} shows whether it ran, or still runs"
                )
            }
        }
    }
}

/// The name of the migration's container in `run`.
pub fn container_name(project: &Project, run: &str) -> String {
    format!("{}-migrate-{run}", project.name())
}

/// migrate.sh with what it calls.
const BODY: &str = concat!(include_str!("atomic.sh"), include_str!("migrate.sh"));

/// Runs the migration of a staged release, or takes over the one that this run has started. Waits
/// for `migrate.timeout`; the caller's own deadline must be some seconds longer.
pub fn migrate(host: OnHost<'_>, release: &Release, migrate: &Migrate, run: &str) -> Script {
    host.script(BODY, &release.tag, &release.id)
        .var("NAME", container_name(host.project, run))
        .var("SERVICE", &migrate.service)
        .var("RUN", run)
        .var("WAIT", seconds(migrate.timeout))
        .command(
            "migrate_start_command",
            std::iter::once("migrate_start".to_owned()).chain(migrate.command.iter().cloned()),
        )
}

/// `timeout` takes 0 for "for ever".
fn seconds(duration: Duration) -> String {
    duration.as_secs().max(1).to_string()
}

/// Reads how the migration ended.
///
/// # Errors
/// [`MigrateError`]; a migration that ran and failed is no error here but an exit code.
pub fn migrated(output: &Output, project: &Project, run: &str) -> Result<Migrated, MigrateError> {
    let log = || output.section("log").unwrap_or_default().trim_end().to_owned();
    if let (Some(how), Some(code), Some(_)) = (
        output.section("how"),
        output.section("code"),
        output.section("end"),
    ) {
        let how = match how.trim() {
            "ran" => How::Ran,
            "found" => How::TakenOver,
            _ => How::Recorded,
        };
        return match code.trim().parse() {
            Ok(code) => Ok(Migrated {
                how,
                code,
                log: log(),
            }),
            Err(_) => Err(MigrateError::Unknown(format!(
                "expected an exit code, found {:?}",
                code.trim()
            ))),
        };
    }
    if output.section("running").is_some() {
        return Err(MigrateError::StillRunning {
            container: container_name(project, run),
            log: log(),
        });
    }
    match output.code {
        NOT_STAGED | NOT_CREATED | NOT_STARTED => Err(MigrateError::NotStarted(excerpt(output))),
        _ => Err(match EngineProblem::find(&output.stderr) {
            Some(problem) => MigrateError::Engine(problem),
            None => MigrateError::Unknown(excerpt(output)),
        }),
    }
}

/// How migrate.sh ends when Compose made no container.
const NOT_CREATED: i32 = 69;
/// How migrate.sh ends when the engine made the container and could not start it.
const NOT_STARTED: i32 = 68;

#[cfg(test)]
mod tests;
