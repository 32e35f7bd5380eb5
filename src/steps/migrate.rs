//! Runs the migration: once per deploy, on one cold host, in the new image with the new env, after
//! the database accepts connections, and before the pool starts.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::compose::env_file::database_address;
use crate::compose::migrate::{How, migrate, migrated};
use crate::health::diagnosis::{self, Evidence};
use crate::health::tcp::{self, Speaks};
use crate::health::watch::Watch;
use crate::health::{Diagnosis, Tunnels};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Migrate;

/// Lines of the migration's output that a failure shows.
const SHOWN: usize = 50;

#[async_trait]
impl super::Step for Migrate {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let Some(settings) = &cx.inventory.migrate else {
            return Ok(StepOutcome::AlreadyDone);
        };
        let Some(first) = cx.target_hosts().first() else {
            return Ok(StepOutcome::AlreadyDone);
        };
        let project = &cx.inventory.project(cx.to());
        let command = &settings.command.join(" ");
        // The release that serves must bear what the migration does (FAULTS.md 41).
        let paths = settings.watch.iter().map(String::as_str);
        let own = cx.inventory.checks.iter().map(|check| check.path.as_str());
        let own = own.take(if settings.watch.is_empty() { usize::MAX } else { 0 });
        let watch = Watch::begin(cx.routers(), paths.chain(own)).await;
        let migrating = cx.each(step, std::slice::from_ref(first), host_name, |host| async move {
            let session = cx.host(host);
            if let Some((address, port)) = database(cx, &settings.database_url)? {
                cx.progress(step, &host.name, format!("waits for {address}:{port}"));
                let speaks = match port {
                    5432 => Speaks::Postgres,
                    3306 => Speaks::Mysql,
                    _ => Speaks::Anything,
                };
                tcp::wait_open(
                    &Tunnels::new(session.clone()),
                    &address,
                    port,
                    speaks,
                    settings.wait,
                )
                .await
                .map_err(|error| StepError::failed(format!("the database: {error}")).hint(error.hint()))?;
            }
            cx.progress(step, &host.name, command);
            let script = migrate(
                cx.on_host(project, host)?,
                &cx.plan.release,
                settings,
                &cx.fence.run,
            );
            let output = session
                .mutate(&cx.fence, "migrate", &script, step.deadline())
                .await?;
            match migrated(&output, project, &cx.fence.run) {
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
                    hint: Some(error.hint(&host.name)),
                    ..StepError::failed(format!("{}: {error}", host.name))
                }),
            }
        });
        let (result, seen) = watch.during(migrating, settings.watch_for).await;
        let outcome = result?;
        if seen.risen.is_empty() {
            return Ok(outcome);
        }
        Err(StepError::failed(format!(
            "the migration `{command}` ran, and since then the release that serves on {} fails:\n{}",
            cx.plan.from(),
            seen.risen.join("\n")
        ))
        .hint("the migration is not taken back: mend the database, and make the migration one that the release before it bears"))
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
fn database(cx: &Context, variable: &str) -> Result<Option<(String, u16)>, StepError> {
    let Some(path) = &cx.inventory.app.env_file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| StepError::failed(format!("{path} cannot be read: {error}")))?;
    Ok(database_address(&text, variable))
}
