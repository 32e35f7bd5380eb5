//! Replies of a router's sshd that vanish on their way, from some instant after the flip's intent on: whatever the run
//! says is so, by what the routers really do, and one command ends it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::load::Load;
use support::outside::{Outside, STATE, Shell};
use support::scene::{SOON, none_lost};
use support::{Pointsman, Running, reset, routers};

/// Requests a second over all routers.
const RATE: u32 = 80;
/// Replies begin to vanish within this after the flip's intent was written: mostly while routers prepare.
const SPREAD: Duration = Duration::from_millis(500);
/// And within this after a router stands ready and waits for the word: about the word and its answer.
const WORD: Duration = Duration::from_millis(60);
/// How long the network stays like that: shorter than any timeout, past the wait for the flip's answer, and past all.
const HEALS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(7),
    Duration::from_secs(20),
];
/// What vanishes.
const RULE: &str = "OUTPUT -p tcp --sport 22 -m comment --comment lab:lost-replies -j DROP";

#[test]
fn replies_lost_at_the_flip() {
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long");
    let delays: u32 = if long { 50 } else { 4 };
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    let outside = Outside::new();
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let mut verdicts = BTreeMap::<i32, u32>::new();
    let (mut fired, mut ended, mut number) = (0, 0, 0);
    let since = Instant::now();
    for router in ["lb1", "lb2"] {
        for step in 0..delays {
            number += 1;
            let ready = number % 3 != 0;
            let one = Try {
                router,
                ready,
                delay: if ready { WORD } else { SPREAD } * step / delays,
                heal: HEALS[number / 2 % 3],
                command: ["rollback", "flip"][number % 2],
                end: ["resume", "abort"][number / 3 % 2],
            };
            let (code, dropped, unfinished) = one.go(&outside);
            *verdicts.entry(code).or_default() += 1;
            fired += u32::from(dropped > 0);
            ended += u32::from(unfinished);
        }
    }
    let took = since.elapsed();
    none_lost("lost replies", &load.stop());
    println!(
        "lost replies: {number} tries in {took:?}, {fired} of them dropped packets; exit codes {verdicts:?}, each as the \
         routers were; {ended} were unfinished, and ended by one command"
    );
    assert!(fired * 2 > delays, "the fault hardly ever fired: {fired} times");
}

/// One flip, one router whose replies vanish.
struct Try {
    router: &'static str,
    /// Whether its guard must stand ready first.
    ready: bool,
    delay: Duration,
    heal: Duration,
    command: &'static str,
    end: &'static str,
}

impl Try {
    /// Exit code, dropped packets, and whether the run was unfinished.
    fn go(&self, outside: &Outside) -> (i32, u64, bool) {
        let what = format!(
            "{}, replies of {} vanish {} ms after {} for {:?}",
            self.command,
            self.router,
            self.delay.as_millis(),
            if self.ready {
                "it stands ready"
            } else {
                "the intent"
            },
            self.heal
        );
        let old = outside
            .hot()
            .unwrap_or_else(|words| panic!("before {what}: {words}"));
        let new = if old == "blue" { "green" } else { "blue" };
        let mut shell = Shell::in_network(self.router);
        let running = Running::start("two-pools", &[self.command]);
        let journal = running
            .wait_for_line("\"kind\":\"intent\",\"step\":\"flip\"")
            .expect("it came to the flip");
        let run = running.run(&journal);
        if self.ready {
            let stage = format!("cat {STATE}/runs/{run}/flip.stage 2>/dev/null");
            let end = Instant::now() + SOON;
            // Each look takes about a millisecond of its own.
            while ["", "preparing"].contains(&&*outside.ask(self.router, &stage)) {
                assert!(Instant::now() < end, "{what}: it never stood ready");
            }
        }
        std::thread::sleep(self.delay); // the instant is what is chosen here
        shell.ask(&format!("iptables -w -I {RULE}"));
        let heal = self.heal;
        let healing = std::thread::spawn(move || {
            std::thread::sleep(heal); // how long it lasts is what is chosen here
            let count = "iptables -w -nvxL OUTPUT | awk '/lab:lost-replies/ { n += $1 } END { print n + 0 }'";
            let dropped: u64 = shell.ask(count).parse().unwrap();
            shell.ask(&format!("iptables -w -D {RULE}"));
            dropped
        });
        let (code, text) = running.wait();
        let is_now = outside.hot();
        let routers = outside.routers();
        let words = format!("{what}: exit {code}, found {is_now:?}, {routers:?}\n{text}");
        let stuck =
            code == 60 && text.contains("the release is in place, but the lock could not be given back");
        match code {
            0 => assert_eq!(is_now.as_deref(), Ok(new), "{words}"),
            10 | 11 => assert_eq!(is_now.as_deref(), Ok(&*old), "{words}"),
            20 => assert!(text.contains(self.router) && text.contains("doubt"), "{words}"),
            21 => assert_ne!(routers[0].live, routers[1].live, "{words}"),
            60 if stuck => assert_eq!(is_now.as_deref(), Ok(new), "{words}"),
            _ => panic!("no such verdict: {words}"),
        }
        // What is said of a router is so.
        for line in text.lines() {
            for router in &routers {
                let said = line.strip_prefix(&format!("{}: routes to ", router.name));
                if let Some(pool) = said.and_then(|rest| rest.split([',', ' ']).next()) {
                    assert_eq!(pool, router.live, "{words}");
                }
            }
        }
        let dropped = healing.join().unwrap();
        let unfinished = matches!(code, 20 | 21);
        // A run that is over keeps nobody out, one that is unfinished does.
        let fresh = Pointsman::new("two-pools");
        if unfinished {
            fresh.expect(&["deploy", "v3", "--no-flip"], 30).says(&[&run]);
        }
        // Where only the lock was left, the command that its hint names.
        let end = if stuck { "resume" } else { self.end };
        let ran = fresh.run(&[end, &run]);
        let settled = end == "abort" && ran.code() == 50 && ran.text().contains("point of no return");
        if settled {
            fresh.expect(&["resume", &run], 0);
        } else {
            assert_eq!(ran.code(), 0, "{words}\nthen {}", ran.text());
        }
        let ended = outside.hot().unwrap_or_else(|words| panic!("{what}: {words}"));
        if unfinished {
            let expected = if end == "resume" || settled { new } else { &old };
            assert_eq!(ended, expected, "{words}\nthen {}", ran.text());
            assert_eq!(outside.holder(), "", "{words}\nthen {}", ran.text());
        } else {
            assert_eq!(Ok(ended), is_now, "{words}\nthen {}", ran.text());
        }
        println!("{what}: exit {code}, {dropped} packets dropped");
        (code, dropped, unfinished)
    }
}
