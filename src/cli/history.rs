//! `pointsman history [RUN]`

use std::fmt::Write as _;

use futures::future::OptionFuture;
use serde::Serialize;

use super::args::History;
use super::context::App;
use super::outcome::Outcome;
use crate::journal::{self, Line, LineKind};
use crate::observe;
use crate::state::{self, Store};

/// One run in a line.
#[derive(Debug, Serialize)]
struct Row {
    run: String,
    at: jiff::Timestamp,
    command: String,
    tag: String,
    end: String,
}

pub(super) async fn run(app: &App, args: &History) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let store = state::team(&inventory)?;
    let (servers, store) = futures::future::join(
        observe::journals::read(&inventory, &sessions),
        OptionFuture::from(store.as_deref().map(Store::journals)),
    )
    .await;
    let stored = store.map(|read| read.map_err(|error| error.to_string()));
    let copies = match (servers, stored) {
        (Ok(servers), Some(Ok(stored))) => [servers, stored].concat(),
        (Ok(journals), None) | (Err(_), Some(Ok(journals))) => journals,
        (Ok(journals), Some(Err(problem))) => {
            app.sink.warn(format!("the store cannot be read: {problem}"));
            journals
        }
        (Err(problem), _) => {
            return Err(Outcome::refused(problem).hint(format!("pointsman -e {} doctor", inventory.env)));
        }
    };
    let journals = observe::journals::fullest(copies);
    match &args.run {
        None => list(app, &journals),
        Some(run) => show(app, &inventory.env, run, &journals),
    }
}

fn list(app: &App, journals: &[(String, String)]) -> Result<Outcome, Outcome> {
    let mut rows = Vec::new();
    for (run, text) in journals {
        match journal::read(text) {
            Ok(lines) => rows.extend(row(run, &lines)),
            Err(problem) => app
                .sink
                .warn(format!("the journal of {run} cannot be read: {problem}")),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    let mut text = String::new();
    for row in &rows {
        let at = row.at.strftime("%Y-%m-%d %H:%M:%S");
        let _ = writeln!(
            text,
            "{at}  {:<9} {:<20} {:<11} {}",
            row.command, row.tag, row.end, row.run
        );
    }
    if rows.is_empty() {
        text.push_str("no runs yet\n");
    }
    app.data("history", &rows, &text);
    Ok(Outcome::done())
}

fn show(app: &App, env: &str, run: &str, journals: &[(String, String)]) -> Result<Outcome, Outcome> {
    let Some((_, text)) = journals.iter().find(|(name, _)| name == run) else {
        return Err(
            Outcome::invalid(format!("no run {run} in {env}")).hint(format!("pointsman -e {env} history"))
        );
    };
    let lines = journal::read(text)
        .map_err(|problem| Outcome::refused(format!("the journal of {run}: {problem}")))?;
    let mut shown = String::new();
    for line in &lines {
        let at = line.at.strftime("%H:%M:%S%.3f");
        let kind = serde_json::to_value(line.kind)
            .ok()
            .and_then(|kind| kind.as_str().map(str::to_owned));
        let step = line.step.as_deref().unwrap_or("");
        let data = if line.kind == LineKind::Run {
            String::new()
        } else {
            line.data.to_string()
        };
        let _ = writeln!(shown, "{at}  {:<8} {step:<13} {data}", kind.unwrap_or_default());
    }
    app.data("run", &lines, &shown);
    Ok(Outcome::done())
}

fn row(run: &str, lines: &[Line]) -> Option<Row> {
    let first = lines.first()?;
    let plan = &first.data;
    let word = |value: Option<&serde_json::Value>| value.and_then(|v| v.as_str()).unwrap_or("-").to_owned();
    let end = lines.iter().rev().find(|line| line.data.get("end").is_some());
    Some(Row {
        run: run.to_owned(),
        at: first.at,
        command: word(plan.pointer("/intent/intent")),
        tag: word(plan.pointer("/release/tag")),
        end: end.map_or_else(|| "unfinished".to_owned(), |line| word(line.data.get("end"))),
    })
}
