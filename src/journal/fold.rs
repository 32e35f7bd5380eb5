//! What a journal says of its run: one pure, total function from lines to progress. It refuses what no
//! dispatcher writes, so that nobody resumes on a misread journal.

use serde::Deserialize;

use super::line::{Line, LineKind};

/// How a step ended, by the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No outcome was written: it may have had its effect, or may still.
    Unknown,
    /// It was done.
    Done,
    /// It had no effect.
    NotDone,
    /// It may have had its effect, or may still.
    InDoubt,
}

/// A step whose intent was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Its name.
    pub step: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether its undo was begun, and how that ended.
    pub undo: Option<Verdict>,
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The run.
    pub run: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its plan, as it was written.
    pub plan: serde_json::Value,
    /// The steps that it entered, in order.
    pub entered: Vec<Entered>,
    /// Whether it passed the point of no return.
    pub settled: bool,
    /// Its verdict (`done`, `failed`, ...), once it has one.
    pub end: Option<String>,
}

impl Progress {
    /// Whether the run has ended with nothing left to finish or to take back.
    pub fn is_over(&self) -> bool {
        self.end
            .as_deref()
            .is_some_and(|end| !matches!(end, "in_doubt" | "split" | "stuck" | "interrupted"))
    }

    /// The last step that was begun: the phase that the run is, or was, in.
    pub fn phase(&self) -> Option<&str> {
        let undoing = self.entered.iter().find(|entered| entered.undo.is_some());
        undoing
            .or(self.entered.last())
            .map(|entered| entered.step.as_str())
    }
}

/// What no dispatcher writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct FoldError {
    /// Number of the line, from 0.
    pub line: u64,
    /// What was expected and found.
    pub problem: String,
}

/// What of a plan the fold needs.
#[derive(Deserialize)]
struct Outline {
    steps: Vec<OutlineStep>,
}

#[derive(Deserialize)]
struct OutlineStep {
    action: String,
}

/// Folds the lines of one run.
///
/// # Errors
/// [`FoldError`] at the first line that no dispatcher writes there.
pub fn fold(lines: &[Line]) -> Result<Progress, FoldError> {
    let Some((first, rest)) = lines.split_first() else {
        return Err(FoldError {
            line: 0,
            problem: "expected a line, found an empty journal".to_owned(),
        });
    };
    let refuse = |line: &Line, problem: String| FoldError {
        line: line.seq,
        problem,
    };
    if first.kind != LineKind::Run {
        return Err(refuse(
            first,
            format!("expected the run's plan, found {:?}", first.kind),
        ));
    }
    let outline: Outline = serde_json::from_value(first.data.clone())
        .map_err(|error| refuse(first, format!("expected a plan: {error}")))?;
    let planned: Vec<&str> = outline.steps.iter().map(|step| step.action.as_str()).collect();
    let mut progress = Progress {
        run: first.run.clone(),
        epoch: first.epoch,
        plan: first.data.clone(),
        entered: Vec::new(),
        settled: false,
        end: None,
    };
    for line in rest {
        if line.run != progress.run || line.epoch != progress.epoch {
            let problem = format!(
                "expected run {} at epoch {}, found {} at {}",
                progress.run, progress.epoch, line.run, line.epoch
            );
            return Err(refuse(line, problem));
        }
        progress = next(progress, line, &planned).map_err(|problem| refuse(line, problem))?;
    }
    Ok(progress)
}

/// The progress after one more line.
fn next(mut progress: Progress, line: &Line, planned: &[&str]) -> Result<Progress, String> {
    let undoing = progress.entered.iter().any(|entered| entered.undo.is_some());
    let step = line.step.as_deref().unwrap_or_default();
    let ended = progress.end.is_some();
    let last = progress.entered.last();
    let may_go_on = last.is_none_or(|last| last.verdict == Verdict::Done || last.step == "prune");
    match line.kind {
        LineKind::Run => return Err("a second plan".to_owned()),
        LineKind::Intent => {
            let expected = planned.get(progress.entered.len()).copied();
            if expected != Some(&normal(step)) {
                return Err(format!("expected the intent of {expected:?}, found {step:?}"));
            }
            if undoing || !may_go_on {
                return Err(format!("{step} was begun after a step that was not done"));
            }
            if ended && step != "unlock" {
                return Err(format!("{step} was begun after the run's end"));
            }
            progress.entered.push(Entered {
                step: step.to_owned(),
                verdict: Verdict::Unknown,
                undo: None,
            });
        }
        // Format 1 told the run's end in an outcome of no step, before the lock was given back.
        LineKind::Outcome if step.is_empty() => progress.end = end_of(line)?,
        LineKind::Outcome => match progress.entered.last_mut() {
            Some(last) if last.step == step && last.verdict == Verdict::Unknown => {
                last.verdict = verdict_of(line)?;
            }
            other => return Err(format!("an outcome of {step:?}, while at {other:?}")),
        },
        LineKind::PointOfNoReturn => {
            if undoing || progress.settled || !may_go_on {
                return Err("a point of no return where there is none".to_owned());
            }
            progress.settled = true;
        }
        LineKind::Undo => {
            if progress.settled {
                return Err(format!("{step} was undone after the point of no return"));
            }
            let entered = progress.entered.iter_mut().find(|entered| entered.step == step);
            match entered {
                Some(entered) if entered.undo.is_none() => entered.undo = Some(Verdict::Unknown),
                other => return Err(format!("an undo of {step:?}, which is {other:?}")),
            }
        }
        LineKind::Undone => {
            let entered = progress.entered.iter_mut().find(|entered| entered.step == step);
            match entered {
                Some(entered) if entered.undo == Some(Verdict::Unknown) => {
                    entered.undo = Some(verdict_of(line)?);
                }
                other => return Err(format!("the end of an undo of {step:?}, which is {other:?}")),
            }
        }
        LineKind::End if ended && line.v >= 2 => return Err("a second end".to_owned()),
        LineKind::End => progress.end = end_of(line)?,
    }
    Ok(progress)
}

/// Steps are journaled by the name that people read, and planned by the name in plans.
fn normal(step: &str) -> String {
    step.replace('-', "_")
}

fn verdict_of(line: &Line) -> Result<Verdict, String> {
    match line.data.get("result").and_then(serde_json::Value::as_str) {
        Some("applied" | "already_done" | "taken_over") => Ok(Verdict::Done),
        Some("not_done") => Ok(Verdict::NotDone),
        Some("in_doubt") => Ok(Verdict::InDoubt),
        other => Err(format!("expected a result, found {other:?}")),
    }
}

fn end_of(line: &Line) -> Result<Option<String>, String> {
    match line.data.get("end").and_then(serde_json::Value::as_str) {
        Some(end) => Ok(Some(end.to_owned())),
        None => Err(format!("expected a verdict, found {}", line.data)),
    }
}

#[cfg(test)]
mod tests;
