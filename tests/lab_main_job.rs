//! The main job on real servers: deploy, flip, rollback, refusals; nothing lost.

#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

mod support;

use std::time::{Duration, Instant};

use support::load::{Load, Shot};
use support::{Fault, Pointsman, lab, lost, reset, routers};

/// Requests a second over all routers in tests that are about losses.
const RATE: u32 = 650;

/// v1 hot on green, v2 hot on blue or whatever `tags` say, from nothing.
fn deployed(env: &str, tags: &[&str]) -> Pointsman {
    reset(env);
    let pointsman = Pointsman::new(env);
    for tag in tags {
        pointsman.expect(&["deploy", tag], 0);
    }
    pointsman
}

/// Asserts that no request failed, and prints how many there were.
fn none_lost(what: &str, shots: &[Shot]) {
    let lost = lost(shots);
    let span = shots
        .last()
        .zip(shots.first())
        .map_or(0.0, |(b, a)| (b.sent - a.sent).as_secs_f64());
    let rate = shots.len() as f64 / span.max(0.001);
    println!(
        "{what}: {} requests at {rate:.0} per second, {} lost",
        shots.len(),
        lost.len()
    );
    assert!(
        lost.is_empty(),
        "{what}: {} of {} lost: {:?}",
        lost.len(),
        shots.len(),
        &lost[..lost.len().min(10)]
    );
}

/// The releases that answered requests sent in this span, each once.
fn answers_between(shots: &[Shot], from: Instant, to: Instant) -> Vec<String> {
    let mut answers: Vec<String> = shots
        .iter()
        .filter(|s| s.sent > from && s.sent < to)
        .filter_map(|s| s.answer.clone().ok())
        .collect();
    answers.sort();
    answers.dedup();
    answers
}

#[test]
fn deploys_flips_and_rolls_back_without_losing_a_request() {
    let pointsman = deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    pointsman.expect(&["deploy", "v2"], 0).says(&["0 lost"]);
    let after_deploy = Instant::now();
    std::thread::sleep(Duration::from_millis(500)); // load on the new release, to be judged below
    let before_rollback = Instant::now();
    pointsman.expect(&["rollback"], 0).says(&["0 lost"]);
    let after_rollback = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    pointsman.expect(&["flip"], 0);
    let after_flip = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    let shots = load.stop();
    none_lost("deploy, rollback, flip", &shots);
    assert_eq!(answers_between(&shots, after_deploy, before_rollback), ["v2"]);
    assert_eq!(
        answers_between(
            &shots,
            after_rollback,
            after_rollback + Duration::from_millis(400)
        ),
        ["v1"]
    );
    assert_eq!(
        answers_between(&shots, after_flip, after_flip + Duration::from_millis(500)),
        ["v2"]
    );
}

#[test]
fn twenty_flips_and_twenty_rollbacks_in_a_row() {
    let pointsman = deployed("two-pools", &["v1", "v2"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    let mut spans = Vec::new();
    for round in 0..40 {
        let (command, release) = if round % 2 == 0 {
            ("rollback", "v1")
        } else {
            ("flip", "v2")
        };
        pointsman.expect(&[command], 0);
        let from = Instant::now();
        std::thread::sleep(Duration::from_millis(150)); // requests that must meet only the new release
        spans.push((release, from, Instant::now()));
    }
    let shots = load.stop();
    none_lost("20 rollbacks and 20 flips", &shots);
    let mut old = 0;
    for (release, from, to) in spans {
        let others: Vec<_> = answers_between(&shots, from, to)
            .into_iter()
            .filter(|a| a != release)
            .collect();
        old += others.len();
        assert!(
            others.is_empty(),
            "answers of {others:?} after {release} was reported hot"
        );
    }
    println!("answers of the old release after the flip was reported done: {old}");
}

/// The negative control of the load generator and of the order of things: a flip by hand to a pool
/// that serves nothing is seen as losses.
#[test]
fn the_load_sees_a_flip_to_a_dead_pool() {
    deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    std::thread::sleep(Duration::from_millis(300)); // load on the good pool first
    let set = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new('/run/haproxy/admin.sock') or die; \
               print $s \"set map /etc/haproxy/pointsman/pools.map shop blue:blue:0\\n\"; print <$s>;";
    support::lab_command(&["root", "lb1", "perl", "-e", set]);
    std::thread::sleep(Duration::from_millis(500));
    let shots = load.stop();
    assert!(
        !lost(&shots).is_empty(),
        "a pool without servers must show as losses"
    );
    reset("two-pools");
}

#[test]
fn sick_releases_are_refused_and_the_hot_pool_is_never_touched() {
    let pointsman = deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    for tag in lab()["SICK_TAGS"].split_whitespace() {
        let ran = pointsman.expect(&["deploy", tag], 10);
        // blue is cold: its hosts and the check that failed are named.
        ran.says(&["web"]);
        match tag {
            "v-liar" => ran.says(&["expected v-liar", "v1"]),
            "v-stale" => ran.says(&["unicorn", "pid"]),
            "v-sick" => ran.says(&["unicorn", "answers 500"]),
            _ => ran.says(&["unicorn"]),
        };
        if tag == "v-sick" {
            // Its last lines are lines. (They were one, cut where it was too long.)
            let text = ran.text();
            let logged = text.lines().filter(|line| line.starts_with("    | "));
            let requests = |line: &str| line.matches("\"GET /").count();
            assert!(logged.clone().count() > 10, "{text}");
            assert!(logged.clone().all(|line| requests(line) <= 1), "{text}");
        }
        // Cleaned up: nothing of the sick release runs, and the lock is free.
        for host in ["web1", "web2"] {
            let left = support::lab_command(&["ssh", host, "docker ps -aq"]);
            assert_eq!(left.trim(), "", "{tag}: containers left on {host}");
        }
        pointsman.expect(&["lock", "status"], 0).says(&["free"]);
    }
    let shots = load.stop();
    none_lost("sick releases", &shots);
    assert!(
        shots.iter().all(|shot| shot.answer.as_deref() == Ok("v1")),
        "only v1 may ever answer"
    );
}

#[test]
fn a_slow_release_is_waited_for() {
    let pointsman = deployed("two-pools", &["v1"]);
    pointsman
        .expect(&["deploy", &lab()["SLOW_TAG"]], 0)
        .says(&["0 lost"]);
}

#[test]
fn one_sick_host_of_two_stops_the_deploy() {
    let pointsman = deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    // The app on web2 alone cannot reach the database.
    let rule = |op| {
        support::lab_command(&[
            "root",
            "web2",
            "iptables",
            op,
            "DOCKER-USER",
            "-p",
            "tcp",
            "--dport",
            "5432",
            "-j",
            "REJECT",
        ])
    };
    rule("-I");
    let ran = pointsman.run(&["deploy", "v2"]);
    rule("-D");
    assert_eq!(ran.code(), 10, "{}", ran.text());
    ran.says(&["web2 is not healthy: unicorn", "the last lines of service app"]);
    assert!(!ran.text().contains("web1 is not healthy"), "{}", ran.text());
    none_lost("one sick host", &load.stop());
}

#[test]
fn a_stranger_on_the_port_is_seen_before_anything_is_changed() {
    let pointsman = deployed("two-pools", &["v1"]);
    let _port = Fault::on("port-taken", "web2");
    pointsman.expect(&["deploy", "v2"], 50).says(&["web2", "port 80"]);
}

#[test]
fn whatever_one_router_does_at_commit_all_end_alike() {
    let pointsman = deployed("two-pools", &["v1", "v2"]);
    // It refuses, or does nothing and hangs: all go back. It obeys and its answer is lost, or it hangs up: what it
    // does is read, and the flip goes on.
    for (fault, mode, code, hot) in [
        ("commit-refused", "refuse", 11, "blue"),
        ("commit-hang", "hang", 11, "blue"),
        ("commit-lost", "lost", 0, "green"),
        ("commit-cut", "cut", 0, "green"),
    ] {
        let fired = || {
            let log = "grep -c '^MODE ' /var/log/lab-between.log || :";
            let log = log.replace("MODE", mode);
            support::lab_command(&["root", "lb2", "sh", "-c", &log])
                .trim()
                .parse::<u32>()
                .unwrap_or(0)
        };
        let before = fired();
        let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
        let on = Fault::on(fault, "lb2");
        let ran = pointsman.run(&["rollback"]);
        drop(on);
        assert_eq!(ran.code(), code, "{fault}\n{}", ran.text());
        assert!(fired() > before, "{fault} did not fire");
        if code == 11 {
            ran.says(&["lb2", "every router was read as routing to blue"]);
        }
        let words = format!("{hot} is hot");
        pointsman.expect(&["status"], 0).says(&[&words, "lock: free"]);
        none_lost(fault, &load.stop());
        if hot == "green" {
            pointsman.expect(&["flip"], 0);
        }
    }
    // The negative control: without a fault the same command moves all.
    pointsman.expect(&["rollback"], 0);
    pointsman.expect(&["status"], 0).says(&["green is hot"]);
}

#[test]
fn a_flip_reaches_the_workers_that_a_reload_left_behind() {
    let pointsman = deployed("two-pools", &["v1", "v2"]);
    let workers = || {
        let text = pointsman.expect(&["--json", "status"], 0).stdout();
        let events = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let status = events
            .into_iter()
            .find(|event| event["name"] == "status")
            .unwrap();
        status["data"]["seen"]["routers"][0][1]["Ok"]["view"]["workers"]
            .as_array()
            .unwrap()
            .clone()
    };
    // A request in progress keeps the old worker alive while HAProxy is reloaded.
    let slow = std::thread::spawn(|| {
        let mut stream = std::net::TcpStream::connect(&routers("ROUTER_URLS")[0]).unwrap();
        std::io::Write::write_all(
            &mut stream,
            b"GET /slow?s=12 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        answer
    });
    let until = Instant::now() + Duration::from_secs(8);
    support::lab_command(&["root", "lb1", "sv", "2", "haproxy"]);
    while workers().is_empty() {
        assert!(Instant::now() < until, "no old worker was left behind");
    }
    pointsman.expect(&["rollback"], 0);
    let left = workers();
    assert!(!left.is_empty(), "the old worker was to be there still");
    assert!(
        left.iter().all(|worker| worker["route"]["live"] == "green"),
        "{left:?}"
    );
    assert!(
        slow.join().unwrap().starts_with("HTTP/1.1 200"),
        "the request in progress was lost"
    );
}

#[test]
fn a_migration_that_fails_leaves_the_hot_pool_alone() {
    let pointsman = deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    pointsman
        .expect(&["deploy", &lab()["NO_MIGRATE_TAG"]], 10)
        .says(&["web1", "migration", "this migration always fails"]);
    let shots = load.stop();
    assert!(
        shots
            .iter()
            .all(|shot| shot.answer.as_deref().is_ok_and(|tag| tag == "v1")),
        "{:?}",
        lost(&shots)
    );
    // Without its database the running release is down as well, so nothing is said of losses here.
    let refused = Fault::on("db-refused", "db");
    let address = format!("{}:5432", lab()["DATABASE_HOST"]);
    pointsman
        .expect(&["deploy", "v2"], 10)
        .says(&["database", &address, "refuses connections"]);
    drop(refused);
    pointsman
        .expect(&["status"], 0)
        .says(&["green is hot", "blue: no release", "lock: free"]);
}

#[test]
fn preflight_names_what_is_wrong_and_changes_nothing() {
    let pointsman = deployed("two-pools", &["v1"]);
    let cases: &[(&'static str, &'static str, &[&str])] = &[
        ("unreachable", "web1", &["web1", "connect"]),
        ("host-key", "web2", &["web2", "host key", "expected", "found"]),
        ("no-docker", "web1", &["web1", "Docker"]),
        ("no-compose", "web2", &["web2", "Compose"]),
        ("disk-full", "web1", &["web1", "disk"]),
        ("registry-auth", "registry", &["registry", "401"]),
        ("no-map", "lb2", &["lb2", "map"]),
    ];
    for (fault, host, words) in cases {
        let before = support::lab_command(&[
            "ssh",
            "lb1",
            "cat /home/deploy/shop/.pointsman/shop/two-pools/epoch",
        ]);
        let on = Fault::on(fault, host);
        let doctor = pointsman.run(&["doctor"]);
        assert_eq!(
            doctor.code(),
            50,
            "doctor with {fault} on {host}\n{}",
            doctor.text()
        );
        doctor.says(words);
        let deploy = pointsman.run(&["deploy", "v2"]);
        assert!(
            [20, 50].contains(&deploy.code()),
            "deploy with {fault} on {host}\n{}",
            deploy.text()
        );
        deploy.says(&[host]);
        drop(on);
        let after = support::lab_command(&[
            "ssh",
            "lb1",
            "cat /home/deploy/shop/.pointsman/shop/two-pools/epoch",
        ]);
        assert_eq!(
            before, after,
            "{fault}: the epoch moved, so something was changed"
        );
    }
    let missing = pointsman.run(&["deploy", "v-noimg"]);
    assert_eq!(missing.code(), 50, "{}", missing.text());
    missing.says(&["v-noimg"]);
    pointsman.expect(&["doctor"], 0);
}

#[test]
fn a_single_vps_with_both_pools() {
    let pointsman = deployed("single-vps", &["v1"]);
    let load = Load::start(&routers("SINGLE_VPS_URLS"), "/version", 200);
    pointsman.expect(&["deploy", "v2"], 0).says(&["0 lost"]);
    pointsman.expect(&["rollback"], 0).says(&["0 lost"]);
    pointsman.expect(&["flip"], 0).says(&["0 lost"]);
    none_lost("single VPS", &load.stop());
}

#[test]
fn a_deploy_without_flip_then_a_flip() {
    let pointsman = deployed("two-pools", &["v1"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    pointsman.expect(&["deploy", "v2", "--no-flip"], 0);
    pointsman.expect(&["status"], 0).says(&["green is hot", "v2"]);
    pointsman.expect(&["flip"], 0);
    none_lost("no-flip", &load.stop());
    pointsman
        .expect(&["history"], 0)
        .says(&["deploy", "flip", "done"]);
    pointsman.expect(&["releases"], 0).says(&["v1", "v2"]);
}

#[test]
fn rollback_to_a_retained_release_starts_it_again() {
    // The sick deploy took the standby's place and was cleaned up: v1 is kept, but does not run.
    let pointsman = deployed("two-pools", &["v1", "v2"]);
    pointsman.expect(&["deploy", "v-bad"], 10);
    pointsman
        .expect(&["status"], 0)
        .says(&["blue is hot", "green: no release"]);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    pointsman.expect(&["rollback"], 0).says(&["retained", "0 lost"]);
    none_lost("rollback to a retained release", &load.stop());
    pointsman.expect(&["status"], 0).says(&["green is hot", "v1"]);
}

#[test]
fn a_lock_by_hand_keeps_runs_out() {
    let pointsman = deployed("two-pools", &["v1"]);
    pointsman.expect(&["lock", "acquire", "-m", "maintenance of the database"], 0);
    pointsman
        .expect(&["deploy", "v2"], 30)
        .says(&["maintenance of the database"]);
    pointsman.expect(&["rollback"], 30);
    pointsman.expect(&["lock", "release"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
}
