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
mod testing;
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

/// The end of what a script said, short enough for a message: the last lines hold the cause.
fn excerpt(output: &crate::remote::Output) -> String {
    /// Enough for Compose's wrapped messages, and little enough for a terminal.
    const LINES: usize = 12;
    let said = output.complaint();
    if said.is_empty() {
        return format!("nothing (exit code {})", output.code);
    }
    let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
