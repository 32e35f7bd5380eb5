//! Faults of the switch and of what follows a flip, on real servers (docs/faults.md: flip, verify live, bake, drain).

#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

mod support;

use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use support::load::{Load, Shot};
use support::outside::STATE;
use support::scene::{
    SOON, changed, containers, cut, hits, kill_apps, none_lost, root, slow, until, wait_hot, wait_seen,
};
use support::{Fault, Pointsman, Ran, lab, lab_command, lost, reset, routers};

/// v1 on standby on green, v2 hot on blue.
fn v2_is_hot() -> Pointsman {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    pointsman
}

/// One deployed state for all, because a deploy takes its time; each section leaves green hot with v1.
#[test]
fn faults_at_and_after_a_flip() {
    let pointsman = v2_is_hot();
    routers_that_cannot_be_moved_or_see_nobody(&pointsman);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    requests_in_progress_on_a_pool_that_is_replaced(&pointsman);
    what_a_rollback_needs_is_never_pruned(&pointsman);
    answers_of_both_releases(&pointsman);
    none_lost("drain, prune, mixed answers", &load.stop());
    a_release_that_goes_wrong_while_it_bakes(&pointsman);
    a_pool_is_not_stopped_while_a_router_is_unreadable(&pointsman);
    both_pools_die();
    reset("two-pools");
}

/// Rows 57, 58, 64, 83, 84: nothing is lost to any of it.
fn routers_that_cannot_be_moved_or_see_nobody(pointsman: &Pointsman) {
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
    let stays = || {
        pointsman
            .expect(&["status"], 0)
            .says(&["blue is hot", "lock: free"]);
    };
    // Row 57: it refuses before anything is changed.
    let on = Fault::on("socket-refused", "lb2");
    pointsman
        .expect(&["rollback"], 20)
        .says(&["lb2", "Permission denied"]);
    drop(on);
    root("lb2", "sv 2 haproxy");
    stays();
    let on = Fault::on("map-readonly", "lb2");
    pointsman
        .expect(&["rollback"], 10)
        .says(&["lb2", "cannot write in /etc/haproxy/pointsman"]);
    drop(on);
    stays();
    // Row 64: the standby hangs, and the routers know.
    let paused = [Fault::on("app-paused", "web3"), Fault::on("app-paused", "web4")];
    wait_seen(["web3", "web4"], &["lb1", "lb2"], false);
    pointsman.expect(&["rollback"], 50).says(&[
        "lb1 sees 0 of 2 servers of green up",
        "lb2 sees 0 of 2 servers of green up",
    ]);
    drop(paused);
    wait_seen(["web3", "web4"], &["lb1", "lb2"], true);
    // Row 84: one router alone cannot reach it.
    ["web3", "web4"].iter().for_each(|host| cut("lb2", host, true));
    wait_seen(["web3", "web4"], &["lb2"], false);
    let ran = pointsman.expect(&["rollback"], 50);
    ran.says(&["lb2 sees 0 of 2 servers of green up"]);
    assert!(!ran.text().contains("lb1 sees"), "{}", ran.text());
    assert!(
        hits("partition", "web3") > 0 && hits("partition", "web4") > 0,
        "the fault fired"
    );
    ["web3", "web4"].iter().for_each(|host| cut("lb2", host, false));
    wait_seen(["web3", "web4"], &["lb2"], true);
    // Row 83: we cannot reach one router; its clients can.
    let on = Fault::on("unreachable", "lb2");
    pointsman.expect(&["rollback"], 20).says(&["in doubt", "lb2"]);
    assert!(hits("unreachable", "lb2") > 0, "the fault fired");
    drop(on);
    stays();
    // Row 58: one router is reloaded every second, and the flips go through.
    let master = || {
        root(
            "lb1",
            "SOCKET=/run/haproxy/master.sock lab-ask show proc | awk '$2 == \"master\" { print $3 }'",
        )
    };
    let before: u32 = master().trim().parse().expect("a count");
    let on = Fault::on("reload-storm", "lb1");
    for (command, words) in [
        ("rollback", "green is hot"),
        ("flip", "blue is hot"),
        ("rollback", "green is hot"),
    ] {
        pointsman.expect(&[command], 0).says(&["0 lost"]);
        pointsman.expect(&["status"], 0).says(&[words]);
    }
    drop(on);
    until("two reloads", SOON, || {
        master().trim().parse::<u32>().is_ok_and(|now| now >= before + 2)
    });
    none_lost("faults of the routers", &load.stop());
}

/// Row 71: requests that began on a pool live on there; its next deploy waits for them, and not for ever. The second
/// deploy, which waits for a second only, is the control of the first.
fn requests_in_progress_on_a_pool_that_is_replaced(normal: &Pointsman) {
    let (ran, ended, answer) = replaced_in_progress(normal, "60s", "v3");
    ran.says(&["waits for requests in progress: 1 through lb1"]);
    assert!(!ran.text().contains("still in progress"), "{}", ran.text());
    assert!(answer.contains("slept 30.0 v"), "{answer}");
    assert!(began(&ran, "check") > ended, "it was waited for");
    // Compose stops with the app's own signal and grace, so even a request that is not waited for may end well.
    let (ran, ..) = replaced_in_progress(normal, "1s", "v2");
    ran.says(&["1 requests are still in progress on blue after 1s (1 through lb1)"]);
}

/// Deploys to a pool that still holds a request; returns the run, when the request ended, and its answer. The request
/// lasts as long as the app allows; where the machine is so busy that it was over when the pool was to be replaced,
/// the run had nothing to wait for, and all of it is done again.
fn replaced_in_progress(normal: &Pointsman, longest: &str, tag: &str) -> (Ran, Timestamp, String) {
    let with = format!("connector = \"haproxy\"\ndrain = \"{longest}\"");
    let drains = changed(
        &format!("drains-{longest}"),
        &[
            ("two-pools.toml", "connector = \"haproxy\"", &with),
            // Migrating takes its time, and is not what is looked at here.
            (
                "common.toml",
                r#"command = ["bin/rails", "db:migrate"]"#,
                r#"command = ["true"]"#,
            ),
        ],
    );
    for _ in 0..5 {
        normal.expect(&["flip"], 0);
        let request = slow(30);
        let ended = std::thread::spawn(|| {
            let answer = request.join().expect("an answer");
            (Timestamp::now(), answer)
        });
        normal.expect(&["rollback"], 0);
        let ran = drains.expect(&["--json", "deploy", tag, "--no-flip"], 0);
        let (ended, answer) = ended.join().expect("an end");
        if began(&ran, "start") < ended {
            return (ran, ended, answer);
        }
        println!("row 71: the request was over before the pool was replaced; again");
    }
    panic!("in five tries no request lasted until the pool was replaced: is the machine too busy?");
}

/// When a run began a phase, by its own events.
fn began(ran: &Ran, phase: &str) -> Timestamp {
    let words = format!("\"event\":\"phase_started\",\"phase\":\"{phase}\"");
    let text = ran.stdout();
    let line = text
        .lines()
        .find(|line| line.contains(&words))
        .expect("the phase");
    let event: serde_json::Value = serde_json::from_str(line).expect("an event");
    event["at"].as_str().expect("a time").parse().expect("a time")
}

/// Row 74: with as little kept as can be, what runs and what a rollback needs stays, and so does what is not ours.
fn what_a_rollback_needs_is_never_pruned(normal: &Pointsman) {
    let keeps = changed(
        "keeps",
        &[("two-pools.toml", "[app]", "[app]\nkeep_releases = 1")],
    );
    root("web1", "docker tag $(docker images -q | head -n 1) stranger:1");
    let kept = |host: &str| lab_command(&["ssh", host, "docker images --no-trunc -q | sort -u"]);
    let releases = || {
        lab_command(&[
            "ssh",
            "web1",
            "ls /home/deploy/shop/.pointsman/shop/two-pools/blue/releases",
        ])
    };
    let before = releases();
    keeps.expect(&["prune"], 0);
    assert!(
        releases().lines().count() < before.lines().count(),
        "something was pruned"
    );
    for host in ["web1", "web2", "web3", "web4"] {
        let used = lab_command(&["ssh", host, "docker inspect -f '{{.Image}}' $(docker ps -q)"]);
        let left = kept(host);
        assert_eq!(used.lines().count(), 2, "{host}");
        assert!(
            used.lines().all(|image| left.contains(image)),
            "{host}: {used}\n{left}"
        );
    }
    let strangers = lab_command(&["ssh", "web1", "docker images -q stranger"]);
    assert!(!strangers.trim().is_empty());
    root("web1", "docker rmi stranger:1");
    let registry = Fault::on("registry-down", "registry");
    normal.expect(&["flip"], 0);
    normal.expect(&["rollback"], 0);
    drop(registry);
}

/// Row 65: web1 passes every check, and what its port answers is the old release. Four answers in a row, as it once
/// was, came about by chance under load, and the deploy ended with 0 (seen in this test).
fn answers_of_both_releases(normal: &Pointsman) {
    let redirect = |op: &str| {
        let to = &lab()["WEB3"];
        let spec = "-m comment --comment lab:mixed";
        root(
            "web1",
            &format!(
                "iptables -w -t nat {op} PREROUTING -p tcp --dport 80 {spec} -j DNAT --to-destination {to}:80 && \
                 iptables -w -t nat {op} POSTROUTING -p tcp -d {to} --dport 80 {spec} -j MASQUERADE"
            ),
        )
    };
    redirect("-I");
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 50);
    let ran = normal.run(&["deploy", "v3"]);
    let shots = load.stop();
    let counted = root(
        "web1",
        "iptables -w -t nat -nvxL PREROUTING | awk '/lab:mixed/ { print $1 }'",
    );
    redirect("-D");
    // Connections that the routers keep to web1 still lead elsewhere: new workers have none of them.
    ["lb1", "lb2"]
        .iter()
        .for_each(|router| drop(root(router, "sv 2 haproxy")));
    assert_eq!(ran.code(), 11, "{}", ran.text());
    ran.says(&["expected 50 answers of v3 in a row through every router"]);
    assert_ne!(counted.trim(), "0", "the fault fired");
    let v3 = shots.iter().filter(|shot| shot.answer.as_deref() == Ok("v3"));
    assert!(v3.count() > 0, "traffic had moved");
    normal
        .expect(&["status"], 0)
        .says(&["green is hot", "lock: free"]);
}

/// Deploys v3, does this once traffic has moved, and returns how the run ended with the load's requests.
fn baking(
    code: i32,
    harm: impl FnOnce() -> Option<JoinHandle<String>>,
) -> (Ran, Vec<Shot>, Option<JoinHandle<String>>) {
    let bakes = changed(
        "bakes",
        &[(
            "two-pools.toml",
            "connector = \"haproxy\"",
            "connector = \"haproxy\"\nbake = \"40s\"",
        )],
    );
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bakes.expect(&["deploy", "v3"], code));
        wait_hot("v3");
        let slow = harm();
        let ran = run.join().expect("a run");
        (ran, load.stop(), slow)
    })
}

/// Row 68: the release goes wrong on one of two hosts; what is in progress ends well. Its control, a release that
/// stays well, is in `report::prober::tests::a_watch_ends_when_errors_rise_or_another_release_answers`.
fn a_release_that_goes_wrong_while_it_bakes(normal: &Pointsman) {
    let (ran, shots, slow) = baking(11, || {
        // One alone: a second might come to the same host, whose two workers would then answer nobody.
        let slow = slow(4);
        std::thread::sleep(Duration::from_millis(500)); // it is with its server
        let break_it =
            "sed -i 's|proxy_pass http://app;|return 500;|' /etc/nginx/nginx.conf && nginx -s reload";
        root(
            "web1",
            &format!(
                "docker exec $(docker ps -q --filter label=com.docker.compose.service=web) sh -c \"{break_it}\""
            ),
        );
        Some(slow)
    });
    ran.says(&["errors rose after traffic had moved to blue", "status 500"]);
    let first = shots
        .iter()
        .find(|shot| shot.answer.is_err())
        .expect("the fault fired")
        .sent;
    let back = shots
        .iter()
        .find(|shot| shot.sent > first && shot.answer.as_deref() == Ok("v1"));
    let back = back.expect("traffic is back").sent - first;
    println!(
        "bake: {} lost, v1 answers {back:?} after the first of them",
        lost(&shots).len()
    );
    assert!(back < Duration::from_secs(2), "rolled back too late: {back:?}");
    let ended = slow.expect("a slow request").join().expect("an answer");
    assert!(ended.contains("slept"), "{ended}");
    normal
        .expect(&["status"], 0)
        .says(&["green is hot", "lock: free"]);
}

/// Row 72: the release is sick, and a router cannot be read when it is to be cleaned up: nothing is stopped. With the
/// router back the same clean-up stops it: `sick_releases_are_refused_and_the_hot_pool_is_never_touched`.
fn a_pool_is_not_stopped_while_a_router_is_unreadable(normal: &Pointsman) {
    let short = changed(
        "short",
        &[(
            "common.toml",
            "start_timeout = \"45s\"",
            "start_timeout = \"10s\"",
        )],
    );
    let before = containers("web1");
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| short.expect(&["deploy", "v-sick", "--no-flip"], 20));
        until("the sick release", Duration::from_secs(40), || {
            let now = containers("web1");
            now != before && now.lines().filter(|line| line.contains(" running ")).count() == 2
        });
        let on = Fault::on("unreachable", "lb2");
        let ran = run.join().expect("a run");
        assert!(hits("unreachable", "lb2") > 0, "the fault fired");
        drop(on);
        ran
    });
    ran.says(&[
        "answers 500",
        "blue is left as it is",
        "lb2: cannot be read, so it counts as using blue",
    ]);
    assert_eq!(
        containers("web1").lines().count(),
        2,
        "left, and not half stopped"
    );
    // It is unfinished; with the router back, the command that it names ends it.
    let run = root("lb1", &format!("cat {STATE}/holder"));
    ran.says(&[&format!("abort {}", run.trim())]);
    normal.expect(&["abort", run.trim()], 0);
    assert_eq!(containers("web1").trim(), "");
}

/// Row 70: while the new pool bakes the old one dies, and then the new one: traffic is not sent to and fro.
fn both_pools_die() {
    let (ran, ..) = baking(60, || {
        kill_apps(&["web3", "web4"]);
        wait_seen(["web3", "web4"], &["lb1", "lb2"], false);
        kill_apps(&["web1", "web2"]);
        None
    });
    ran.says(&[
        "both pools fail",
        "green is down as well, so traffic stays on blue",
        "lock release",
    ]);
    for router in ["lb1", "lb2"] {
        let records = root(
            router,
            "cd /home/deploy/shop/.pointsman/shop/two-pools/runs && ls $(ls -t | head -n 1)",
        );
        assert!(
            records.contains("flip.rc") && !records.contains("flip-back"),
            "it moved once: {records}"
        );
        assert!(root(router, "cat /etc/haproxy/pointsman/pools.map").contains("blue:blue:0"));
    }
}
