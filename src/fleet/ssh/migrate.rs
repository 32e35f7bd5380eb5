//! Runs the migration over SSH: in the new image with the new env, after the database accepts
//! connections.

use super::SshFleet;
use crate::compose::env_file::database_address;
use crate::compose::migrate::{How, migrate, migrated};
use crate::fleet::{Did, Job, StepError};
use crate::health::diagnosis::{self, Evidence};
use crate::health::tcp::{self, Speaks};
use crate::health::watch::Watch;
use crate::health::{Diagnosis, Tunnels};
use crate::inventory::{Host, Migrate};
use crate::plan::Step;
use crate::report::StepOutcome;

/// Lines of the migration's output that a failure shows.
const SHOWN: usize = 50;

impl SshFleet {
    /// The release that serves must bear what the migration does (FAULTS.md 41).
    pub(super) async fn watch_migration(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let Some(settings) = &self.inventory.migrate else {
            return Ok((StepOutcome::AlreadyDone, None));
        };
        let paths = settings.watch.iter().map(String::as_str);
        let own = self.inventory.checks.iter().map(|check| check.path.as_str());
        let own = own.take(if settings.watch.is_empty() { usize::MAX } else { 0 });
        let watch = Watch::begin(job.routers(), paths.chain(own)).await;
        let migrating = self.run_migration(job, step, host, settings);
        let (result, seen) = watch.during(migrating, settings.watch_for).await;
        let done = result?;
        if seen.risen.is_empty() {
            return Ok(done);
        }
        Err(StepError::failed(format!(
            "the migration `{}` ran, and since then the release that serves on {} fails:\n{}",
            settings.command.join(" "),
            job.plan.from,
            seen.risen.join("\n")
        ))
        .hint("the migration is not taken back: mend the database, and make the migration one that the release before it bears"))
    }

    async fn run_migration(&self, job: &Job, step: &Step, host: &Host, settings: &Migrate) -> Did {
        let project = &self.inventory.project(job.to());
        let command = &settings.command.join(" ");
        let session = self.host(host);
        if let Some((address, port)) = database(job, &settings.database_url)? {
            job.progress(step, &host.name, format!("waits for {address}:{port}"));
            let speaks = match port {
                5432 => Speaks::Postgres,
                3306 => Speaks::Mysql,
                _ => Speaks::Anything,
            };
            let tunnels = Tunnels::new(session.clone());
            tcp::wait_open(&tunnels, &address, port, speaks, settings.wait)
                .await
                .map_err(|error| StepError::failed(format!("the database: {error}")).hint(error.hint()))?;
        }
        job.progress(step, &host.name, command);
        // A migration belongs to the run that began the work: one that takes over finds its container.
        let run = job.plan.taken.as_ref().map_or(&job.fence.run, |taken| &taken.run);
        let script = migrate(
            self.on_host(job, project, host)?,
            &job.plan.release,
            settings,
            run,
        );
        let output = self
            .mutate(job, &session, "migrate", &script, step.deadline())
            .await?;
        match migrated(&output, project, run) {
            Ok(done) if done.code == 0 => {
                let outcome = if matches!(done.how, How::Ran) {
                    StepOutcome::Applied
                } else {
                    StepOutcome::TakenOver
                };
                Ok((outcome, Some(format!("`{command}` succeeded"))))
            }
            Ok(done) => Err(StepError::failed(failure(
                &host.name, command, done.code, &done.log,
            ))),
            Err(error) => Err(StepError {
                in_doubt: error.is_in_doubt(),
                hint: Some(if error.is_in_doubt() {
                    // The run keeps its lock: these are the ways on.
                    let (env, run) = (&job.inventory.env, &job.fence.run);
                    format!(
                        "{}; when it has ended, pointsman -e {env} resume {run} goes on, pointsman -e {env} abort {run} goes back",
                        error.hint(&host.name)
                    )
                } else {
                    error.hint(&host.name)
                }),
                ..StepError::failed(format!("{}: {error}", host.name))
            }),
        }
    }
}

fn failure(host: &str, command: &str, code: i64, log: &str) -> String {
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    let shown: String = lines[lines.len().saturating_sub(SHOWN)..]
        .iter()
        .map(|line| format!("\n    {line}"))
        .collect();
    let logs = [("migration".to_owned(), lines)];
    let cause = match diagnosis::diagnose(&Evidence {
        logs: &logs,
        ..Evidence::default()
    }) {
        Some(Diagnosis { what, cure, .. }) => format!("\n  problem   {what}\n  cure      {cure}"),
        None => String::new(),
    };
    format!("{host}: the migration `{command}` ended with exit code {code}{cause}\n  its last lines:{shown}")
}

/// Host and port in the env file's database URL, if it has one.
fn database(job: &Job, variable: &str) -> Result<Option<(String, u16)>, StepError> {
    let Some(path) = &job.inventory.app.env_file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| StepError::failed(format!("{path} cannot be read: {error}")))?;
    Ok(database_address(&text, variable))
}
