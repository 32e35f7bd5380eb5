//! Faults of the operator's own process and machine, and of what it leaves running (docs/faults.md: migrate, bake,
//! record, process).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::{Duration, Instant};

use support::load::Load;
use support::outside::{Outside, STATE};
use support::scene::{SOON, changed, none_lost, root, until, wait_hot};
use support::{Pointsman, Running, reset, routers};

/// One deployed state for all, because a deploy takes its time; blue is hot with v2, green on standby with v1.
#[test]
fn faults_of_the_process() {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    let outside = Outside::new();
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 50);
    a_journal_that_cannot_be_written(&pointsman, &outside);
    a_job_that_is_cancelled(&outside);
    a_laptop_that_sleeps(&outside);
    an_operator_who_dies_while_it_bakes(&outside);
    a_migration_whose_operator_dies(&outside);
    a_migration_that_is_killed(&outside);
    none_lost("faults of the process", &load.stop());
    reset("two-pools");
}

const FLIP: &str = "\"kind\":\"intent\",\"step\":\"flip\"";

fn other(pool: &str) -> String {
    if pool == "blue" { "green" } else { "blue" }.to_owned()
}

/// Row 75: each write of the local journal fails in turn (a limit on the size of files, so that the kernel refuses the
/// very next byte). Up to the flip nothing is done without its intent; from the flip on all goes on, and the routers
/// keep what this machine cannot. A folder that cannot be written at all is refused before anything.
fn a_journal_that_cannot_be_written(pointsman: &Pointsman, outside: &Outside) {
    let before = outside.routers();
    pointsman.expect_in("/proc/sys", &["rollback"], 50).says(&[
        "the journal could not be written in /proc/sys",
        "POINTSMAN_STATE_DIR",
    ]);
    assert_eq!(before, outside.routers(), "nothing was changed");
    let mut codes = Vec::new();
    for lines in 1..=10 {
        let hot = outside.hot().unwrap();
        let running = Running::deaf_to_limits("two-pools", &["rollback"]);
        running.wait_for_lines(lines).expect("at work");
        let kept = running.limit_files();
        let (code, text) = running.wait();
        codes.push((kept, code));
        // The limit took hold after so many lines, or a few more where the run was faster than the test.
        assert!(kept >= lines, "{kept} lines");
        assert!(
            text.contains("the journal could not be written"),
            "{kept} lines, exit {code}\n{text}"
        );
        match code {
            10 => assert!(
                kept < 5 && outside.hot().as_ref() == Ok(&hot),
                "{kept} lines\n{text}"
            ),
            0 => assert!(
                kept >= 4 && outside.hot() == Ok(other(&hot)),
                "{kept} lines\n{text}"
            ),
            _ => panic!("{kept} lines, exit {code}\n{text}"),
        }
        let seen = outside.routers();
        assert!(
            seen.iter().all(|router| router.holder.is_empty()),
            "{seen:?}\n{text}"
        );
        if code == 0 {
            let run = running.run(&running.journal());
            for router in ["lb1", "lb2"] {
                let ends = format!("grep -c '\"kind\":\"end\"' {STATE}/runs/{run}/journal.jsonl");
                assert_eq!(
                    outside.ask(router, &ends),
                    "1",
                    "the verdict is on {router}\n{text}"
                );
            }
            let line = text.lines().find(|line| line.contains("the line is {"));
            assert!(line.is_some(), "what could not be kept is shown\n{text}");
        }
    }
    println!("row 75: (lines kept, exit): {codes:?}");
    if outside.hot().as_deref() == Ok("green") {
        pointsman.expect(&["flip"], 0);
    }
}

/// Rows 79 and 80: as a CI runner ends a job: SIGINT, SIGTERM 7.5 s later, and after 2.5 s more everything that it ever
/// started is killed, children first.
fn a_job_that_is_cancelled(outside: &Outside) {
    for step in ["claim", "start", "flip"] {
        let running = Running::start("two-pools", &["deploy", "v3"]);
        let line = format!("\"kind\":\"intent\",\"step\":\"{step}\"");
        let journal = running.wait_for_line(&line).expect("at work");
        let since = Instant::now();
        running.signal("INT");
        let (code, text) = running.wait();
        let took = since.elapsed();
        println!(
            "row 79: exit {code} {} ms after SIGINT in {step}",
            took.as_millis()
        );
        assert!(
            took < Duration::from_millis(7500),
            "SIGTERM would have come: {took:?}"
        );
        assert_eq!(code, 130, "{text}");
        let run = running.run(&journal);
        assert!(text.contains(&format!("resume {run}")), "{text}");
        Pointsman::new("two-pools").expect(&["abort", &run], 0);
        assert_eq!(
            (outside.holder(), outside.hot()),
            (String::new(), Ok("blue".to_owned()))
        );
    }
    // One that is stopped hears no signal: its children are killed, then itself.
    let running = Running::start("two-pools", &["deploy", "v3"]);
    let journal = running
        .wait_for_line("\"kind\":\"intent\",\"step\":\"start\"")
        .expect("at work");
    let killed = running.kill_tree();
    assert!(
        killed > 1,
        "its connections were processes of their own: {killed}"
    );
    Pointsman::new("two-pools").expect(&["resume", &running.run(&journal)], 0);
    assert_eq!(
        (outside.holder(), outside.hot()),
        (String::new(), Ok("green".to_owned()))
    );
    Pointsman::new("two-pools").expect(&["deploy", "v2"], 0);
}

/// Row 81: asleep for longer than every lease, at the flip and before it. Nobody came meanwhile: it goes on, or ends in
/// truth. Somebody did: it is fenced.
fn a_laptop_that_sleeps(outside: &Outside) {
    let asleep = Duration::from_secs(20);
    for delay in [0, 100] {
        let hot = outside.hot().unwrap();
        let running = Running::start("two-pools", &["rollback"]);
        running.wait_for_line(FLIP).expect("at work");
        std::thread::sleep(Duration::from_millis(delay)); // the instant is what is chosen here
        running.signal("STOP");
        std::thread::sleep(asleep); // how long it sleeps is what is tested
        let (code, text) = running.go_on();
        println!("row 81: {asleep:?} asleep, {delay} ms after the flip's intent: exit {code}");
        let expected = match code {
            0 => other(&hot),
            10 | 11 => hot,
            _ => panic!("exit {code}\n{text}"),
        };
        assert_eq!(
            (outside.holder(), outside.hot()),
            (String::new(), Ok(expected)),
            "{text}"
        );
    }
    let hot = outside.hot().unwrap();
    let running = Running::start("two-pools", &["rollback"]);
    running.wait_for_line(FLIP).expect("at work");
    running.signal("STOP");
    // Unnamed, so by the lease alone.
    Pointsman::new("two-pools").expect(&["abort"], 0);
    let before = outside.routers();
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    assert_eq!(before, outside.routers(), "{text}");
    assert_eq!(outside.hot(), Ok(hot), "{text}");
    if outside.hot().as_deref() == Ok("green") {
        Pointsman::new("two-pools").expect(&["flip"], 0);
    }
}

/// Row 69: whoever comes next sees it, and may go on or back.
fn an_operator_who_dies_while_it_bakes(outside: &Outside) {
    let bakes = changed(
        "bakes-long",
        &[(
            "two-pools.toml",
            "connector = \"haproxy\"",
            "connector = \"haproxy\"\nbake = \"10m\"",
        )],
    );
    for (end, hot) in [("abort", "blue"), ("resume", "green")] {
        let running = Running::of(&bakes, &["deploy", "v3"]);
        let journal = running
            .wait_for_line("\"kind\":\"intent\",\"step\":\"verify\"")
            .expect("at work");
        wait_hot("v3");
        let run = running.run(&journal);
        until("the bake to be told", SOON, || {
            outside
                .ask("lb1", &format!("cat {STATE}/runs/{run}/heartbeat"))
                .contains("verify")
        });
        running.signal("KILL");
        drop(running.wait());
        let fresh = Pointsman::new("two-pools");
        fresh
            .expect(&["status"], 0)
            .says(&["green is hot", &run, "in verify"]);
        fresh
            .expect(&["rollback"], 30)
            .says(&[&run, "in verify", "resume", "abort"]);
        fresh.expect(&[end, &run], 0);
        assert_eq!(
            (outside.holder(), outside.hot()),
            (String::new(), Ok(hot.to_owned()))
        );
    }
    Pointsman::new("two-pools").expect(&["rollback"], 0);
}

/// What each migration of these sections leaves behind, and how many did.
const TOLD: &str = "PG.connect(ENV[%q(DATABASE_URL)]).exec(%q(INSERT INTO told VALUES (1)))";

fn psql(asked: &str) -> String {
    let psql = "setpriv --reuid=postgres --regid=postgres --init-groups psql -q -t -A -h /run/postgresql shop_two_pools";
    root("db", &format!("{psql} -c \"{asked}\"")).trim().to_owned()
}

fn telling(seconds: u32) -> Pointsman {
    let command = format!(r#"command = ["sh", "-c", "sleep {seconds}; ruby -rpg -e '{TOLD}'"]"#);
    changed(
        "tells",
        &[(
            "common.toml",
            r#"command = ["bin/rails", "db:migrate"]"#,
            &command,
        )],
    )
}

/// Row 39, the operator's half: the migration goes on without its run; who resumes waits for that one, and runs none.
fn a_migration_whose_operator_dies(outside: &Outside) {
    psql("CREATE TABLE told (n int); GRANT ALL ON told TO PUBLIC");
    let tells = telling(6);
    let running = Running::of(&tells, &["deploy", "v3", "--no-flip"]);
    let journal = running
        .wait_for_line("\"kind\":\"intent\",\"step\":\"migrate\"")
        .expect("at work");
    let run = running.run(&journal);
    until("the migration", SOON, || {
        outside
            .ask("web3", "docker ps --format '{{.Names}}'")
            .contains(&format!("-migrate-{run}"))
    });
    running.signal("KILL");
    drop(running.wait());
    assert_eq!(psql("SELECT count(*) FROM told"), "0", "it is half-way");
    tells.expect(&["resume", &run], 0);
    assert_eq!(psql("SELECT count(*) FROM told"), "1", "it ran once");
}

/// Row 39, the migration's half: it is killed. Its exit code is read, nothing is run again by itself.
fn a_migration_that_is_killed(outside: &Outside) {
    let tells = telling(30);
    let running = Running::of(&tells, &["deploy", "v3", "--no-flip"]);
    until("the migration", Duration::from_secs(60), || {
        outside
            .ask("web3", "docker ps --format '{{.Names}}'")
            .contains("-migrate-")
    });
    outside.ask("web3", "docker kill $(docker ps -q --filter name=migrate)");
    let (code, text) = running.wait();
    assert_eq!(code, 10, "{text}");
    assert!(text.contains("ended with exit code 137"), "{text}");
    assert_eq!(psql("SELECT count(*) FROM told"), "1", "it was not run again");
    assert_eq!(
        (outside.holder(), outside.hot()),
        (String::new(), Ok("blue".to_owned()))
    );
}
