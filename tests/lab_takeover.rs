//! Runs that are killed at each point of their journal, and finished or undone from another directory without any
//! local state, while requests go through every router.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::{Duration, Instant, SystemTime};

use support::kills::{Kill, campaign};
use support::load::Load;
use support::outside::{Dice, Outside};
use support::{Pointsman, Running, lab, lost, reset, routers};

/// Requests a second over all routers.
const RATE: u32 = 300;

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

/// Where kills fall between two lines is drawn; `POINTSMAN_SEED` plays the same again.
fn dice() -> Dice {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    let seed = std::env::var("POINTSMAN_SEED").map_or(now, |seed| seed.parse().unwrap());
    println!("POINTSMAN_SEED={seed}");
    Dice::new(seed)
}

/// Lines of the journal of a flip, and of a deploy.
const FLIP: usize = 11;
const DEPLOY: usize = 27;
/// Long enough to reach past the pause between most two lines of a flip, and of a deploy.
const FLIP_GAP: u64 = 150;
const DEPLOY_GAP: u64 = 1500;
/// One in so many is ended without its name, which takes 15 s of silence more.
const UNNAMED: usize = 15;

/// Every point of a flip and of a rollback: they need nothing but the routers, so each ends within 10 s. In the long
/// run each point is met by each command and each end, on the line and between two lines.
#[test]
fn flips_and_rollbacks_killed_at_every_point() {
    ready(&["v1", "v2"]);
    let mut dice = dice();
    let pairs = [
        ("rollback", "resume"),
        ("flip", "abort"),
        ("flip", "resume"),
        ("rollback", "abort"),
    ];
    let mut kills: Vec<Kill> = Vec::new();
    // A quarter of the runs has ended before its kill comes: five rounds and the deploys make more than 200 that do.
    for round in 0..if long() { 5 } else { 1 } {
        for lines in 1..=FLIP {
            for (number, (command, end)) in pairs.into_iter().enumerate() {
                // In the short run each point is met once.
                if long() || number == lines % 4 {
                    let late = if round == 0 { 0 } else { dice.below(FLIP_GAP) };
                    kills.push(Kill {
                        command: vec![command.to_owned()],
                        lines,
                        late: Duration::from_millis(late),
                        end,
                        named: kills.len() % UNNAMED != UNNAMED / 2,
                    });
                }
            }
        }
    }
    campaign("flips and rollbacks", &kills);
}

/// Every point of a deploy in the long run, some of each kind in the other.
#[test]
fn deploys_killed_at_every_point() {
    ready(&["v1"]);
    let mut dice = dice();
    let points: Vec<usize> = if long() {
        (1..=DEPLOY).collect()
    } else {
        vec![3, 6, 10, 14, 17, 19]
    };
    let mut kills: Vec<Kill> = Vec::new();
    for (number, lines) in points.into_iter().enumerate() {
        let ends: &[&'static str] = match (long(), number % 2) {
            (true, _) => &["resume", "abort"],
            (false, 0) => &["resume"],
            (false, _) => &["abort"],
        };
        for (which, end) in ends.iter().enumerate() {
            // One of the two falls on the line, the other after it.
            let late = if (which + number) % 2 == 0 {
                0
            } else {
                dice.below(DEPLOY_GAP)
            };
            kills.push(Kill {
                command: vec![
                    "deploy".to_owned(),
                    if kills.len().is_multiple_of(2) { "v2" } else { "v3" }.to_owned(),
                ],
                lines,
                late: Duration::from_millis(late),
                end,
                named: kills.len() % UNNAMED != UNNAMED / 2,
            });
        }
    }
    campaign("deploys", &kills);
}

/// A run that is only stopped is overtaken, and when it goes on it is fenced: exit 31, and nothing of it is done.
#[test]
fn a_run_that_slept_changes_nothing() {
    ready(&["v1", "v2"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let outside = Outside::new();
    let hot = outside.hot().unwrap();
    let running = Running::start("two-pools", &["deploy", "v3"]);
    let journal = running.stop_after_lines(6).expect("it was still at work");
    let run = running.run(&journal);
    // Somebody who did not name it, and does not wait, stays out.
    Pointsman::new("two-pools")
        .expect(&["rollback"], 30)
        .says(&[&run, "resume"]);
    Pointsman::new("two-pools").expect(&["deploy", "v1", "--steal", &run], 0);
    let before = outside.routers();
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    assert_eq!(before, outside.routers());
    assert_ne!(outside.hot().unwrap(), hot);
    let gone = lost(&load.stop());
    assert!(gone.is_empty(), "{gone:?}");
}

/// Ctrl-C: no new mutation, out within 5 s, with the command that goes on.
#[test]
fn an_interrupted_deploy_can_be_resumed_or_aborted() {
    ready(&["v1"]);
    let outside = Outside::new();
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
        assert_eq!(outside.holder(), "", "the lock is still held");
    }
}
