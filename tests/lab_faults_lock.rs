//! Faults of the lock, the fence and what a run believes of the routers (docs/faults.md: lock, preflight, flip).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::Duration;

use support::load::Load;
use support::outside::{Outside, STATE, Shell};
use support::scene::{SOON, none_lost, until};
use support::{Fault, Pointsman, Running, reset, routers};

#[test]
fn faults_of_routers_and_late_words() {
    deployed("faults of routers", |pointsman, outside| {
        routers_changed_by_hand(pointsman, outside);
        an_unlock_that_never_arrives(pointsman, outside);
        one_refuses_and_the_other_cannot_be_reached(pointsman, outside);
        words_that_come_late(pointsman, outside);
    });
}

#[test]
fn faults_of_lock_and_fence() {
    deployed("faults of lock and fence", |pointsman, outside| {
        a_server_that_goes_away_during_the_fence(pointsman, outside);
        a_lock_that_is_held(pointsman);
        a_lock_that_is_taken_away(pointsman, outside);
    });
}

/// One deployed state for several sections, because a deploy takes its time; each leaves blue hot and green proven.
fn deployed(name: &str, sections: impl FnOnce(&Pointsman, &Outside)) {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    for tag in ["v1", "v2"] {
        pointsman.expect(&["deploy", tag], 0);
    }
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 50);
    sections(&pointsman, &Outside::new());
    none_lost(name, &load.stop());
    reset("two-pools");
}

const MAP: &str = "/etc/haproxy/pointsman/pools.map";

/// Somebody's own hands on a router.
fn by_hand(outside: &Outside, router: &str, pool: &str, memory: bool, file: bool) {
    if memory {
        outside.ask(router, &format!("lab-ask set map {MAP} shop {pool}:{pool}:0"));
    }
    if file {
        outside.ask(
            router,
            &format!("sed 's/^shop .*/shop {pool}:{pool}:0/' {MAP} >/tmp/map && cat /tmp/map >{MAP}"),
        );
    }
}

/// Rows 18, 19, 20: what is hot is what the routers do. That the fault fired is read from them.
fn routers_changed_by_hand(pointsman: &Pointsman, outside: &Outside) {
    // 18: all flipped by hand. No memory says otherwise: rollback leads away from what serves.
    for router in ["lb1", "lb2"] {
        by_hand(outside, router, "green", true, true);
    }
    assert_eq!(outside.hot().as_deref(), Ok("green"));
    pointsman.expect(&["status"], 0).says(&["green is hot"]);
    pointsman.expect(&["rollback"], 0);
    assert_eq!(outside.hot().as_deref(), Ok("blue"));
    // 19: only one. Nothing is guessed, until somebody says where to.
    by_hand(outside, "lb2", "green", true, true);
    let before = outside.routers();
    assert_ne!(before[0].live, before[1].live);
    for command in ["rollback", "flip"] {
        let ran = pointsman.expect(&[command], 21);
        ran.says(&["lb1: blue", "lb2: green", "flip --to POOL"]);
    }
    pointsman.expect(&["deploy", "v3"], 21);
    assert_eq!(before, outside.routers(), "nothing was changed");
    pointsman.expect(&["flip", "--to", "blue"], 0);
    assert_eq!(outside.hot().as_deref(), Ok("blue"));
    // 20: memory only: a reload would flip back.
    for router in ["lb1", "lb2"] {
        by_hand(outside, router, "green", true, false);
    }
    let before = outside.routers();
    pointsman
        .expect(&["deploy", "v3"], 50)
        .says(&["lb1", "lb2", "blue", "green", "flip --to green"]);
    assert_eq!(before, outside.routers(), "nothing was changed");
    pointsman.expect(&["flip", "--to", "green"], 0);
    let worker = || outside.ask("lb1", "lab-ask show info | awk '/^Pid:/ { print $2 }'");
    let old = worker();
    for router in ["lb1", "lb2"] {
        outside.ask(router, "sv 2 haproxy");
    }
    until("the reload", SOON, || worker() != old);
    assert_eq!(outside.hot().as_deref(), Ok("green"), "it survives a reload");
    pointsman.expect(&["rollback"], 0);
    assert_eq!(outside.hot().as_deref(), Ok("blue"));
}

/// Replies and commands of these servers' sshd vanish; heals when dropped.
struct Away(Vec<Shell>);

const AWAY: &str = "INPUT -p tcp --dport 22 -m comment --comment lab:away -j DROP";

impl Away {
    fn ready(hosts: &[&str]) -> Away {
        Away(hosts.iter().map(|host| Shell::in_network(host)).collect())
    }

    fn begin(&mut self) {
        for shell in &mut self.0 {
            shell.ask(&format!("iptables -w -I {AWAY}"));
        }
    }

    /// Heals; says how many packets vanished.
    fn end(mut self) -> u64 {
        let count = "iptables -w -nvxL INPUT | awk '/lab:away/ { n += $1 } END { print n + 0 }'";
        self.0
            .iter_mut()
            .map(|shell| {
                let dropped: u64 = shell.ask(count).parse().unwrap();
                shell.ask(&format!("iptables -w -D {AWAY}"));
                dropped
            })
            .sum()
    }
}

/// Row 77: the release is in place, and no router can be reached to give the lock back. What the run says next is what
/// works, and nobody removes anything by hand.
fn an_unlock_that_never_arrives(pointsman: &Pointsman, outside: &Outside) {
    let mut away = Away::ready(&["lb1", "lb2"]);
    let running = Running::start("two-pools", &["rollback"]);
    running
        .wait_for_line("\"kind\":\"intent\",\"step\":\"verify\"")
        .expect("at work");
    away.begin();
    let (code, text) = running.wait();
    let dropped = away.end();
    assert!(dropped > 0, "the fault fired");
    assert_eq!(code, 60, "{text}");
    assert!(
        text.contains("the release is in place, but the lock could not be given back"),
        "{text}"
    );
    assert_eq!(outside.hot().as_deref(), Ok("green"), "{text}");
    let run = outside.router("lb1").holder;
    assert!(!run.is_empty(), "{text}");
    assert!(text.contains(&format!("resume {run}")), "{text}");
    pointsman.expect(&["flip"], 30).says(&[&run]);
    // Unnamed: by the lease, as somebody who knows nothing.
    Pointsman::new("two-pools").expect(&["resume"], 0);
    assert_eq!(
        (outside.holder(), outside.hot()),
        (String::new(), Ok("green".to_owned()))
    );
    pointsman.expect(&["flip"], 0);
}

/// Row 54, the hard half: lb2 refuses to move, and lb1, which may have moved, cannot be reached any more.
fn one_refuses_and_the_other_cannot_be_reached(pointsman: &Pointsman, outside: &Outside) {
    let mut codes = Vec::new();
    for delay in [0, 60, 120, 200] {
        let refused = Fault::on("commit-refused", "lb2");
        let mut away = Away::ready(&["lb1"]);
        let running = Running::start("two-pools", &["rollback"]);
        running
            .wait_for_line("\"kind\":\"intent\",\"step\":\"flip\"")
            .expect("at work");
        std::thread::sleep(Duration::from_millis(delay)); // the instant is what is chosen here
        away.begin();
        let (code, text) = running.wait();
        let dropped = away.end();
        drop(refused);
        outside.ask("lb2", "sv 2 haproxy");
        assert!(dropped > 0, "the fault fired");
        codes.push(code);
        let seen = outside.routers();
        assert_eq!(seen[1].live, "blue", "{text}");
        match code {
            10 | 11 => assert_eq!(outside.hot().as_deref(), Ok("blue"), "{text}"),
            20 => assert!(text.contains("in doubt") && text.contains("lb1"), "{text}"),
            21 => assert_eq!(seen[0].live, "green", "{text}"),
            _ => panic!("exit {code}\n{text}"),
        }
        let run = seen[0].holder.clone();
        if !run.is_empty() {
            Pointsman::new("two-pools").expect(&["abort", &run], 0);
        }
        assert_eq!(
            (outside.holder(), outside.hot()),
            (String::new(), Ok("blue".to_owned())),
            "{text}"
        );
    }
    println!("row 54: exit codes {codes:?}, then all old");
    pointsman.expect(&["status"], 0).says(&["lock: free"]);
}

/// Sessions of sshd that are open now are stopped: what was sent through them arrives late.
const STOP: &str = "pgrep -u deploy -x sshd >/run/lab-late; kill -STOP $(cat /run/lab-late)";
const GO_ON: &str = "kill -CONT $(cat /run/lab-late) 2>/dev/null; :";

/// Rows 56 and 73: words of a run that was overtaken, which arrive when another has ended.
fn words_that_come_late(pointsman: &Pointsman, outside: &Outside) {
    let (mut delays, mut tries) = (vec![100, 50, 0], 0);
    while let Some(delay) = delays.pop() {
        let running = Running::start("two-pools", &["rollback"]);
        let journal = running
            .wait_for_line("\"kind\":\"intent\",\"step\":\"flip\"")
            .expect("at work");
        std::thread::sleep(Duration::from_millis(delay)); // the instant is what is chosen here
        let stopped = outside.ask("lb1", &format!("{STOP}; wc -l </run/lab-late"));
        assert_ne!(stopped, "0", "the fault fired");
        let ended = Pointsman::new("two-pools").expect(&["abort", &running.run(&journal)], 0);
        if ended.text().contains("nothing to do") {
            // It was through before the fault.
            tries += 1;
            assert!(tries < 10, "the fault never met the flip");
            outside.ask("lb1", GO_ON);
            assert_eq!(running.wait().0, 0);
            pointsman.expect(&["flip", "--to", "blue"], 0);
            delays.push(delay);
            continue;
        }
        let before = outside.routers();
        assert_eq!(outside.hot().as_deref(), Ok("blue"));
        outside.ask("lb1", GO_ON);
        let (code, text) = running.wait();
        assert!(
            [20, 21, 31].contains(&code),
            "it cannot know better than that: {code}\n{text}"
        );
        assert_eq!(
            before,
            outside.routers(),
            "nothing that came late was done\n{text}"
        );
        println!("row 56: late by {delay} ms and more: exit {code}");
    }
    // 73: the clean-up of a sick release is on its way to web3 when its run dies, and comes when v3 serves there.
    let running = Running::start("two-pools", &["deploy", "v-sick"]);
    let journal = running.wait_for_line("\"kind\":\"undo\"").expect("at work");
    outside.ask("web3", STOP);
    running.signal("KILL");
    drop(running.wait());
    let run = running.run(&journal);
    pointsman.expect(&["deploy", "v3", "--steal", &run], 0);
    assert_eq!(outside.hot().as_deref(), Ok("green"));
    let before = outside.ask("web3", "docker ps -q --no-trunc | sort");
    outside.ask("web3", GO_ON);
    until("the late session's end", SOON, || {
        outside
            .ask(
                "web3",
                "for p in $(cat /run/lab-late); do kill -0 $p 2>/dev/null && echo alive; done; :",
            )
            .is_empty()
    });
    assert_eq!(before, outside.ask("web3", "docker ps -q --no-trunc | sort"));
    assert_eq!(outside.hot().as_deref(), Ok("green"));
    pointsman.expect(&["rollback"], 0);
}

/// Row 13: a router, or a host of the pool that is to be changed, goes away while it is fenced.
fn a_server_that_goes_away_during_the_fence(pointsman: &Pointsman, outside: &Outside) {
    for (server, step) in [("lb1", "fence"), ("lb2", "fence"), ("web3", "claim")] {
        let (running, run, (code, text)) = (0..5)
            .find_map(|_| {
                let mut away = Away::ready(&[server]);
                let running = Running::start("two-pools", &["deploy", "v1", "--no-flip"]);
                let line = format!("\"kind\":\"intent\",\"step\":\"{step}\"");
                let journal = running.wait_for_line(&line).expect("at work");
                running.signal("STOP");
                away.begin();
                running.signal("CONT");
                let ended = running.wait();
                let run = running.run(&journal);
                assert!(away.end() > 0, "the fault fired\n{}", ended.1);
                let outcome =
                    format!("\"kind\":\"outcome\",\"step\":\"{step}\",\"data\":{{\"result\":\"applied\"");
                if running.journal().contains(&outcome) {
                    // The step was faster than the fault.
                    Pointsman::new("two-pools").expect(&["abort", &run], 0);
                    return None;
                }
                Some((running, run, ended))
            })
            .expect("the fault came during the step");
        drop(running);
        println!("row 13: {server} goes away during {step}: exit {code}");
        assert!(
            [10, 20].contains(&code) && text.contains(server),
            "exit {code}\n{text}"
        );
        assert_eq!(outside.hot().as_deref(), Ok("blue"), "{text}");
        let traces = outside.ask("web4", &format!("ls {STATE}/runs/{run} 2>/dev/null"));
        assert!(
            step == "claim" || traces.is_empty(),
            "web4 was touched: {traces}\n{text}"
        );
        // Whatever is left of it is ended by one command, and keeps nobody out then.
        Pointsman::new("two-pools").expect(&["abort", &run], 0);
        assert_eq!(outside.router("lb1").holder, "", "{text}");
        pointsman.expect(&["deploy", "v3", "--no-flip"], 0);
    }
}

/// Row 9: who holds it, where from, in which phase, last heard of when; or one waits.
fn a_lock_that_is_held(pointsman: &Pointsman) {
    let running = Running::start("two-pools", &["deploy", "v1", "--no-flip"]);
    let journal = running
        .wait_for_line("\"kind\":\"intent\",\"step\":\"start\"")
        .expect("at work");
    let run = running.run(&journal);
    let who = pointsman.expect(&["rollback"], 30);
    who.says(&[
        &run,
        "deploy by ",
        " since ",
        ", in ",
        ", last heard of ",
        "(on lb1)",
        "--wait",
    ]);
    let waiting = pointsman.expect(&["rollback", "--wait=2m"], 0);
    waiting.says(&["waits for the lock"]);
    assert_eq!(running.wait().0, 0);
    pointsman.expect(&["rollback"], 0);
}

/// Row 12: a lock that somebody removes by hand. Without the guard's look at its holder the run goes on to its end, and
/// a second one beside it: this test fails then.
fn a_lock_that_is_taken_away(pointsman: &Pointsman, outside: &Outside) {
    let running = Running::start("two-pools", &["deploy", "v3", "--no-flip"]);
    running
        .wait_for_line("\"kind\":\"intent\",\"step\":\"start\"")
        .expect("at work");
    for router in ["lb1", "lb2"] {
        outside.ask(router, &format!("rm {STATE}/holder {STATE}/owner.json"));
    }
    let before = outside.routers();
    assert!(
        before.iter().all(|router| router.claims.contains("green")),
        "{before:?}"
    );
    let (code, text) = running.wait();
    assert_eq!(code, 31, "{text}");
    assert!(text.contains("the lock was taken away from this run"), "{text}");
    assert_eq!(before, outside.routers(), "nothing more was done\n{text}");
    // The pool counts as half of anything, until it is proven anew.
    pointsman.expect(&["flip"], 50);
    pointsman.expect(&["deploy", "v3", "--no-flip"], 0);
}
