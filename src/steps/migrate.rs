//! Runs the migration: once per deploy, on one cold host, in the new image with the new env, after
//! the database accepts connections, and before the pool starts.

use std::time::Duration;

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::compose::Deployment;
use crate::health::Tunnels;
use crate::health::tcp::{self, Speaks};
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
        cx.each(step, std::slice::from_ref(first), host_name, |host| async move {
            let session = cx.host(host);
            if let Some((address, port, speaks)) = database(cx, &settings.database_url)? {
                cx.progress(step, &host.name, format!("waits for {address}:{port}"));
                let tunnels = Tunnels::new(session.clone());
                tcp::wait_open(&tunnels, &address, port, speaks, settings.wait)
                    .await
                    .map_err(|error| StepError::failed(format!("the database: {error}")))?;
            }
            cx.progress(step, &host.name, settings.command.join(" "));
            let deployment = Deployment {
                inventory: &cx.inventory,
                host,
                pool: cx.to(),
                release: &cx.plan.release,
            };
            let script = deployment.migrate(settings);
            let output = session
                .mutate(&cx.fence, "migrate", &script, settings.timeout)
                .await?;
            if output.ok() {
                return Ok((
                    StepOutcome::Applied,
                    Some(format!("`{}` succeeded", settings.command.join(" "))),
                ));
            }
            Err(StepError::failed(failure(
                &host.name,
                &settings.command,
                settings.timeout,
                &output,
            )))
        })
        .await
    }
}

fn failure(host: &str, command: &[String], timeout: Duration, output: &crate::remote::Output) -> String {
    let lines: Vec<String> = output
        .stdout
        .lines()
        .chain(output.stderr.lines())
        .map(str::to_owned)
        .collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    // `timeout` ends what it stops with 124.
    let how = match output.code {
        124 => {
            format!("did not end within {timeout:?}; its container may still run: look before you try again")
        }
        code => format!("ended with exit code {code}"),
    };
    let cause = super::start::cause("migrate", shown);
    let log: String = shown.iter().map(|line| format!("\n    {line}")).collect();
    format!(
        "{host}: the migration `{}` {how}{cause}\n  its last lines:{log}",
        command.join(" ")
    )
}

/// Host and port in the env file's database URL, if it has one.
fn database(cx: &Context, variable: &str) -> Result<Option<(String, u16, Speaks)>, StepError> {
    let Some(path) = &cx.inventory.app.env_file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| StepError::failed(format!("{path} cannot be read: {error}")))?;
    Ok(address_in(&text, variable))
}

/// The address of a URL such as `postgres://user:secret@db:5432/shop` in an env file.
fn address_in(env: &str, variable: &str) -> Option<(String, u16, Speaks)> {
    let value = env.lines().find_map(|line| {
        let (name, value) = line.trim_start_matches("export ").split_once('=')?;
        (name.trim() == variable).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    })?;
    let url = reqwest::Url::parse(&value).ok()?;
    let speaks = Speaks::of_scheme(url.scheme());
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let port = url.port().or(speaks.default_port())?;
    Some((host.trim_matches(['[', ']']).to_owned(), port, speaks))
}

#[cfg(test)]
mod tests {
    use super::{Speaks, address_in};

    #[test]
    fn finds_the_database_in_an_env_file() {
        let env =
            "A=1\nDATABASE_URL='postgres://shop:p%40ss@10.0.0.9/shop?pool=5'\nOTHER=mysql2://db:3307/x\n";
        assert_eq!(
            address_in(env, "DATABASE_URL"),
            Some(("10.0.0.9".into(), 5432, Speaks::Postgres))
        );
        assert_eq!(address_in(env, "OTHER"), Some(("db".into(), 3307, Speaks::Mysql)));
        assert_eq!(address_in(env, "A"), None);
        assert_eq!(
            address_in("DATABASE_URL=sqlite3:db/x.sqlite3", "DATABASE_URL"),
            None
        );
    }
}
