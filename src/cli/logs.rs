//! `pointsman logs [SERVICE]`

use std::time::Duration;

use futures::future::join_all;

use super::args::Logs;
use super::context::App;
use super::outcome::Outcome;
use crate::compose;
use crate::fleet::End;

/// Longest that reading one host's logs may take.
const READ: Duration = Duration::from_secs(30);

pub(super) async fn run(app: &App, args: &Logs) -> Result<Outcome, Outcome> {
    let picked = super::pick::pick(app, args.pool, args.host.as_deref()).await?;
    let script = compose::logs::logs(&picked.project, args.service.as_deref(), args.lines);
    let outputs = join_all(picked.hosts.iter().map(|host| {
        let (sessions, script) = (&picked.sessions, &script);
        async move { (host, sessions.session(&host.server()).read(script, READ).await) }
    }))
    .await;
    let mut failures = Vec::new();
    for (host, output) in outputs {
        match output {
            Ok(output) if output.ok() => {
                let lines = compose::logs::parse_logs(&output);
                let text: String = lines
                    .iter()
                    .map(|(container, line)| format!("{} {container} | {line}\n", host.name))
                    .collect();
                app.data(
                    "logs",
                    &serde_json::json!({ "host": host.name, "lines": lines }),
                    &text,
                );
            }
            Ok(output) => failures.push(format!("{}: {}", host.name, output.complaint())),
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        Ok(Outcome::done())
    } else {
        Err(Outcome::ending(End::Failed, failures.join("\n")))
    }
}
