//! How a command ends: an exit code, with words where it did not end well.

use crate::fleet::{End, StepError};
use crate::plan::Refusal;
use crate::remote::RemoteError;
use crate::run::Finished;
use crate::state::StoreError;
use crate::switch::api::{ApiError, WHETHER_DONE};

/// How a command ends.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
}

impl Outcome {
    pub(super) fn done() -> Outcome {
        Outcome {
            end: End::Done,
            message: None,
            hint: None,
        }
    }

    pub(super) fn ending(end: End, message: impl Into<String>) -> Outcome {
        Outcome {
            end,
            message: Some(message.into()),
            hint: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Outcome {
        Outcome::ending(End::Invalid, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Outcome {
        Outcome::ending(End::Refused, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Outcome {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn of_refusal(refusal: &Refusal, env: &str) -> Outcome {
        let end = match refusal {
            Refusal::InDoubt(_) => End::InDoubt,
            Refusal::Split(_) => End::Split,
            Refusal::Locked(_) => End::Locked,
            Refusal::Preflight { .. } => End::Refused,
        };
        Outcome {
            end,
            message: Some(refusal.to_string()),
            hint: refusal.hint(env),
        }
    }
}

impl From<Finished> for Outcome {
    fn from(finished: Finished) -> Outcome {
        Outcome {
            end: finished.end,
            message: finished.message,
            hint: finished.hint,
        }
    }
}

impl From<StepError> for Outcome {
    fn from(error: StepError) -> Outcome {
        Outcome {
            end: error.end,
            message: Some(error.message),
            hint: error.hint,
        }
    }
}

impl From<RemoteError> for Outcome {
    fn from(error: RemoteError) -> Outcome {
        before_any_step(StepError::from(error))
    }
}

impl From<ApiError> for Outcome {
    fn from(error: ApiError) -> Outcome {
        let outcome = Outcome::refused(error.to_string());
        match error.hint() {
            Some(hint) => outcome.hint(hint),
            None => outcome,
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Outcome {
        before_any_step(StepError::from(error))
    }
}

fn before_any_step(error: StepError) -> Outcome {
    let in_doubt = error.in_doubt;
    let mut outcome = Outcome::from(error);
    if outcome.end == End::Failed {
        outcome.end = if in_doubt { End::InDoubt } else { End::Refused };
    }
    if outcome.end == End::InDoubt {
        // There is no run to resume or to abort.
        outcome.hint.get_or_insert_with(|| WHETHER_DONE.to_owned());
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_says_what_to_type() {
        let doubt = StoreError::InDoubt {
            at: "the switch".to_owned(),
            what: "taking the lock",
            problem: "no answer".to_owned(),
        };
        let outcome = Outcome::from(doubt);
        assert_eq!(outcome.end, End::InDoubt);
        assert!(outcome.hint.is_some_and(|hint| hint.contains("pointsman status")));
    }
}
