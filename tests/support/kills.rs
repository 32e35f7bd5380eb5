//! Runs that are killed, and ended from another directory without any local state; judged from outside.
#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::load::Load;
use super::outside::Outside;
use super::{Pointsman, Running, lost, routers};

/// Requests a second over all routers.
const RATE: u32 = 100;
/// What needs no pull and no boot is ended within this; on a machine that others use as well, within so many times what
/// the slowest plain flip took meanwhile.
const AT_MOST: Duration = Duration::from_secs(10);
const TIMES: u32 = 3;
/// A plain flip is measured before every so many kills.
const MEASURED: usize = 15;

/// One kill: what runs, after how many journal lines it is killed and how long after the last of them, and what ends
/// it.
pub struct Kill {
    pub command: Vec<String>,
    pub lines: usize,
    pub late: Duration,
    pub end: &'static str,
    /// Whether the run is named to what ends it; where it is not, it has to be silent for a while first.
    pub named: bool,
}

/// What came of one kill.
struct Killed {
    /// Command, end, and whether the run was named.
    kind: String,
    took: Duration,
    /// Whether ending it needs neither a pull nor a boot, nor a wait for silence.
    quick: bool,
}

fn other(pool: &str) -> String {
    if pool == "blue" { "green" } else { "blue" }.to_owned()
}

/// Kills a run and ends it from elsewhere; nothing where it had ended by itself.
fn kill(outside: &Outside, kill: &Kill) -> Option<Killed> {
    let what = format!(
        "{} killed {} ms after line {}, then {}{}",
        kill.command.join(" "),
        kill.late.as_millis(),
        kill.lines,
        kill.end,
        if kill.named { " RUN" } else { "" }
    );
    let hot = outside
        .hot()
        .unwrap_or_else(|words| panic!("before {what}: {words}"));
    let args: Vec<&str> = kill.command.iter().map(String::as_str).collect();
    let running = Running::start("two-pools", &args);
    let Some(journal) = running.kill_after(kill.lines, kill.late) else {
        println!("{what}: it had ended before");
        return None;
    };
    let run = running.run(&journal);
    let settled = journal.contains("point_of_no_return");
    let flips = !args.contains(&"--no-flip");
    let ended = journal.contains("\"kind\":\"end\"");
    let held = outside.router("lb1").holder == run;
    // The line of a claim stands in the journal before any router has it.
    let claimed = outside.routers().iter().any(|router| !router.claims.is_empty());
    let end = |verb: &str| {
        let fresh = Pointsman::new("two-pools");
        let since = Instant::now();
        let ran = fresh.run(&if kill.named { vec![verb, &run] } else { vec![verb] });
        (ran, since.elapsed())
    };
    let (mut ran, mut took) = end(kill.end);
    let refused = kill.end == "abort" && ran.code() == 50;
    if refused {
        assert!(settled, "{what}: {}", ran.text());
        ran.says(&["point of no return"]);
        (ran, took) = end("resume");
    }
    assert_eq!(ran.code(), 0, "{what}:\n{}\n{journal}", ran.text());
    let now = outside.hot().unwrap_or_else(|words| panic!("{what}: {words}"));
    // A run that had not taken the lock yet, or had given it back, is not there: nothing is left to be ended.
    let gone = ran.text().contains("nothing to do");
    assert!(
        !held || !gone || ended,
        "{what}: it held the lock\n{}",
        ran.text()
    );
    for router in outside.routers() {
        // The first router decides; what a dying unlock left on another keeps nobody out.
        let free = router.holder.is_empty() || router.name != "lb1" && gone && ended;
        assert!(
            free && router.claims.is_empty(),
            "{what}: {router:?}\n{}",
            ran.text()
        );
    }
    let moved = flips
        && if gone {
            ended
        } else {
            kill.end == "resume" || refused
        };
    let expected = if moved { other(&hot) } else { hot.clone() };
    assert_eq!(now, expected, "{what}: wrong end\n{}\n{journal}", ran.text());
    // What was aborted left nothing behind in the pool that it had begun to change, unless that was proven and traffic
    // had moved to it: a pool that requests may still be in progress in is never taken away.
    let back = ran.text().contains("moves traffic to");
    let changed = (claimed || journal.contains("\"kind\":\"outcome\",\"step\":\"claim\"")) && !back;
    if kill.end == "abort" && !moved && !gone && changed {
        for host in Outside::hosts(&other(&hot)) {
            let left = outside.containers(host);
            assert!(
                left == 0,
                "{what}: {left} containers are left on {host}\n{}",
                ran.text()
            );
        }
    }
    println!("{what}: {} ms", took.as_millis());
    let proven = journal.contains("\"kind\":\"intent\",\"step\":\"flip\"");
    Some(Killed {
        kind: format!(
            "{} {}{}",
            args[0],
            kill.end,
            if kill.named { "" } else { " (unnamed)" }
        ),
        took,
        quick: kill.named && (args[0] != "deploy" || kill.end == "abort" || proven),
    })
}

/// What a flip takes that nobody kills, or its refusal where there is nothing to flip to.
fn plain_flip() -> Duration {
    let since = Instant::now();
    let ran = Pointsman::new("two-pools").run(&["flip"]);
    assert!(matches!(ran.code(), 0 | 50), "{}", ran.text());
    since.elapsed()
}

/// Makes all of these kills under load; prints the figures, and asserts that nothing was lost.
pub fn campaign(name: &str, kills: &[Kill]) {
    let since = Instant::now();
    let outside = Outside::new();
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let mut slowest = BTreeMap::<String, (Duration, usize)>::new();
    let (mut count, mut slow, mut plain) = (0, Vec::new(), Duration::ZERO);
    for (number, one) in kills.iter().enumerate() {
        if number % MEASURED == 0 {
            plain = plain.max(plain_flip());
        }
        let Some(killed) = kill(&outside, one) else {
            continue;
        };
        count += 1;
        if killed.quick && killed.took > AT_MOST {
            slow.push(killed.took);
        }
        let kind = if killed.quick {
            killed.kind
        } else {
            format!("{} with pull, boot or wait", killed.kind)
        };
        let entry = slowest.entry(kind).or_default();
        *entry = (entry.0.max(killed.took), entry.1 + 1);
    }
    let shots = load.stop();
    let gone = lost(&shots);
    println!(
        "{name}: {count} kills of {} tries in {:?}, {} requests, {} lost, 0 wrong ends; slowest plain flip {plain:?}; \
         over {AT_MOST:?}: {slow:?}",
        kills.len(),
        since.elapsed(),
        shots.len(),
        gone.len()
    );
    for (kind, (took, count)) in slowest {
        println!("{name}: {kind}: {count} times, slowest {} ms", took.as_millis());
    }
    assert!(gone.is_empty(), "{:?}", &gone[..gone.len().min(10)]);
    let bar = AT_MOST.max(plain * TIMES);
    assert!(
        slow.iter().all(|took| *took <= bar),
        "slower than {bar:?}: {slow:?}"
    );
    assert!(count * 2 >= kills.len(), "too few of the kills met a living run");
}
