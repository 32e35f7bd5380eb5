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
            text.push_str(&format!("  problem   {what}\n"));
            // What was found is not said twice.
            if !why.contains(&self.found) {
                text.push_str(&format!("  seen in   {why}\n"));
            }
            text.push_str(&format!("  cure      {cure}\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn unhealthy() -> Unhealthy {
        let mut history = History::default();
        for kind in ["connection refused", "connection refused", "500"] {
            history.add(kind);
        }
        Unhealthy {
            host: "web3".to_owned(),
            check: "unicorn".to_owned(),
            expected: "200 from GET /up, service app on port 8080".to_owned(),
            found: "500: We're sorry, but something went wrong (500)".to_owned(),
            waited: Duration::from_secs(120),
            history,
            service: Some("app".to_owned()),
            logs: (1..=50).map(|n| format!("line {n}")).collect(),
            diagnosis: Some(Diagnosis {
                what: "the database refuses connections at 10.0.0.9:5432".to_owned(),
                why: "service app: PG::ConnectionBad: connection refused".to_owned(),
                cure: "start the database".to_owned(),
                service: Some("app".to_owned()),
            }),
        }
    }

    #[test]
    fn one_line_says_what_was_expected_and_found() {
        insta::assert_snapshot!(unhealthy(), @r#"
    web3: unicorn: expected 200 from GET /up, service app on port 8080, found 500: We're sorry, but something went wrong (500), after 2 min
    "#);
    }

    #[test]
    fn the_whole_story_ends_with_the_last_lines_of_the_log() {
        insta::assert_snapshot!(unhealthy().explain(), @r#"
    web3 is not healthy: unicorn failed after 2 min
      expected  200 from GET /up, service app on port 8080
      found     500: We're sorry, but something went wrong (500)
      tried     3 attempts: 2 × connection refused, 1 × 500
      problem   the database refuses connections at 10.0.0.9:5432
      seen in   service app: PG::ConnectionBad: connection refused
      cure      start the database
      the last lines of service app:
        | line 36
        | line 37
        | line 38
        | line 39
        | line 40
        | line 41
        | line 42
        | line 43
        | line 44
        | line 45
        | line 46
        | line 47
        | line 48
        | line 49
        | line 50
    "#);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let found = "connection refused by service app on port 8080".to_owned();
        let why = format!("the check's answer: {found}");
        let bare = Unhealthy {
            found,
            history: History::default(),
            logs: Vec::new(),
            diagnosis: unhealthy()
                .diagnosis
                .map(|diagnosis| Diagnosis { why, ..diagnosis }),
            ..unhealthy()
        };
        insta::assert_snapshot!(bare.explain(), @r#"
    web3 is not healthy: unicorn failed after 2 min
      expected  200 from GET /up, service app on port 8080
      found     connection refused by service app on port 8080
      problem   the database refuses connections at 10.0.0.9:5432
      cure      start the database
    "#);
    }
}
