//! What people see: a live line per host where standard error is a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;

use super::event::{Event, Kind, StepOutcome};
use super::stream::Verbosity;

/// Redraws of a live line a second while nothing new comes, so that it is seen to live.
const TICK: Duration = Duration::from_millis(120);

/// The reader for people.
pub(super) struct Terminal {
    out: Box<dyn std::io::Write + Send>,
    verbosity: Verbosity,
    live: Option<MultiProgress>,
    bars: BTreeMap<String, ProgressBar>,
    phases: Vec<(String, u64)>,
    environment: String,
}

impl Terminal {
    /// On standard error; live where that is a terminal.
    pub(super) fn new(color: ColorChoice, verbosity: Verbosity) -> Terminal {
        let live =
            (std::io::stderr().is_terminal() && verbosity != Verbosity::Quiet).then(MultiProgress::new);
        let out = Box::new(AutoStream::new(std::io::stderr(), color));
        Terminal {
            live,
            ..Terminal::plain(out, verbosity)
        }
    }

    /// Plain lines, to anything.
    fn plain(out: Box<dyn std::io::Write + Send>, verbosity: Verbosity) -> Terminal {
        Terminal {
            out,
            verbosity,
            live: None,
            bars: BTreeMap::new(),
            phases: Vec::new(),
            environment: String::new(),
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match &event.kind {
            Kind::Started {
                environment,
                command,
                tag,
            } => {
                self.environment.clone_from(environment);
                let tag = tag.as_ref().map_or(String::new(), |tag| format!(" {tag}"));
                self.say(
                    Verbosity::Normal,
                    &format!("{command}{tag} in {environment}, run {}", event.run)
                        .bold()
                        .to_string(),
                );
            }
            Kind::Planned { .. } | Kind::Data { .. } => {}
            Kind::PhaseStarted { phase, targets } => self.begin(phase, targets),
            Kind::Progress {
                phase,
                target,
                message,
            } => match self.bars.get(&key(phase, target)) {
                Some(bar) => bar.set_message(clean(message)),
                None => self.say(Verbosity::Verbose, &format!("  {phase} {target}: {message}")),
            },
            Kind::StepEnded {
                phase,
                target,
                result,
                message,
                elapsed_ms,
            } => {
                self.ended(phase, target, *result, message.as_deref(), *elapsed_ms);
            }
            Kind::PhaseEnded {
                phase,
                ok,
                elapsed_ms,
            } => {
                for (_, bar) in std::mem::take(&mut self.bars) {
                    bar.finish_and_clear();
                }
                self.phases.push((phase.clone(), *elapsed_ms));
                let mark = if *ok {
                    "✓".green().to_string()
                } else {
                    "✗".red().to_string()
                };
                self.say(
                    Verbosity::Normal,
                    &format!("{mark} {phase:<13} {}", seconds(*elapsed_ms)),
                );
            }
            Kind::Warning { message } => {
                self.say(Verbosity::Quiet, &format!("{}: {message}", "warning".yellow()))
            }
            Kind::Note { message } => self.say(Verbosity::Normal, message),
            Kind::Receipt(receipt) => self.say(Verbosity::Quiet, receipt.to_string().trim_end()),
            Kind::Diagnostics { text, .. } => self.line(text),
            Kind::Failed { message, hint } => {
                self.say(Verbosity::Quiet, &format!("{}: {message}", "error".red().bold()));
                if let Some(hint) = hint {
                    self.say(Verbosity::Quiet, &format!("{}: {hint}", "hint".cyan()));
                }
            }
            Kind::Finished {
                outcome,
                exit,
                elapsed_ms,
            } => self.finished(outcome, *exit, *elapsed_ms),
        }
    }

    /// A line of its own, whatever the verbosity.
    pub(super) fn line(&mut self, text: &str) {
        let text: String = text.lines().map(|line| clean(line) + "\n").collect();
        let out = &mut self.out;
        let mut write = || {
            // Nobody can be told that standard error is gone.
            let _ = out.write_all(text.as_bytes());
            let _ = out.flush();
        };
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }

    fn say(&mut self, least: Verbosity, text: &str) {
        if self.verbosity >= least {
            self.line(text);
        }
    }

    fn begin(&mut self, phase: &str, targets: &[String]) {
        let Some(live) = &self.live else { return };
        for target in targets {
            let bar = live.add(ProgressBar::new_spinner().with_message("..."));
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {elapsed:>4} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{phase:<13} {target:<12}"));
            bar.enable_steady_tick(TICK);
            self.bars.insert(key(phase, target), bar);
        }
    }

    fn ended(
        &mut self,
        phase: &str,
        target: &str,
        result: StepOutcome,
        message: Option<&str>,
        elapsed_ms: u64,
    ) {
        if let Some(bar) = self.bars.remove(&key(phase, target)) {
            bar.finish_and_clear();
        }
        // A step's failure is told once, at the end, with all that is known of it.
        let (least, word) = match result {
            StepOutcome::Applied => (Verbosity::Normal, "done"),
            StepOutcome::AlreadyDone => (Verbosity::Verbose, "was so already"),
            StepOutcome::TakenOver => (Verbosity::Normal, "taken over"),
            StepOutcome::NotDone => (Verbosity::Normal, "failed"),
            StepOutcome::InDoubt => (Verbosity::Normal, "in doubt"),
        };
        let first = message.and_then(|message| message.lines().next()).unwrap_or(word);
        let words = if result == StepOutcome::NotDone {
            format!("failed: {first}")
        } else {
            first.to_owned()
        };
        self.say(
            least,
            &format!("  {phase:<13} {target:<12} {:>7}  {words}", seconds(elapsed_ms)),
        );
    }

    fn finished(&mut self, outcome: &str, exit: u8, elapsed_ms: u64) {
        if self.phases.is_empty() && self.environment.is_empty() {
            return;
        }
        let mut text = String::new();
        for (phase, elapsed) in &self.phases {
            let _ = write!(text, "{phase} {}, ", seconds(*elapsed));
        }
        if !self.phases.is_empty() {
            self.say(
                Verbosity::Normal,
                &format!("phases: {}", text.trim_end_matches(", ")),
            );
        }
        let word = outcome.replace('_', " ");
        let word = if exit == 0 {
            word.green().to_string()
        } else {
            word.red().to_string()
        };
        self.say(
            Verbosity::Quiet,
            &format!("{}: {word} in {}", self.environment, seconds(elapsed_ms)),
        );
    }
}

fn key(phase: &str, target: &str) -> String {
    format!("{phase}\n{target}")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

/// What comes from servers must not drive the terminal: control characters are shown, not sent.
/// Our own colours are kept: the escape of a colour ends in `m`.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = color_escape(rest) {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        } else {
            let control = rest.chars().next().unwrap_or_default();
            let _ = write!(out, "{}", control.escape_default());
            rest = &rest[control.len_utf8()..];
        }
    }
    out + rest
}

/// The length of `ESC [ digits ; m` at the start of the text, if one stands there.
fn color_escape(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    digits[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the lines of a test go.
    #[derive(Clone, Default)]
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(verbosity: Verbosity, kinds: Vec<Kind>) -> String {
        let kept = Kept::default();
        let mut terminal = Terminal::plain(Box::new(kept.clone()), verbosity);
        for kind in kinds {
            terminal.show(&Event {
                at: "2026-11-23T10:00:00Z".parse().unwrap(),
                run: "r1".into(),
                kind,
            });
        }
        let bytes = kept.0.lock().unwrap().clone();
        anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
    }

    fn deploy(result: StepOutcome, message: &str) -> Vec<Kind> {
        vec![
            Kind::Started {
                command: "deploy".into(),
                environment: "production".into(),
                tag: Some("v2".into()),
            },
            Kind::PhaseStarted {
                phase: "check".into(),
                targets: vec!["web1".into()],
            },
            Kind::Progress {
                phase: "check".into(),
                target: "web1".into(),
                message: "unicorn 1/3".into(),
            },
            Kind::StepEnded {
                phase: "check".into(),
                target: "web1".into(),
                result,
                message: Some(message.into()),
                elapsed_ms: 3210,
            },
            Kind::PhaseEnded {
                phase: "check".into(),
                ok: result == StepOutcome::Applied,
                elapsed_ms: 3215,
            },
        ]
    }

    #[test]
    fn a_run_that_ends_well() {
        let mut kinds = deploy(StepOutcome::Applied, "nginx and unicorn healthy, answers as v2");
        kinds.push(Kind::Finished {
            outcome: "done".into(),
            exit: 0,
            elapsed_ms: 9870,
        });
        insta::assert_snapshot!(shown(Verbosity::Normal, kinds), @r"
        deploy v2 in production, run r1
          check         web1          3.21 s  nginx and unicorn healthy, answers as v2
        ✓ check         3.21 s
        phases: check 3.21 s
        production: done in 9.87 s
        ");
    }

    #[test]
    fn a_run_that_fails_says_why_once_and_last() {
        let mut kinds = deploy(
            StepOutcome::NotDone,
            "web1 is not healthy: unicorn failed\n  found 500",
        );
        kinds.push(Kind::Failed {
            message: "web1 is not healthy: unicorn failed\n  found 500".into(),
            hint: Some("pointsman -e production logs app".into()),
        });
        kinds.push(Kind::Finished {
            outcome: "failed".into(),
            exit: 10,
            elapsed_ms: 9870,
        });
        insta::assert_snapshot!(shown(Verbosity::Verbose, kinds.clone()), @r"
        deploy v2 in production, run r1
          check web1: unicorn 1/3
          check         web1          3.21 s  failed: web1 is not healthy: unicorn failed
        ✗ check         3.21 s
        error: web1 is not healthy: unicorn failed
          found 500
        hint: pointsman -e production logs app
        phases: check 3.21 s
        production: failed in 9.87 s
        ");
        insta::assert_snapshot!(shown(Verbosity::Quiet, kinds), @r"
        error: web1 is not healthy: unicorn failed
          found 500
        hint: pointsman -e production logs app
        production: failed in 9.87 s
        ");
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(clean("a\u{1b}]0;title\u{7}b\r"), "a\\u{1b}]0;title\\u{7}b\\r");
        assert_eq!(
            clean("\u{1b}[2Jx"),
            "\\u{1b}[2Jx",
            "clearing the screen is no colour"
        );
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\tx"), "\u{1b}[31mred\u{1b}[0m\tx");
    }
}
