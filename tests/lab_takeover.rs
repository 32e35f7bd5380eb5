//! Runs that are killed at each point of their journal, and finished or undone from another directory without any
//! local state, while requests go through every router.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::load::Load;
use support::{Pointsman, Running, lab, lost, reset, routers};

/// Requests a second over all routers.
const RATE: u32 = 300;

/// One kill: what runs, after how many journal lines it is killed, and what ends it.
struct Kill {
    command: Vec<String>,
    lines: usize,
    end: &'static str,
}

/// What is hot by the routers' own word, and whether the lock is free.
fn state() -> (String, bool) {
    let fresh = Pointsman::new("two-pools");
    let text = fresh.expect(&["status"], 0).stdout();
    let hot = text
        .lines()
        .next()
        .unwrap()
        .split(' ')
        .rev()
        .nth(2)
        .unwrap()
        .to_owned();
    (hot, text.contains("lock: free"))
}

fn other(pool: &str) -> String {
    if pool == "blue" { "green" } else { "blue" }.to_owned()
}

/// Kills a run and ends it from elsewhere; says how long the end took, and whether the run had been killed at all.
fn kill(kill: &Kill) -> Option<Duration> {
    let (hot, _) = state();
    let args: Vec<&str> = kill.command.iter().map(String::as_str).collect();
    let running = Running::start("two-pools", &args);
    let what = format!(
        "{} killed after {} lines, then {}",
        kill.command.join(" "),
        kill.lines,
        kill.end
    );
    let Some(journal) = running.kill_after_lines(kill.lines) else {
        println!("{what}: it had ended before");
        return None;
    };
    let settled = journal.contains("point_of_no_return");
    let flips = !args.contains(&"--no-flip");
    let fresh = Pointsman::new("two-pools");
    let since = Instant::now();
    let ran = fresh.run(&[kill.end, &running.run(&journal)]);
    let mut took = since.elapsed();
    if kill.end == "abort" && ran.code() == 50 {
        assert!(
            ran.text().contains("point of no return"),
            "{what}: {}",
            ran.text()
        );
        let since = Instant::now();
        fresh.expect(&["resume", &running.run(&journal)], 0);
        took = since.elapsed();
    } else {
        assert_eq!(ran.code(), 0, "{what}:\n{}\n{journal}", ran.text());
    }
    let (now, free) = state();
    assert!(free, "{what}: the lock is still held");
    // A run that had not taken the lock yet is not there: nothing was changed, and nothing is to be finished.
    let unfinished = !ran.text().contains("nothing to do");
    // What had settled cannot be undone; it may have settled in the instant before the kill.
    match (kill.end, unfinished && flips) {
        ("resume", true) => assert_eq!(now, other(&hot), "{what}:\n{}", ran.text()),
        ("abort", true) if !settled && ran.code() == 0 => assert_eq!(now, hot, "{what}:\n{}", ran.text()),
        _ => {}
    }
    println!("{what}: {} ms", took.as_millis());
    Some(took)
}

fn campaign(name: &str, kills: Vec<Kill>) {
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let mut slowest = BTreeMap::<&str, Duration>::new();
    let mut count = 0;
    for one in &kills {
        if let Some(took) = kill(one) {
            count += 1;
            let slow = slowest.entry(one.end).or_default();
            *slow = (*slow).max(took);
        }
    }
    let shots = load.stop();
    let gone = lost(&shots);
    println!(
        "{name}: {count} kills of {} tries, {} requests, {} lost, slowest {slowest:?}",
        kills.len(),
        shots.len(),
        gone.len()
    );
    assert!(gone.is_empty(), "{:?}", &gone[..gone.len().min(10)]);
    assert!(count * 2 >= kills.len(), "too few of the kills met a living run");
}

fn long() -> bool {
    lab();
    std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long")
}

fn ready(tags: &[&str]) {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    for tag in tags {
        pointsman.expect(&["deploy", tag], 0);
    }
}

/// Every point of a flip and of a rollback: they need nothing but the routers, so each ends within 10 s.
#[test]
fn flips_and_rollbacks_killed_at_every_point() {
    ready(&["v1", "v2"]);
    let rounds = if long() { 8 } else { 1 };
    let mut kills = Vec::new();
    for _ in 0..rounds {
        for lines in 1..=9 {
            let both = [("rollback", "resume"), ("flip", "abort")];
            // In the short run each point is met once, by one of the two.
            for (command, end) in both
                .into_iter()
                .skip(if long() { 0 } else { lines % 2 })
                .take(if long() { 2 } else { 1 })
            {
                kills.push(Kill {
                    command: vec![command.to_owned()],
                    lines,
                    end,
                });
            }
        }
    }
    campaign("flips and rollbacks", kills);
}

/// Every point of a deploy in the long run, some of each kind in the other.
#[test]
fn deploys_killed_at_every_point() {
    ready(&["v1"]);
    let points: Vec<usize> = if long() {
        (1..=27).collect()
    } else {
        vec![3, 6, 10, 14, 17, 19]
    };
    let mut kills = Vec::new();
    for (number, lines) in points.into_iter().enumerate() {
        let ends: &[&'static str] = match (long(), number % 2) {
            (true, _) => &["resume", "abort"],
            (false, 0) => &["resume"],
            (false, _) => &["abort"],
        };
        for end in ends {
            kills.push(Kill {
                command: vec![
                    "deploy".to_owned(),
                    if kills.len() % 2 == 0 { "v2" } else { "v3" }.to_owned(),
                ],
                lines,
                end,
            });
        }
    }
    campaign("deploys", kills);
}

/// A run that is only stopped is overtaken, and when it goes on it is fenced: exit 31, and nothing of it is done.
#[test]
fn a_run_that_slept_changes_nothing() {
    ready(&["v1", "v2"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let (hot, _) = state();
    let running = Running::start("two-pools", &["deploy", "v3"]);
    let journal = running.stop_after_lines(6).expect("it was still at work");
    let run = running.run(&journal);
    // Somebody who did not name it, and does not wait, stays out.
    Pointsman::new("two-pools")
        .expect(&["rollback"], 30)
        .says(&[&run, "resume"]);
    Pointsman::new("two-pools").expect(&["deploy", "v1", "--steal", &run], 0);
    let epoch = |text: String| text.split("epoch ").nth(1).unwrap().trim().to_owned();
    let before = Pointsman::new("two-pools")
        .expect(&["lock", "status"], 0)
        .stdout();
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    let after = Pointsman::new("two-pools")
        .expect(&["lock", "status"], 0)
        .stdout();
    assert_eq!(epoch(before), epoch(after));
    assert_eq!(state(), (other(&hot), true));
    let gone = lost(&load.stop());
    assert!(gone.is_empty(), "{gone:?}");
}

/// Ctrl-C: no new mutation, out within 5 s, with the command that goes on.
#[test]
fn an_interrupted_deploy_can_be_resumed_or_aborted() {
    ready(&["v1"]);
    for (lines, end) in [(4, "resume"), (8, "abort"), (12, "resume")] {
        let running = Running::start("two-pools", &["deploy", "v2"]);
        let journal = running.wait_for_lines(lines).expect("it was still at work");
        let run = running.run(&journal);
        let since = Instant::now();
        running.signal("INT");
        let (code, text) = running.wait();
        let took = since.elapsed();
        assert_eq!(code, 130, "{text}");
        assert!(took < Duration::from_secs(5), "it took {took:?}");
        assert!(text.contains(&format!("resume {run}")), "{text}");
        println!("out {} ms after SIGINT at line {lines}", took.as_millis());
        Pointsman::new("two-pools").expect(&[end, &run], 0);
        assert!(state().1, "the lock is still held");
    }
}
