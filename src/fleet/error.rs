//! How a step fails, and how a run ends.

use serde::{Deserialize, Serialize};

use crate::remote::RemoteError;
use crate::state::StoreError;
use crate::switch::SwitchError;

/// How a run ends; each has its exit code (DESIGN.md 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All that was wanted holds.
    Done,
    /// Failed; traffic never moved; cleaned up.
    Failed,
    /// Failed after traffic moved; moved back, and verified.
    RolledBack,
    /// A router could not be read after a change was sent.
    InDoubt,
    /// The routers disagree.
    Split,
    /// Another run holds the lock.
    Locked,
    /// A newer run has fenced this one.
    Fenced,
    /// The inventory or an argument is wrong.
    Invalid,
    /// Something that must hold before the first change does not; nothing was changed.
    Refused,
    /// An undo failed.
    Stuck,
    /// The user stopped it.
    Interrupted,
}

impl End {
    /// The exit code.
    pub fn exit(self) -> u8 {
        match self {
            End::Done => 0,
            End::Failed => 10,
            End::RolledBack => 11,
            End::InDoubt => 20,
            End::Split => 21,
            End::Locked => 30,
            End::Fenced => 31,
            End::Invalid => 40,
            End::Refused => 50,
            End::Stuck => 60,
            End::Interrupted => 130,
        }
    }

    /// The word in `--json` and journals.
    pub fn word(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Failed => "failed",
            End::RolledBack => "rolled_back",
            End::InDoubt => "in_doubt",
            End::Split => "split",
            End::Locked => "locked",
            End::Fenced => "fenced",
            End::Invalid => "invalid",
            End::Refused => "refused",
            End::Stuck => "stuck",
            End::Interrupted => "interrupted",
        }
    }
}

/// A step that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// Whether it may have had, or may still have, an effect.
    pub in_doubt: bool,
    /// Whether traffic may have moved on some router.
    pub moved: bool,
    /// Whether the world was no longer what the plan expects, as found under this run's own lock: a new plan is due.
    pub stale: bool,
    /// Whether the server refused because this run has not fenced it.
    pub unfenced: bool,
    /// How the run ends for it, once undone.
    pub end: End,
    /// What was expected and found, and where; several lines where that helps.
    pub message: String,
    /// What to type next, where the step knows better than the run.
    pub hint: Option<String>,
}

impl StepError {
    /// A plain failure without effect.
    pub fn failed(message: impl Into<String>) -> StepError {
        StepError {
            in_doubt: false,
            moved: false,
            stale: false,
            unfenced: false,
            end: End::Failed,
            message: message.into(),
            hint: None,
        }
    }

    /// With another end.
    #[must_use]
    pub fn ending(mut self, end: End) -> StepError {
        self.end = end;
        self
    }

    /// With the next command to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> StepError {
        self.hint = Some(hint.into());
        self
    }

    /// Several servers' errors as one: the gravest end, every message.
    pub fn all(errors: Vec<StepError>) -> Option<StepError> {
        let grave = |end: End| match end {
            End::Fenced => 3,
            End::Locked => 2,
            End::Interrupted => 2,
            End::Failed => 0,
            _ => 1,
        };
        let worst = errors.iter().max_by_key(|error| grave(error.end))?.clone();
        Some(StepError {
            in_doubt: errors.iter().any(|error| error.in_doubt),
            moved: errors.iter().any(|error| error.moved),
            stale: errors.iter().any(|error| error.stale),
            unfenced: errors.iter().all(|error| error.unfenced),
            message: errors
                .iter()
                .map(|error| error.message.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            ..worst
        })
    }
}

impl From<SwitchError> for StepError {
    fn from(error: SwitchError) -> StepError {
        match error {
            SwitchError::Remote(error) => StepError::from(error),
            SwitchError::Router { in_doubt, .. } => StepError {
                in_doubt,
                ..StepError::failed(error.to_string())
            },
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> StepError {
        let end = match &error {
            StoreError::Fenced { .. } => End::Fenced,
            StoreError::Locked { .. } | StoreError::Raced { .. } => End::Locked,
            StoreError::InDoubt { .. } | StoreError::Unreachable { .. } | StoreError::Refused { .. } => {
                End::Failed
            }
        };
        StepError {
            in_doubt: error.is_in_doubt(),
            hint: error.hint().map(str::to_owned),
            ..StepError::failed(error.to_string()).ending(end)
        }
    }
}

impl From<RemoteError> for StepError {
    fn from(error: RemoteError) -> StepError {
        let end = match &error {
            // Whoever takes a run's lock away means it to do nothing more, as a newer run does.
            RemoteError::Fenced { .. } | RemoteError::LockLost { .. } => End::Fenced,
            RemoteError::Locked { .. } | RemoteError::Raced { .. } => End::Locked,
            _ => End::Failed,
        };
        let hint = match &error {
            RemoteError::Connect { hint, .. } => Some(hint.clone()),
            RemoteError::LockLost { .. } => Some(
                "this run does nothing more; a pool that it was changing stays claimed until a deploy proves it anew"
                    .to_owned(),
            ),
            _ => None,
        };
        StepError {
            in_doubt: error.is_in_doubt(),
            moved: false,
            stale: false,
            unfenced: matches!(error, RemoteError::Unfenced { .. }),
            end,
            message: error.to_string(),
            hint,
        }
    }
}
