//! The dispatcher: executes a plan step by step, writes each intent before it acts, and takes
//! everything back when a step fails.

use std::time::{Duration, Instant};

use serde_json::json;

use super::heart::Heart;
use crate::fleet::{End, StepError, Stop};
use crate::journal::{Journal, LineKind};
use crate::plan::{Action, Step};
use crate::report::{Kind, StepOutcome};
use crate::steps::{Context, step_for, tell_routers};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The verdict.
    pub end: End,
    /// What was expected and found, where it did not end well.
    pub message: Option<String>,
    /// The next command to type.
    pub hint: Option<String>,
    /// Whether the same wish needs a new plan: this run holds the lock, and has done nothing else.
    pub stale: bool,
}

/// Once the user wants it to stop, a step that is under way is waited for no longer than this: with the
/// receipt and the connections' end it stays under 5 s. What was sent goes on, and is read by `resume`.
const GRACE: Duration = Duration::from_secs(3);

/// Executes the plan to its end, or takes back what it did.
pub async fn execute(cx: &Context, journal: &mut Journal, heart: &Heart) -> Finished {
    let mut run = Run {
        cx,
        journal,
        heart,
        entered: Vec::new(),
        ended: false,
    };
    match run.forward().await {
        Ok(()) => Finished {
            end: End::Done,
            message: None,
            hint: None,
            stale: false,
        },
        Err((failed, error)) => run.backward(&failed, error).await,
    }
}

struct Run<'a> {
    cx: &'a Context,
    journal: &'a mut Journal,
    heart: &'a Heart,
    /// Steps whose intent was written, in order: these are what undo goes back over.
    entered: Vec<Step>,
    ended: bool,
}

impl Run<'_> {
    async fn forward(&mut self) -> Result<(), (Step, StepError)> {
        let plan = self.cx.job.plan.clone();
        let Some(first) = plan.steps.first() else {
            return Ok(());
        };
        let described = serde_json::to_value(&*plan).unwrap_or_default();
        self.required(LineKind::Run, None, described)
            .map_err(|error| (first.clone(), error))?;
        for step in &plan.steps {
            let fail = |error| (step.clone(), error);
            self.cx.job.go_on().map_err(fail)?;
            if step.action == Action::Unlock {
                // What the routers hear with the unlock tells how it ended.
                self.end(End::Done, None);
            }
            match self.one(step).await {
                // The release is in place and proven: what is left over is housekeeping.
                Err(error) if step.action == Action::Prune && error.end != End::Interrupted => {
                    let message = format!("pruning failed: {}", error.message);
                    self.cx.job.sink.emit(Kind::Warning { message });
                }
                result => result.map_err(fail)?,
            }
            if step.action == Action::Verify && !plan.undoes {
                self.wanted(LineKind::PointOfNoReturn, None, json!({}));
                // Whoever takes over from here must know it before anything that follows is done.
                if plan.has(Action::Prune)
                    && let Err(error) = tell_routers(self.cx, step).await
                {
                    let message = format!("the routers could not be told that it is done: {error}");
                    self.cx.job.sink.emit(Kind::Warning { message });
                }
            }
        }
        Ok(())
    }

    /// One step: intent, act, look, outcome.
    async fn one(&mut self, step: &Step) -> Result<(), StepError> {
        let name = step.action.name();
        self.required(LineKind::Intent, Some(name), json!({ "targets": step.targets }))?;
        self.entered.push(step.clone());
        self.heart.now_in(name);
        let since = Instant::now();
        self.cx.job.sink.emit(Kind::PhaseStarted {
            phase: name.to_owned(),
            targets: step.targets.clone(),
        });
        let doing = step_for(step.action);
        let act = async {
            let outcome = doing.apply(self.cx, step).await?;
            doing.verify(self.cx, step).await.map(|()| outcome)
        };
        let result = until_stopped(self.cx.job.stop.clone(), name, act).await;
        self.cx.job.sink.emit(Kind::PhaseEnded {
            phase: name.to_owned(),
            ok: result.is_ok(),
            elapsed_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        // The step has acted: a journal that cannot be written now must not stop what protects the
        // traffic (FAULTS.md 75).
        self.wanted(LineKind::Outcome, Some(name), said(&result));
        result.map(drop)
    }

    /// Takes back what was done, last first; the failed step as well.
    async fn backward(&mut self, failed: &Step, error: StepError) -> Finished {
        let (env, run) = (self.cx.env().to_owned(), self.cx.job.fence.run.clone());
        let mut finished = Finished {
            end: error.end,
            message: Some(error.message.clone()),
            hint: error.hint.clone(),
            stale: error.stale,
        };
        let locked = self.entered.iter().any(|step| step.action == Action::Fence);
        if error.end == End::Interrupted {
            self.end(End::Interrupted, Some(&error.message));
            if locked {
                finished.hint = Some(format!(
                    "pointsman -e {env} resume {run}, or pointsman -e {env} abort {run}"
                ));
            }
            return finished;
        }
        if failed.action == Action::Unlock && error.end != End::Fenced {
            finished.message = Some(format!(
                "the release is in place, but the lock could not be given back: {}",
                error.message
            ));
            finished.hint = Some(format!(
                "pointsman -e {env} resume {run} gives it back once the routers can be reached"
            ));
            finished.end = End::Stuck;
            return finished;
        }
        // A run that was fenced or locked out has nothing of its own left to take back.
        if error.end == End::Fenced || (error.end == End::Locked && failed.action == Action::Fence) {
            self.end(error.end, Some(&error.message));
            return finished;
        }
        let undo = self.to_undo(failed, &error, &mut finished);
        self.cx.job.ledger.be_lenient();
        for step in undo {
            if step.action == Action::Fence {
                if keeps_lock(finished.end) {
                    break;
                }
                self.end(finished.end, finished.message.as_deref());
            }
            let Err(undone) = self.undo(&step).await else {
                if step.action == Action::Flip {
                    let from = self.cx.from();
                    finished.message = Some(format!(
                        "{}\nevery router was read as routing to {from}",
                        error.message
                    ));
                }
                continue;
            };
            let name = step.action.name();
            self.cx.job.sink.emit(Kind::Warning {
                message: format!("taking back {name}: {}", undone.message),
            });
            if step.action == Action::Fence {
                if undone.end == End::Fenced {
                    // What was read before may not be so any more: whoever took over decides that.
                    finished.end = End::Fenced;
                    finished.message = Some(format!(
                        "{}\nand a newer run has taken over since: {}",
                        error.message, undone.message
                    ));
                    finished.hint = Some(format!("pointsman -e {env} status"));
                }
                // The lock only keeps people out, and the next run sees that this one is over.
                return finished;
            }
            finished.end = match undone.end {
                End::InDoubt | End::Split | End::Fenced | End::Interrupted => undone.end,
                _ => End::Stuck,
            };
            finished.message = Some(format!(
                "{}\nand taking back {name} failed: {}",
                error.message, undone.message
            ));
            finished.hint = undone.hint;
            break;
        }
        if keeps_lock(finished.end) {
            finished.hint.get_or_insert(format!(
                "pointsman -e {env} abort {run} goes back, pointsman -e {env} resume {run} goes on"
            ));
        }
        self.end(finished.end, finished.message.as_deref());
        finished
    }

    /// Which steps are taken back, last first, and how the run ends when that succeeds.
    fn to_undo(&self, failed: &Step, error: &StepError, finished: &mut Finished) -> Vec<Step> {
        let flipped = self.entered.iter().any(|step| step.action == Action::Flip);
        let only = |actions: &[Action]| {
            let entered = self.entered.iter().rev();
            entered
                .filter(|step| actions.contains(&step.action))
                .cloned()
                .collect()
        };
        let plan = &self.cx.job.plan;
        let mends =
            plan.expects.hot != Some(plan.from) && (plan.taken.is_some() || plan.expects.hot.is_none());
        if !plan.steal.is_empty() && failed.action == Action::Fence && error.end != End::Refused {
            // Nobody would know that a dead run's work is unfinished, were its lock given back here.
            finished.end = End::InDoubt;
            return Vec::new();
        }
        if plan.undoes || (mends && !error.moved) {
            // What takes back, or mends a split, is not itself taken back: whoever comes next goes on with it.
            finished.end = match error.end {
                End::InDoubt | End::Split => error.end,
                _ if error.in_doubt => End::InDoubt,
                _ => End::Stuck,
            };
            return Vec::new();
        }
        if failed.action == Action::Migrate && error.in_doubt {
            // It may still run: taking its pool away would end it half-way. The claim stays (FAULTS.md 42).
            finished.end = End::InDoubt;
            return only(&[Action::Fence]);
        }
        if flipped && (failed.action != Action::Flip || error.moved) {
            finished.end = End::RolledBack;
            return only(&[Action::Flip, Action::Fence]);
        }
        self.entered.iter().rev().cloned().collect()
    }

    async fn undo(&mut self, step: &Step) -> Result<(), StepError> {
        let name = step.action.name();
        self.wanted(LineKind::Undo, Some(name), json!({}));
        let acting = step_for(step.action).undo(self.cx, step);
        let result = until_stopped(self.cx.job.stop.clone(), name, acting).await;
        let told = result.clone().map(|()| StepOutcome::Applied);
        self.wanted(LineKind::Undone, Some(name), said(&told));
        result
    }

    /// The verdict, once.
    fn end(&mut self, end: End, message: Option<&str>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.wanted(LineKind::End, None, json!({ "end": end, "message": message }));
        }
    }

    /// A line without which nothing may be done.
    fn required(
        &mut self,
        kind: LineKind,
        step: Option<&str>,
        data: serde_json::Value,
    ) -> Result<(), StepError> {
        let ledger = &self.cx.job.ledger;
        match self.journal.append(kind, step, data) {
            Ok(line) => ledger.push(line),
            // Once traffic has moved, its protection goes on, with the copies on the servers alone.
            Err((_, line)) if ledger.is_lenient() => ledger.push(line),
            Err((error, line)) => {
                // What follows is chained to it.
                ledger.push(line);
                return Err(StepError::failed(format!(
                    "the journal could not be written: {error}"
                )));
            }
        }
        Ok(())
    }

    /// A line that must not keep anything from being done.
    fn wanted(&mut self, kind: LineKind, step: Option<&str>, data: serde_json::Value) {
        let line = match self.journal.append(kind, step, data) {
            Ok(line) => line,
            Err((error, line)) => {
                self.cx.job.sink.emit(Kind::Warning {
                    message: format!("the journal could not be written: {error}; the line is {line}"),
                });
                line
            }
        };
        self.cx.job.ledger.push(line);
    }
}

/// Ends that leave the lock where it is: somebody has to finish or to take back.
fn keeps_lock(end: End) -> bool {
    matches!(end, End::InDoubt | End::Split | End::Stuck | End::Interrupted)
}

fn said(result: &Result<StepOutcome, StepError>) -> serde_json::Value {
    match result {
        Ok(outcome) => json!({ "result": outcome }),
        Err(error) => {
            json!({ "result": if error.in_doubt { "in_doubt" } else { "not_done" }, "message": error.message })
        }
    }
}

/// Lets a step act, but once the user wants it to stop, for [`GRACE`] only.
async fn until_stopped<T>(
    mut stop: Stop,
    name: &str,
    act: impl Future<Output = Result<T, StepError>>,
) -> Result<T, StepError> {
    let stopped = async {
        if stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody can stop it any more.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        result = act => result,
        () = stopped => Err(StepError {
            in_doubt: true,
            ..StepError::failed(format!("stopped by the user during {name}, which may go on on the servers")).ending(End::Interrupted)
        }),
    }
}
