//! The dispatcher: executes a plan step by step, writes each intent before it acts, and takes
//! everything back when a step fails.

use std::time::Instant;

use serde_json::json;

use super::journal::{Journal, LineKind};
use crate::plan::{Action, Step};
use crate::report::Kind;
use crate::steps::{Context, End, StepError, step_for};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The verdict.
    pub end: End,
    /// What was expected and found, where it did not end well.
    pub message: Option<String>,
    /// The next command to type.
    pub hint: Option<String>,
}

/// Resolves when the user wants the run to stop.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// Executes the plan to its end, or takes back what it did.
pub async fn execute(cx: &Context, journal: &mut Journal, stop: Stop) -> Finished {
    let mut run = Run {
        cx,
        journal,
        entered: Vec::new(),
    };
    let result = run.forward(stop).await;
    let finished = match result {
        Ok(()) => Finished {
            end: End::Done,
            message: None,
            hint: None,
        },
        Err((failed, error)) => run.backward(&failed, error).await,
    };
    let _ = run.write(
        LineKind::End,
        None,
        json!({ "end": finished.end, "message": finished.message }),
    );
    finished
}

struct Run<'a> {
    cx: &'a Context,
    journal: &'a mut Journal,
    /// Steps whose intent was written, in order: these are what undo goes back over.
    entered: Vec<Step>,
}

impl Run<'_> {
    async fn forward(&mut self, stop: Stop) -> Result<(), (Step, StepError)> {
        let plan = self.cx.plan.clone();
        let described = serde_json::to_value(&*plan).unwrap_or_default();
        if let Some(first) = plan.steps.first() {
            self.write(LineKind::Run, None, described)
                .map_err(|error| (first.clone(), error))?;
        }
        for step in &plan.steps {
            if *stop.borrow() {
                let error = StepError::failed(format!("stopped by the user before {}", step.action.name()));
                return Err((step.clone(), error.ending(End::Interrupted)));
            }
            if step.action == Action::Unlock {
                let _ = self.write(LineKind::Outcome, None, json!({ "end": End::Done }));
            }
            match self.one(step, stop.clone()).await {
                // The release is in place and proven: what is left over is housekeeping.
                Err(error) if step.action == Action::Prune => {
                    self.cx.sink.emit(Kind::Warning {
                        message: format!("pruning failed: {}", error.message),
                    });
                }
                result => result.map_err(|error| (step.clone(), error))?,
            }
        }
        Ok(())
    }

    /// One step: intent, act, look, outcome.
    async fn one(&mut self, step: &Step, mut stop: Stop) -> Result<(), StepError> {
        let name = step.action.name();
        self.write(LineKind::Intent, Some(name), json!({ "targets": step.targets }))?;
        self.entered.push(step.clone());
        let since = Instant::now();
        self.cx.sink.emit(Kind::PhaseStarted {
            phase: name.to_owned(),
            targets: step.targets.clone(),
        });
        let doing = step_for(step.action);
        let act = async {
            let outcome = doing.apply(self.cx, step).await?;
            doing.verify(self.cx, step).await.map(|()| outcome)
        };
        let result = if matches!(step.action, Action::Check | Action::RouterCheck) {
            // These only look: the user need not wait for their end.
            tokio::select! {
                result = act => result,
                Ok(()) = stop.changed() => {
                    Err(StepError::failed(format!("stopped by the user during {name}")).ending(End::Interrupted))
                }
            }
        } else {
            act.await
        };
        let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.cx.sink.emit(Kind::PhaseEnded {
            phase: name.to_owned(),
            ok: result.is_ok(),
            elapsed_ms,
        });
        let said = match &result {
            Ok(outcome) => json!({ "result": outcome }),
            Err(error) => {
                json!({ "result": if error.in_doubt { "in_doubt" } else { "not_done" }, "message": error.message })
            }
        };
        // The step has acted: a journal that cannot be written now must not stop what protects the
        // traffic (FAULTS.md 75).
        if let Err(error) = self.write(LineKind::Outcome, Some(name), said) {
            self.cx.sink.emit(Kind::Warning {
                message: error.message,
            });
        }
        result.map(drop)
    }

    /// Takes back what was done, last first; the failed step as well.
    async fn backward(&mut self, failed: &Step, error: StepError) -> Finished {
        let flipped = self.entered.iter().any(|step| step.action == Action::Flip);
        let mut finished = Finished {
            end: error.end,
            message: Some(error.message.clone()),
            hint: error.hint.clone(),
        };
        if failed.action == Action::Unlock {
            finished.message = Some(format!(
                "the release is in place, but the lock could not be given back: {}",
                error.message
            ));
            finished.hint = Some(format!(
                "pointsman -e {} lock release {}",
                self.cx.inventory.env, self.cx.fence.run
            ));
            finished.end = End::Stuck;
            return finished;
        }
        // A run that was fenced or locked out has nothing of its own left to take back.
        if matches!(error.end, End::Fenced | End::Locked) {
            return finished;
        }
        let undo: Vec<Step> = if failed.action == Action::Migrate && error.in_doubt {
            // It may still run: taking its pool away would end it half-way. The claim stays (FAULTS.md 42).
            finished.end = End::InDoubt;
            self.only(&[Action::Fence])
        } else if flipped && failed.action == Action::Flip && error.end != End::Failed {
            // The flip has led back by itself and says how that ended; the pools both stay up.
            self.only(&[Action::Fence])
        } else if flipped && failed.action != Action::Flip {
            finished.end = End::RolledBack;
            self.only(&[Action::Flip, Action::Fence])
        } else {
            self.entered.iter().rev().cloned().collect()
        };
        for step in undo {
            let name = step.action.name();
            let _ = self.write(LineKind::Undo, Some(name), json!({}));
            if step.action == Action::Fence {
                // The last lines that reach the routers say how it ended.
                let _ = self.write(LineKind::Outcome, None, json!({ "end": finished.end }));
            }
            if let Err(undone) = step_for(step.action).undo(self.cx, &step).await {
                self.cx.sink.emit(Kind::Warning {
                    message: format!("taking back {name}: {}", undone.message),
                });
                if step.action == Action::Fence {
                    // The lock only keeps people out: what matters of this run's end stands.
                    finished.hint = Some(format!(
                        "pointsman -e {} lock release {}",
                        self.cx.inventory.env, self.cx.fence.run
                    ));
                    break;
                }
                finished.end = match undone.end {
                    End::InDoubt | End::Split => undone.end,
                    _ => End::Stuck,
                };
                finished.message = Some(format!(
                    "{}\nand taking back {name} failed: {}",
                    error.message, undone.message
                ));
                finished.hint = undone.hint.or(finished.hint);
                break;
            }
        }
        finished
    }

    /// The entered steps among these, last first.
    fn only(&self, actions: &[Action]) -> Vec<Step> {
        self.entered
            .iter()
            .rev()
            .filter(|step| actions.contains(&step.action))
            .cloned()
            .collect()
    }

    fn write(
        &mut self,
        kind: LineKind,
        step: Option<&str>,
        data: serde_json::Value,
    ) -> Result<(), StepError> {
        match self.journal.append(kind, step, data) {
            Ok(line) => {
                self.cx
                    .unshipped
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push_str(&line);
                Ok(())
            }
            Err(error) => Err(StepError::failed(format!(
                "the journal could not be written: {error}"
            ))),
        }
    }
}
