//! The typed stream that every reader gets: terminal, NDJSON and journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::receipt::Receipt;

/// One event with its time and run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// When it was seen, by this machine's clock.
    pub at: Timestamp,
    /// The run that it belongs to; empty for commands that are no run.
    pub run: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Kind {
    /// The command began.
    Started {
        /// `deploy`, `flip`, ...
        command: String,
        /// The environment.
        environment: String,
        /// The tag, where the command has one.
        tag: Option<String>,
    },
    /// The plan is complete and about to be executed.
    Planned {
        /// The steps in order, in words.
        steps: Vec<String>,
    },
    /// A phase (one step of the plan on all of its targets) began.
    PhaseStarted {
        /// Its short name: `pull`, `migrate`, `check`, ...
        phase: String,
        /// Names of the servers it acts on.
        targets: Vec<String>,
    },
    /// Something worth a live line happened on one server.
    Progress {
        /// The phase.
        phase: String,
        /// The server.
        target: String,
        /// In words: `unicorn 2/3 healthy`.
        message: String,
    },
    /// One server's part of a phase ended.
    StepEnded {
        /// The phase.
        phase: String,
        /// The server.
        target: String,
        /// `applied`, `already_done`, `taken_over`, `failed`, `in_doubt`, `not_done`.
        result: StepOutcome,
        /// What there is to say, in words.
        message: Option<String>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A phase ended.
    PhaseEnded {
        /// The phase.
        phase: String,
        /// Whether all targets succeeded.
        ok: bool,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// Something the user should know that stops nothing.
    Warning {
        /// In words.
        message: String,
    },
    /// Plain information.
    Note {
        /// In words.
        message: String,
    },
    /// What the prober saw during a flip.
    Receipt(Receipt),
    /// A command's answer (status, plan, history...), for `--json` readers.
    Data {
        /// What it is: `status`, `plan`, ...
        name: String,
        /// The answer itself.
        data: serde_json::Value,
    },
    /// Mistakes in the inventory, each with its place.
    Diagnostics {
        /// As people read them, with the lines that they are about.
        text: String,
        /// As programs read them.
        list: serde_json::Value,
    },
    /// The command failed; said once, before `finished`.
    Failed {
        /// The whole message, several lines.
        message: String,
        /// The next command to type.
        hint: Option<String>,
    },
    /// The last event of every command.
    Finished {
        /// `done`, `failed`, `rolled_back`, `in_doubt`, `split`, `locked`, `fenced`, `invalid`, `refused`, `stuck`, `interrupted`.
        outcome: String,
        /// The exit code.
        exit: u8,
        /// How long the command took, in milliseconds.
        elapsed_ms: u64,
    },
}

/// How one step ended on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It was done now.
    Applied,
    /// The world was so already.
    AlreadyDone,
    /// An earlier run's command was found to have done it.
    TakenOver,
    /// It had no effect, now or later.
    NotDone,
    /// It may have had, or may still have, its effect.
    InDoubt,
}
