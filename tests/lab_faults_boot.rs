//! Faults of migrations, of starting a pool and of its health, on real servers (docs/faults.md: migrate, up, health).

mod support;

use std::time::{Duration, Instant};

use support::load::Load;
use support::outside::STATE;
use support::scene::{SOON, changed, containers, hits, none_lost, root, until};
use support::{Fault, Pointsman, lab_command, lost, reset, routers};

/// One deployed state for all, because a deploy takes its time: v1 is hot on green, and stays so throughout.
#[test]
fn faults_before_a_flip() {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 100);
    // First: only a database that v2 has not migrated yet has something to lock.
    a_migration_that_waits_for_a_lock_is_left_to_its_end(&pointsman);
    a_compose_file_that_the_hosts_refuse();
    a_compose_that_is_killed_while_it_starts(&pointsman);
    an_app_that_is_paused_while_it_boots();
    a_host_that_no_router_reaches();
    a_reboot_brings_back_what_belongs_there(&pointsman);
    a_migration_that_breaks_the_release_that_serves();
    let shots = load.stop();
    none_lost("faults before a flip", &shots);
    assert!(shots.iter().all(|shot| shot.answer.as_deref() == Ok("v1")));
    reset("two-pools");
}

/// Row 41. That the fault fires is seen by a load of the page that breaks. Without the watch (`watch = ["/version"]`,
/// which does not break) the same deploy ends with 0 and moves traffic: seen once by hand, and in
/// `health::watch::tests::nothing_is_said_where_nothing_breaks`.
fn a_migration_that_breaks_the_release_that_serves() {
    let drop = r#"command = ["sh", "-c", "bin/rails db:migrate && ruby -rpg -e 'PG.connect(ENV[%q(DATABASE_URL)]).exec(%q(ALTER TABLE visits DROP COLUMN count))'"]
watch = ["/", "/version"]"#;
    let pointsman = changed(
        "breaks",
        &[
            ("common.toml", r#"command = ["bin/rails", "db:migrate"]"#, drop),
            ("common.toml", "watch_for = \"500ms\"", "watch_for = \"2s\""),
        ],
    );
    let page = Load::start(&routers("ROUTER_URLS"), "/", 20);
    let ran = pointsman.expect(&["deploy", "v2"], 10);
    ran.says(&[
        "the release that serves on green fails",
        "/ through lb1",
        "/ through lb2",
        "status 500",
        "the migration is not taken back",
    ]);
    assert!(!ran.text().contains("/version through"), "{}", ran.text());
    assert!(!lost(&page.stop()).is_empty(), "the fault fired");
    pointsman
        .expect(&["status"], 0)
        .says(&["green is hot", "blue: no release", "lock: free"]);
    assert_eq!(containers("web1").trim(), "");
}

/// Row 42. The lock on the table is the fault; that the container still runs when pointsman has ended shows that
/// nobody stopped it. With the dispatcher's exception for migrations taken out the run takes the pool away and ends
/// with 10 (seen by hand). The run is unfinished, so it keeps its lock; nobody gets past the migration, whichever of
/// the ways on is taken: not `resume`, not `abort`, not `--steal`.
fn a_migration_that_waits_for_a_lock_is_left_to_its_end(normal: &Pointsman) {
    let short = changed(
        "hangs",
        &[("common.toml", "timeout = \"2m\"", "timeout = \"4s\"")],
    );
    let psql =
        "setpriv --reuid=postgres --regid=postgres --init-groups psql -q -h /run/postgresql shop_two_pools";
    let migrations = || {
        let ours = "docker ps --format '{{.Names}}' --filter name=migrate";
        lab_command(&["ssh", "web1", ours]).trim().to_owned()
    };
    let holder = || root("lb1", &format!("cat {STATE}/holder")).trim().to_owned();
    std::thread::scope(|scope| {
        let keep = format!("{psql} -c \"BEGIN; LOCK TABLE visits; SELECT pg_sleep(600)\" 2>&1 || :");
        scope.spawn(move || root("db", &keep));
        let count = |what: &str| {
            let asked = format!("{psql} -t -A -c \"SELECT count(*) FROM pg_stat_activity WHERE {what}\"");
            root("db", &asked).trim().to_owned()
        };
        let waits = || count("wait_event_type = 'Lock'");
        until("the lock", SOON, || {
            count("query LIKE 'BEGIN; LOCK%' AND wait_event = 'PgSleep'") == "1"
        });
        let ran = short.expect(&["deploy", "v2", "--no-flip"], 20);
        let first = holder();
        ran.says(&[
            "web1",
            "the migration still runs in container",
            "docker logs -f",
            &format!("resume {first}"),
            &format!("abort {first}"),
        ]);
        // Rails takes its time to boot, on a busy machine longer than pointsman waited for it.
        until("the migration to wait for the lock", SOON, || waits() == "1");
        let container = migrations();
        assert!(container.contains(&format!("-migrate-{first}")), "{container}");
        normal.expect(&["deploy", "v2"], 30).says(&[&first, "in migrate"]);
        normal
            .expect(&["deploy", "v2", "--steal", &first], 50)
            .says(&["the migration of an earlier run still runs in container"]);
        // Taken over, and not run a second time.
        short
            .expect(&["resume", &first], 20)
            .says(&["the migration still runs in container", &container]);
        let second = holder();
        assert_ne!(first, second);
        short
            .expect(&["abort", &second], 60)
            .says(&["the migration still runs in container", "is not ended half-way"]);
        assert_eq!(
            (migrations(), waits()),
            (container, "1".to_owned()),
            "it was left alone"
        );
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        root("db", &format!("{psql} -c \"{end}\""));
    });
    until("the migration's own end", SOON, || migrations().is_empty());
    short.expect(&["abort", &holder()], 0);
    assert_eq!(containers("web1").trim(), "");
    // It had done its work; the next one finds that, and goes on.
    normal.expect(&["deploy", "v2", "--no-flip"], 0);
    assert!(!containers("web1").contains("migrate"), "{}", containers("web1"));
}

/// Row 43: the host's own Compose reads the file before anything is changed.
fn a_compose_file_that_the_hosts_refuse() {
    let epoch = || root("lb1", "cat /home/deploy/shop/.pointsman/shop/two-pools/epoch");
    let before = epoch();
    for (from, to, words) in [
        (
            "shop-nginx:${DEPLOY_TAG}",
            "shop-nginx:${DEPLOY_TAG:?}${NOT_THERE:?no such value}",
            "NOT_THERE",
        ),
        ("restart: unless-stopped", "restarts: unless-stopped", "restarts"),
    ] {
        let pointsman = changed("refused", &[("docker-compose.production.yml", from, to)]);
        let ran = pointsman.expect(&["deploy", "v2"], 50);
        ran.says(&["web1", "web2", words]);
    }
    assert_eq!(before, epoch(), "nothing was changed");
}

/// Rows 44 and 45: Compose is killed at several instants of its start, so its containers are left in whatever state
/// they are; beside them one that a killed recreate left under another name. Each run cleans up, the next converges.
fn a_compose_that_is_killed_while_it_starts(pointsman: &Pointsman) {
    // Both generations of Compose; at more instants in the long campaign.
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| !long.is_empty());
    let instants = [("0", "0.3"), ("0.01", "0.5"), ("0.6", "0.1")];
    for (first, second) in &instants[..if long { 3 } else { 1 }] {
        for (host, after) in [("web1", first), ("web2", second)] {
            let killer = format!(
                "rm -f /run/lab-killed; (end=$(($(date +%s) + 240)); while [ $(date +%s) -lt $end ]; do \
                   for p in $(pgrep docker-compose); do \
                     if tr '\\0' ' ' </proc/$p/cmdline | grep -q 'up -d'; then \
                       sleep {after}; kill -KILL $p && touch /run/lab-killed; exit; fi; done; sleep 0.02; done) \
                 >/dev/null 2>&1 &"
            );
            root(host, &killer);
        }
        let ran = pointsman.expect(&["deploy", "v2", "--no-flip"], 10);
        for host in ["web1", "web2"] {
            let fired = root(host, "ls /run/lab-killed 2>/dev/null || :");
            assert!(
                !fired.trim().is_empty(),
                "Compose was not killed on {host}\n{}",
                ran.text()
            );
            assert_eq!(containers(host).trim(), "", "left on {host}\n{}", ran.text());
        }
        pointsman
            .expect(&["status"], 0)
            .says(&["green is hot", "blue: no release", "lock: free"]);
    }
    // What Compose leaves when it is killed between a rename and a recreate.
    let image = lab_command(&["ssh", "web1", "docker images -q | head -n 1"]);
    let labels = [
        "com.docker.compose.project=shop-two-pools-blue",
        "com.docker.compose.service=app",
        "com.docker.compose.container-number=1",
        "com.docker.compose.oneoff=False",
        "com.docker.compose.version=1.29.2",
        "com.docker.compose.config-hash=0",
        "pointsman.app=shop",
        "pointsman.env=two-pools",
    ];
    let labels: String = labels.iter().map(|label| format!("--label {label} ")).collect();
    let create = format!(
        "docker create --name 0123456789ab_shop-two-pools-blue_app_1 {labels} {} true",
        image.trim()
    );
    lab_command(&["ssh", "web1", &create]);
    pointsman.expect(&["deploy", "v2", "--no-flip"], 0);
    let left = containers("web1");
    assert!(
        left.lines().count() == 2 && left.lines().all(|line| line.contains(" running ")),
        "{left}"
    );
}

/// Row 51: connects succeed, nothing answers, the engine says that it runs.
fn an_app_that_is_paused_while_it_boots() {
    let pointsman = changed(
        "paused",
        &[(
            "common.toml",
            "start_timeout = \"45s\"",
            "start_timeout = \"12s\"",
        )],
    );
    let began = Instant::now();
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| pointsman.expect(&["deploy", "v3", "--no-flip"], 10));
        let by_release = "for c in $(docker ps -q --filter label=com.docker.compose.service=app --filter label=com.docker.compose.oneoff=False); do \
                          docker inspect -f '{{index .Config.Labels \"pointsman.release\"}}' $c | grep -q '^v3' && \
                          docker pause $c; done";
        until("a new app to pause", Duration::from_secs(40), || {
            !root("web1", &format!("{by_release}; :")).trim().is_empty()
        });
        run.join().expect("a run")
    });
    ran.says(&["web1 is not healthy", "paused"]);
    assert!(!ran.text().contains("web2 is not healthy"), "{}", ran.text());
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(
        containers("web1").trim(),
        "",
        "a paused container is removed as well"
    );
}

/// Row 52: each host passes its own checks; one router reaches none of them.
fn a_host_that_no_router_reaches() {
    let pointsman = Pointsman::new("two-pools");
    let lb2 = support::lab()["LB2"].clone();
    let rule = |op: &str, host: &str| {
        root(
            host,
            &format!(
                "iptables -w {op} DOCKER-USER -p tcp -s {lb2} -m comment --comment lab:from-lb2 -j DROP"
            ),
        )
    };
    let hosts = ["web1", "web2"];
    hosts.iter().for_each(|host| drop(rule("-I", host)));
    let ran = pointsman.run(&["deploy", "v2", "--no-flip"]);
    let dropped: u64 = hosts.map(|host| hits("from-lb2", host)).iter().sum();
    hosts.iter().for_each(|host| drop(rule("-D", host)));
    assert!(dropped > 0, "the fault fired");
    assert_eq!(ran.code(), 10, "{}", ran.text());
    ran.says(&[
        "lb2: sees 0 of 2 servers of blue up",
        "can the router reach their web port?",
    ]);
    assert!(!ran.text().contains("lb1: sees"), "{}", ran.text());
}

/// Row 47: a host of the pool that was cleaned up comes back empty; one of the hot pool comes back with its release.
/// A container that is only stopped, and not removed as `stop.sh` does, comes back if it is `restart: always` (seen by
/// hand).
fn a_reboot_brings_back_what_belongs_there(pointsman: &Pointsman) {
    let booted = |host: &str| root(host, "stat -c %Z /proc/1");
    for host in ["web1", "web3"] {
        let before = booted(host);
        drop(Fault::on("killed", if host == "web1" { "web1" } else { "web3" }));
        assert_ne!(before, booted(host), "{host} was rebooted");
    }
    assert_eq!(containers("web1").trim(), "", "nobody asked for that pool");
    until("v1 on web3", SOON, || {
        let seen = containers("web3");
        seen.lines().filter(|line| line.contains(" running ")).count() == 2
    });
    pointsman
        .expect(&["status"], 0)
        .says(&["green is hot", "blue: no release"]);
}
