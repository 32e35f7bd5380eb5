use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PLAN: [&str; 8] = [
    "fence", "claim", "stage", "start", "prove", "flip", "verify", "unlock",
];

fn line(seq: u64, kind: LineKind, step: &str, data: Value) -> Line {
    Line {
        v: 2,
        run: "r1".into(),
        seq,
        at: Timestamp::UNIX_EPOCH,
        epoch: 7,
        kind,
        step: (!step.is_empty()).then(|| step.to_owned()),
        data,
        chain: String::new(),
    }
}

/// Lines from `(kind, step, word)`; the word is the result or the end.
fn lines(rows: &[(LineKind, &str, &str)]) -> Vec<Line> {
    let steps: Vec<Value> = PLAN.iter().map(|name| json!({ "action": name })).collect();
    let first = line(0, LineKind::Run, "", json!({ "steps": steps }));
    let rest = rows
        .iter()
        .zip(1..)
        .map(|((kind, step, word), seq)| line(seq, *kind, step, json!({ "result": word, "end": word })));
    std::iter::once(first).chain(rest).collect()
}

use LineKind::{End, Intent, Outcome, PointOfNoReturn, Undo, Undone};

/// A deploy whose flip goes wrong and is taken back.
fn rolled_back() -> Vec<Line> {
    let mut rows = Vec::new();
    for step in &PLAN[..5] {
        rows.push((Intent, *step, ""));
        rows.push((Outcome, *step, "applied"));
    }
    rows.extend([
        (Intent, "flip", ""),
        (Outcome, "flip", "in_doubt"),
        (Undo, "flip", ""),
        (Undone, "flip", "applied"),
        (End, "", "rolled_back"),
        (Undo, "fence", ""),
        (Undone, "fence", "applied"),
    ]);
    lines(&rows)
}

#[test]
fn every_beginning_of_a_journal_folds() {
    let all = rolled_back();
    for upto in 1..=all.len() {
        let progress = fold(&all[..upto]).expect("what the dispatcher wrote");
        assert_eq!(progress.is_over(), upto > all.len() - 3, "after {upto} lines");
    }
    let progress = fold(&all).expect("whole");
    assert_eq!(progress.end.as_deref(), Some("rolled_back"));
    assert_eq!(progress.entered[5].verdict, Verdict::InDoubt);
    assert_eq!(progress.entered[5].undo, Some(Verdict::Done));
}

#[test]
fn an_interrupted_run_is_not_over() {
    let progress = fold(&lines(&[(Intent, "fence", ""), (End, "", "interrupted")])).expect("legal");
    assert!(!progress.is_over());
    assert_eq!(progress.phase(), Some("fence"));
}

#[test]
fn what_no_dispatcher_writes_is_refused() {
    let refused = |rows: &[(LineKind, &str, &str)]| fold(&lines(rows)).expect_err("illegal").problem;
    assert!(refused(&[(Intent, "claim", "")]).contains("expected the intent of Some(\"fence\")"));
    assert!(refused(&[(Outcome, "fence", "applied")]).contains("an outcome"));
    let failed = [
        (Intent, "fence", ""),
        (Outcome, "fence", "not_done"),
        (Intent, "claim", ""),
    ];
    assert!(refused(&failed).contains("after a step that was not done"));
    let open = [(Intent, "fence", ""), (Intent, "claim", "")];
    assert!(refused(&open).contains("after a step that was not done"));
    let late = [
        (Intent, "fence", ""),
        (Outcome, "fence", "applied"),
        (PointOfNoReturn, "", ""),
        (Undo, "fence", ""),
    ];
    assert!(refused(&late).contains("after the point of no return"));
    assert!(refused(&[(End, "", "done"), (Intent, "fence", "")]).contains("after the run's end"));
    assert!(refused(&[(Intent, "fence", ""), (Undone, "fence", "applied")]).contains("the end of an undo"));
    assert!(fold(&[]).is_err());
}

#[test]
fn a_journal_of_format_1_is_read() {
    let mut old = lines(&[
        (Intent, "fence", ""),
        (Outcome, "fence", "applied"),
        (Outcome, "", "failed"),
        (Undo, "fence", ""),
        (End, "", "failed"),
    ]);
    for line in &mut old {
        line.v = 1;
    }
    let progress = fold(&old).expect("read");
    assert_eq!(progress.end.as_deref(), Some("failed"));
}

proptest! {
    /// Total: whatever the order and the words, the answer is a progress or a refusal.
    #[test]
    fn any_lines_fold_or_are_refused(picks in prop::collection::vec((0usize..7, 0usize..10, 0usize..6), 0..30)) {
        let kinds = [LineKind::Run, Intent, Outcome, PointOfNoReturn, Undo, Undone, End];
        let words = ["applied", "not_done", "in_doubt", "", "failed", "done"];
        let steps = ["", "fence", "claim", "stage", "start", "prove", "flip", "verify", "unlock", "other"];
        let rows: Vec<_> = picks.iter().map(|(k, s, w)| (kinds[*k], steps[*s], words[*w])).collect();
        let _ = fold(&lines(&rows));
    }

    /// A line taken out, or swapped with the next, is never taken for a whole journal of the same end.
    #[test]
    fn a_missing_step_is_refused(at in 1usize..11) {
        let mut all = rolled_back();
        all.remove(at);
        prop_assert!(fold(&all).is_err());
    }
}
