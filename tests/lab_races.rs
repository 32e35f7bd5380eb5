//! Deploys that start at once: exactly one wins, and the others have touched nothing, by what the servers keep.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::Instant;

use support::load::Load;
use support::outside::{Outside, STATE};
use support::scene::{changed, none_lost};
use support::{Pointsman, Running, reset, routers};

/// Requests a second over all routers.
const RATE: u32 = 50;
/// Every server that pointsman writes on.
const SERVERS: [&str; 6] = ["lb1", "lb2", "web1", "web2", "web3", "web4"];

#[test]
fn two_deploys_at_once() {
    races(2);
}

#[test]
fn eight_deploys_at_once() {
    races(8);
}

fn races(runners: usize) {
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long");
    // One of eight is a minute; with two the second round flips.
    let rounds = match (long, runners) {
        (true, _) => 50,
        (false, 2) => 2,
        (false, _) => 1,
    };
    reset("two-pools");
    let first = Pointsman::new("two-pools");
    first.expect(&["deploy", "v1"], 0);
    first.expect(&["deploy", "v2", "--no-flip"], 0);
    // Migrating again and again would only make a round longer.
    let racing = changed(
        "races",
        &[(
            "common.toml",
            r#"command = ["bin/rails", "db:migrate"]"#,
            r#"command = ["true"]"#,
        )],
    );
    let outside = Outside::new();
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let since = Instant::now();
    let (mut by_look, mut by_set) = (0, 0);
    for round in 0..rounds {
        // What is staged already makes a short round; a whole deploy, with its flip, comes in between.
        let args: &[&str] = if round % 10 == 1 {
            &["--json", "deploy", "v3"]
        } else {
            &["--json", "deploy", "v2", "--no-flip"]
        };
        let (look, set) = race(&outside, &racing, runners, args);
        by_look += look;
        by_set += set;
        println!(
            "{runners} at once, round {round}: one won, {look} found the lock taken, {set} lost the race for it"
        );
    }
    let took = since.elapsed();
    none_lost(&format!("{runners} at once"), &load.stop());
    println!(
        "{runners} at once: {rounds} rounds in {took:?}, one winner each; of the losers {by_look} found the lock taken, \
         {by_set} lost the compare-and-set; no trace of any of them"
    );
    // One that only looks too late proves nothing of the race itself. Seen with the guard's comparison of `EXPECT`
    // taken out as well: see docs/faults.md, row 14.
    assert!(by_set > 0 || !long, "nobody came as far as the compare-and-set");
}

/// One round; how many losers found the lock taken when they looked, and how many lost it after they had planned.
fn race(outside: &Outside, racing: &Pointsman, runners: usize, args: &[&str]) -> (usize, usize) {
    let hot = outside.hot().unwrap();
    let epochs = outside.routers().map(|router| router.epoch);
    let standing = records(outside, &hot);
    let runs: Vec<Running> = (0..runners).map(|_| Running::of(racing, args)).collect();
    let ends: Vec<(String, i32, String)> = runs
        .iter()
        .map(|running| {
            let (code, text) = running.wait();
            let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            (first["run"].as_str().unwrap().to_owned(), code, text)
        })
        .collect();
    let (won, lost): (Vec<_>, Vec<_>) = ends.iter().partition(|(_, code, _)| *code == 0);
    assert_eq!(won.len(), 1, "{ends:#?}");
    let mut by_set = 0;
    for (run, code, text) in &lost {
        assert_eq!(*code, 30, "{run}:\n{text}");
        by_set += usize::from(text.contains("\"event\":\"planned\""));
    }
    let names: Vec<&str> = lost.iter().map(|(run, ..)| run.as_str()).collect();
    let pattern: String = names.iter().map(|run| format!(" -e {run}")).collect();
    for server in SERVERS {
        let seen = outside.ask(
            server,
            &format!(
                "cd {STATE} && {{ grep -rlF{pattern} .; find . | grep -F{pattern}; \
                 command -v docker >/dev/null && docker ps -a --format '{{{{.Names}}}} {{{{.Labels}}}}' | grep -F{pattern}; }}"
            ),
        );
        assert_eq!(seen, "", "a loser left a trace on {server}");
        // The control of that look: the winner's trace is found.
        let winner = &won[0].0;
        let found = outside.ask(server, &format!("cd {STATE} && find . | grep -cF -e {winner}"));
        let changed = server.starts_with("lb") || !Outside::hosts(&hot).contains(&server);
        assert_eq!(found != "0", changed, "the winner's trace on {server}: {found}");
    }
    for (router, before) in outside.routers().iter().zip(epochs) {
        assert_eq!(
            router.epoch,
            before + 1,
            "only the winner takes an epoch: {router:?}"
        );
        assert!(router.holder.is_empty() && router.claims.is_empty(), "{router:?}");
    }
    assert_eq!(standing, records(outside, &hot), "the hosts of the hot pool");
    assert_eq!(outside.hot().unwrap() != hot, !args.contains(&"--no-flip"));
    (lost.len() - by_set, by_set)
}

/// Everything that pointsman keeps on the hosts of a pool.
fn records(outside: &Outside, pool: &str) -> Vec<String> {
    let sums = format!("cd {STATE} && find . -type f -exec sha256sum {{}} + | sort");
    Outside::hosts(pool).map(|host| outside.ask(host, &sums)).into()
}
