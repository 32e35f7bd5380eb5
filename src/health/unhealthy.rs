//! The error of a host that was not proven: what was asked, what came, and what to do about it.

use std::time::Duration;

use super::diagnosis::Diagnosis;
use super::history::History;
use super::text::human;

/// How many lines of log `explain` shows; all that were fetched stay in [`Unhealthy::logs`].
const SHOWN: usize = 15;

/// A host that is not healthy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{host}: {check}: expected {expected}, found {found}, after {}", human(*.waited))]
pub struct Unhealthy {
    /// The host's short name.
    pub host: String,
    /// The check that is to blame: its name, `release`, or `service NAME` for a container that ends.
    pub check: String,
    /// The right answer, in words.
    pub expected: String,
    /// What came last.
    pub found: String,
    /// How long was waited.
    pub waited: Duration,
    /// How the attempts of the check ended.
    pub history: History,
    /// The service whose logs these are.
    pub service: Option<String>,
    /// The last lines (at most 50) that it logged.
    pub logs: Vec<String>,
    /// What is wrong, where it is known.
    pub diagnosis: Option<Diagnosis>,
}

impl Unhealthy {
    /// The whole story in several lines, as one operator tells it to another.
    pub fn explain(&self) -> String {
        let mut text = format!(
            "{} is not healthy: {} failed after {}\n",
            self.host,
            self.check,
            human(self.waited)
        );
        text.push_str(&format!("  expected  {}\n", self.expected));
        text.push_str(&format!("  found     {}\n", self.found));
        if self.history.attempts() > 0 {
            text.push_str(&format!("  tried     {}\n", self.history));
        }
        if let Some(Diagnosis { what, why, cure, .. }) = &self.diagnosis {
            text.push_str(&format!(
                "  problem   {what}\n  seen in   {why}\n  cure      {cure}\n"
            ));
        }
        if let (Some(service), false) = (&self.service, self.logs.is_empty()) {
            text.push_str(&format!("  the last lines of service {service}:\n"));
            for line in &self.logs[self.logs.len().saturating_sub(SHOWN)..] {
                text.push_str(&format!("    | {line}\n"));
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}
