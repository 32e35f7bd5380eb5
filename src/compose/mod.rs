//! Pure builders of docker and compose scripts, and readers of their output.
//!
//! Each file is one thing that is asked of a host: a builder (`Project` in, [`crate::remote::Script`]
//! out, its body in the `.sh` beside it) and a reader ([`crate::remote::Output`] in, a typed value
//! out). Nothing here runs anything: callers send readers' scripts with `Session::read` and those
//! that change something with `Session::mutate`.

pub mod config;
pub mod containers;
pub mod engine;
pub mod env_file;
pub mod exec;
pub mod facts;
pub mod file;
pub mod logs;
pub mod migrate;
pub mod overlay;
pub mod project;
pub mod prune;
pub mod pull;
pub mod registry;
pub mod release;
pub mod releases;
pub mod stage;
pub mod start;
pub mod stop;
#[cfg(test)]
pub(crate) mod testing;
pub mod traffic;
pub mod variant;

pub use containers::Container;
pub use facts::HostFacts;
pub use file::ComposeFile;
pub use project::{OnHost, Project};
pub use release::{PinnedImage, Release};
pub use variant::Compose;

/// What a host printed cannot be read: the script was cut, or the program there speaks another way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Unreadable {
    /// What should have stood there.
    pub expected: &'static str,
    /// What stood there, cut short.
    pub found: String,
}

impl Unreadable {
    fn new(expected: &'static str, output: &crate::remote::Output) -> Unreadable {
        Unreadable {
            expected,
            found: excerpt(output),
        }
    }
}

/// What a script said, short enough for a message: the last lines hold the cause.
fn excerpt(output: &crate::remote::Output) -> String {
    /// Enough for Compose's wrapped messages, and little enough for a terminal.
    const LINES: usize = 8;
    let said = output.complaint();
    if said.is_empty() {
        return format!("nothing (exit code {})", output.code);
    }
    let all: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut lines: Vec<&str> = all.iter().copied().filter(|line| !is_progress(line)).collect();
    lines.dedup();
    if lines.is_empty() {
        lines = all;
    }
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Whether a line is Compose telling what it does, or warning of what a deploy does not care about.
fn is_progress(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    let v2 = ["Container", "Network", "Volume"].contains(&first) && words.count() == 2;
    let v1 = ["Creating", "Recreating", "Starting", "Stopping", "Removing"].contains(&first)
        && !line.ends_with("error");
    v1 || v2 || line.contains("level=warning")
}

#[cfg(test)]
mod tests {
    use super::excerpt;
    use crate::remote::Output;

    fn of(stderr: &str) -> String {
        excerpt(&Output {
            code: 1,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        })
    }

    #[test]
    fn the_cause_is_what_is_left() {
        let v2 = "time=\"2026\" level=warning msg=\"`version` is obsolete\"\n Network a_default  Creating\n Container a-web-1  Starting\nError response from daemon: port is already allocated\n";
        assert_eq!(of(v2), "Error response from daemon: port is already allocated");
        let v1 = "Creating network \"a_default\" with the default driver\nCreating a_web_1 ... \nCreating a_web_1 ... error\n\nERROR: for web  Cannot start service web\n";
        assert_eq!(
            of(v1),
            "Creating a_web_1 ... error\nERROR: for web  Cannot start service web"
        );
    }

    #[test]
    fn something_is_always_said() {
        assert_eq!(
            of(" Container a-web-1  Starting\n"),
            "Container a-web-1  Starting"
        );
        assert_eq!(of(""), "nothing (exit code 1)");
        assert_eq!(of(&"x\ny\n".repeat(50)).lines().count(), 8);
    }
}
