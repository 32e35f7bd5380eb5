//! `--receipt FILE`: one JSON object about the run, for those who keep them.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::event::{Event, Kind};
use super::receipt::{Receipt, RouterReceipt};

/// One run, as the file has it.
#[derive(Debug, Default, Serialize)]
struct RunRecord {
    run: String,
    command: String,
    tag: Option<String>,
    outcome: String,
    exit: u8,
    requests: u64,
    lost: u64,
    longest_gap_ms: f64,
    routers: Vec<RouterReceipt>,
}

/// Gathers a run's record from its events and writes it at the end.
#[derive(Debug)]
pub(super) struct Recorder {
    file: Utf8PathBuf,
    record: RunRecord,
}

impl Recorder {
    pub(super) fn new(file: Utf8PathBuf) -> Recorder {
        Recorder {
            file,
            record: RunRecord::default(),
        }
    }

    /// Takes an event; the last one writes the file.
    pub(super) fn see(&mut self, event: &Event) -> Result<(), String> {
        match &event.kind {
            Kind::Started { command, tag, .. } => {
                self.record.run.clone_from(&event.run);
                self.record.command.clone_from(command);
                self.record.tag.clone_from(tag);
            }
            Kind::Receipt(Receipt {
                requests,
                lost,
                longest_gap_ms,
                routers,
                ..
            }) => {
                self.record.requests = *requests;
                self.record.lost = *lost;
                self.record.longest_gap_ms = *longest_gap_ms;
                self.record.routers.clone_from(routers);
            }
            Kind::Finished { outcome, exit, .. } => {
                self.record.outcome.clone_from(outcome);
                self.record.exit = *exit;
                let text = serde_json::to_string(&self.record).map_err(|error| error.to_string())?;
                std::fs::write(&self.file, text + "\n")
                    .map_err(|error| format!("the receipt could not be written to {}: {error}", self.file))?;
            }
            _ => {}
        }
        Ok(())
    }
}
