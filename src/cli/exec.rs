//! `pointsman exec SERVICE COMMAND...`

use std::time::Duration;

use futures::future::join_all;

use super::args::Exec;
use super::context::App;
use super::outcome::Outcome;
use crate::compose;
use crate::fleet::End;

pub(super) async fn run(app: &App, args: &Exec) -> Result<Outcome, Outcome> {
    let picked = super::pick::pick(app, args.pool, args.host.as_deref()).await?;
    let hosts = if args.once {
        &picked.hosts[..picked.hosts.len().min(1)]
    } else {
        &picked.hosts[..]
    };
    let script = compose::exec::exec(&picked.project, &args.service, args.command.iter().cloned());
    let deadline = Duration::from_secs(args.timeout);
    let outputs = join_all(hosts.iter().map(|host| {
        let (sessions, script) = (&picked.sessions, &script);
        async move {
            (
                host,
                sessions.session(&host.server()).read(script, deadline).await,
            )
        }
    }))
    .await;
    let mut failures = Vec::new();
    for (host, output) in outputs {
        match output {
            Ok(output) => {
                let data = serde_json::json!({
                    "host": host.name, "code": output.code, "stdout": output.stdout, "stderr": output.stderr,
                });
                app.data("exec", &data, &super::pick::prefixed(&host.name, &output.stdout));
                if !output.ok() {
                    failures.push(format!(
                        "{}: exit code {}: {}",
                        host.name,
                        output.code,
                        output.complaint()
                    ));
                }
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        Ok(Outcome::done())
    } else {
        Err(Outcome::ending(End::Failed, failures.join("\n")))
    }
}
