//! What every command has: the arguments that all share, the reporter, and a way to end.

use std::sync::Arc;
use std::time::Instant;

use anstream::ColorChoice;
use serde::Serialize;
use tokio::sync::watch;

use super::args::{Cli, Color};
use super::outcome::Outcome;
use crate::fleet::Fleet;
use crate::fleet::api::ApiFleet;
use crate::fleet::ssh::SshFleet;
use crate::fleet::stored::StoredFleet;
use crate::inventory::{self, Inventory};
use crate::remote::Sessions;
use crate::report::{self, Kind, Prober, Sink, Stream};
use crate::state;
use crate::switch::connector_for;

/// What every command has.
pub(super) struct App {
    env: Option<String>,
    file: Option<camino::Utf8PathBuf>,
    json: bool,
    since: Instant,
    stream: Stream,
    /// Where everything seen goes.
    pub(super) sink: Sink,
    /// This run's id.
    pub(super) run: String,
    /// `user@machine`, for lock and journal.
    pub(super) who: String,
    /// Turns true at the first Ctrl-C or SIGTERM.
    pub(super) stop: watch::Receiver<bool>,
}

impl App {
    pub(super) fn new(cli: &Cli) -> App {
        let choice = match cli.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
        let run = run_id();
        let output = report::Output {
            json: cli.json,
            color: choice,
            verbosity: verbosity(cli),
            receipt: cli.receipt.clone(),
        };
        let (sink, stream) = report::channel(&run, output);
        App {
            env: cli.env.clone(),
            file: cli.inventory.clone(),
            json: cli.json,
            since: Instant::now(),
            stream,
            sink,
            run,
            who: who(),
            stop: stop_on_signals(),
        }
    }

    /// The inventory that the arguments name.
    pub(super) fn inventory(&self) -> Result<Inventory, Outcome> {
        let file = inventory::find(self.env.as_deref(), self.file.as_deref())
            .map_err(|error| Outcome::invalid(error.to_string()))?;
        Inventory::load(&file, &|name| std::env::var(name).ok()).map_err(|errors| {
            let colored = anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
            self.sink.emit(Kind::Diagnostics {
                // The count is the failure's own message, said once.
                text: errors
                    .render(colored)
                    .trim_end()
                    .trim_end_matches(&errors.to_string())
                    .trim_end()
                    .to_owned(),
                list: serde_json::to_value(errors.diagnostics()).unwrap_or_default(),
            });
            Outcome::invalid(errors.to_string()).hint("mend what is shown above, then `pointsman validate`")
        })
    }

    /// The inventory, and sessions for its servers; nothing is opened yet.
    pub(super) fn open(&self) -> Result<(Inventory, Sessions), Outcome> {
        let inventory = self.inventory()?;
        let sessions = self.sessions(&inventory)?;
        Ok((inventory, sessions))
    }

    /// Sessions for the inventory's servers; nothing is opened yet.
    pub(super) fn sessions(&self, inventory: &Inventory) -> Result<Sessions, Outcome> {
        Sessions::new(&inventory.ssh)
            .map_err(|error| Outcome::refused(format!("no private folder for SSH could be made: {error}")))
    }

    /// The servers of an environment, with the team's store in front of them where it has one.
    pub(super) fn fleet(
        &self,
        inventory: &Arc<Inventory>,
        sessions: Sessions,
        prober: Option<Arc<Prober>>,
    ) -> Result<Arc<dyn Fleet>, Outcome> {
        let noted = state::noted(inventory, &sessions)?;
        let hosts = Arc::new(SshFleet {
            connector: connector_for(inventory),
            inventory: inventory.clone(),
            sessions,
            prober,
        });
        let fleet: Arc<dyn Fleet> = match noted {
            Some(noted) => Arc::new(ApiFleet { hosts, noted }),
            None => hosts,
        };
        Ok(match state::team(inventory)? {
            None => fleet,
            Some(store) => Arc::new(StoredFleet::new(fleet, store)),
        })
    }

    /// A command's answer: an event for programs, text on standard output for people.
    pub(super) fn data<T: Serialize + ?Sized>(&self, name: &str, data: &T, text: &str) {
        if self.json {
            let data = serde_json::to_value(data).unwrap_or_default();
            self.sink.emit(Kind::Data {
                name: name.to_owned(),
                data,
            });
        } else {
            use std::io::Write as _;
            let mut out = anstream::stdout();
            // A reader that went away (`| head`) is no error of ours.
            let _ = out.write_all(text.as_bytes());
            if !text.ends_with('\n') {
                let _ = out.write_all(b"\n");
            }
            let _ = out.flush();
        }
    }

    /// Says how it ended and returns the exit code.
    pub(super) async fn finish(self, outcome: Outcome) -> u8 {
        if let Some(message) = outcome.message {
            self.sink.emit(Kind::Failed {
                message,
                hint: outcome.hint,
            });
        }
        self.sink.emit(Kind::Finished {
            outcome: outcome.end.word().to_owned(),
            exit: outcome.end.exit(),
            elapsed_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        drop(self.sink);
        self.stream.finish().await;
        outcome.end.exit()
    }
}

fn verbosity(cli: &Cli) -> report::Verbosity {
    if cli.quiet {
        report::Verbosity::Quiet
    } else if cli.verbose {
        report::Verbosity::Verbose
    } else {
        report::Verbosity::Normal
    }
}

/// Sortable by time, unlike any other: `20261123T135501Z-9f3a1c`.
fn run_id() -> String {
    format!(
        "{}-{:06x}",
        jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
        rand::random::<u32>() & 0x00ff_ffff
    )
}

fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned());
    format!("{user}@{machine}")
}

/// Turns true at the first SIGINT or SIGTERM: no step begins after that. At the second the process
/// ends at once.
fn stop_on_signals() -> watch::Receiver<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    let (tell, stop) = watch::channel(false);
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return stop;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if tell.send_replace(true) {
                std::process::exit(130);
            }
        }
    });
    stop
}
