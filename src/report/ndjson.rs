//! `--json`: one event per line on standard output.

use std::io::Write as _;

use super::event::Event;

/// Writes each event as it comes, and flushes, so that a reader sees it at once.
#[derive(Debug)]
pub(super) struct Ndjson;

impl Ndjson {
    pub(super) fn new() -> Ndjson {
        Ndjson
    }

    pub(super) fn show(&mut self, event: &Event) {
        if let Ok(text) = serde_json::to_string(event) {
            let mut out = std::io::stdout().lock();
            // A reader that went away is no error of ours: the run goes on.
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        }
    }
}
