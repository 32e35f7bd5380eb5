//! The HAProxy connector's scripts and readers against a real HAProxy: no SSH, a shell as on a router.

#[path = "haproxy/between.rs"]
mod between;
#[path = "haproxy/router.rs"]
mod router;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use between::{Between, Fault};
use pointsman::inventory::Pool;
use pointsman::remote::{Output, Script};
use pointsman::switch::haproxy::Haproxy;
use pointsman::switch::{Route, RouterView, Scripted};
use router::{BEFORE, Router};

const AFTER: &str =
    "# pools of this router\nother green:green:0\nshop green:green:0\n  # the end\nlast blue:blue:0\n";

fn to(pool: Pool) -> Route {
    Route::all(pool)
}

/// The script that moves lb1 to a pool.
fn flip_to(haproxy: &Haproxy, pool: Pool) -> Script {
    haproxy.flip_script("lb1", &to(pool)).expect("a script")
}

fn arm(router: &Router, pool: Pool) -> Result<shell::Armed, String> {
    shell::arm(&flip_to(&router.haproxy(), pool), None)
}

fn view(router: &Router) -> RouterView {
    let haproxy = router.haproxy();
    haproxy
        .view(&shell::read(&haproxy.observe_script("lb1")))
        .expect("a view")
}

/// Moved all to this pool, and said so.
fn moved(output: &Output, pool: Pool) -> RouterView {
    let view = Haproxy::flipped(output).unwrap_or_else(|(problem, _)| panic!("{problem}"));
    assert!(view.is_all(pool), "{view:?}");
    view
}

/// Not moved, and sure of it: what is said of it.
fn not_done(output: &Output) -> String {
    match Haproxy::flipped(output) {
        Err((problem, false)) => problem,
        other => panic!("{other:?}"),
    }
}

/// Not known whether it moved: what is said of it.
fn in_doubt(output: &Output) -> String {
    match Haproxy::flipped(output) {
        Err((problem, true)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_router_is_seen_as_it_is() {
    let router = Router::start();
    router.wait("the checks", || {
        let view = view(&router);
        (view.up(Pool::Blue), view.up(Pool::Green)) == (1, 0)
    });
    let view = view(&router);
    assert_eq!(view.live, to(Pool::Blue));
    assert_eq!(view.persisted, Some(to(Pool::Blue)));
    assert!(view.is_all(Pool::Blue), "{view:?}");
    let word = |pool| view.servers_in_words(pool);
    // The backup is up, a server without checks gets requests, and neither counts.
    assert!(
        word(Pool::Blue).starts_with("web1 UP, spare UP"),
        "{}",
        word(Pool::Blue)
    );
    assert!(
        word(Pool::Green).ends_with("web3 no check"),
        "{}",
        word(Pool::Green)
    );
}

#[test]
fn a_flip_moves_memory_and_file_whatever_speaks_to_the_socket() {
    let router = Router::start();
    let mut tried = Vec::new();
    for helper in ["perl", "python3", "socat", "nc"] {
        let Some(path) = router.only(helper) else { continue };
        for (pool, map) in [
            (Pool::Green, AFTER.to_owned()),
            (Pool::Blue, AFTER.replace("shop green:green", "shop blue:blue")),
        ] {
            let armed = shell::arm(&flip_to(&router.haproxy(), pool), Some(&path));
            let armed = armed.unwrap_or_else(|problem| panic!("{helper}: {problem}"));
            assert_ne!(router.map(), map, "{helper}: nothing moves before the word");
            assert_ne!(router.get(), pool.as_str());
            moved(&armed.commit(), pool);
            assert_eq!(router.map(), map, "{helper}");
            assert_eq!(router.get(), pool.as_str());
            assert_eq!(router.left_behind(), 0, "{helper}");
        }
        tried.push(helper);
    }
    assert!(tried.contains(&"perl"), "{tried:?}");
    router.reload();
    assert_eq!(
        view(&router).live,
        to(Pool::Blue),
        "the file is what a reload loads"
    );
}

#[test]
fn a_worker_that_a_reload_left_behind_is_moved_too() {
    let router = Router::start();
    let early = router.half_a_request();
    router.reload();
    let (_, old) = router.workers().expect("workers");
    assert_eq!(old.len(), 1, "the old worker waits for its request");
    let armed = arm(&router, Pool::Green).expect("armed");
    let view = moved(&armed.commit(), Pool::Green);
    assert_eq!(view.workers.len(), 1);
    assert_eq!(view.workers[0].pid, old[0]);
    assert_eq!(Router::other_half(early), "green");
}

/// Requests in progress there are counted, so that a drain waits for them.
#[test]
fn what_an_older_worker_has_in_progress_is_counted() {
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = hangs.local_addr().expect("its number").port();
    let router = Router::launch(BEFORE, |at, own| {
        let small = router::SMALL.replace("@DIR@", at);
        let blue = "    http-request return status 200 content-type text/plain string blue\n";
        // Connected to, and never answered.
        small
            .replace(blue, "")
            .replace(
                "server web1 127.0.0.1:@PORT@ check",
                &format!("server web1 127.0.0.1:{port} check"),
            )
            .replace("@PORT@", &own.to_string())
    });
    let _open = [router.half_a_request(), router.half_a_request()].map(|mut stream| {
        std::io::Write::write_all(&mut stream, b"\r\n").expect("sent");
        stream
    });
    let in_progress = || {
        view(&router).backends[&Pool::Blue]
            .iter()
            .map(|server| server.sessions)
            .sum::<u64>()
    };
    router.wait("the requests", || in_progress() == 2);
    router.reload();
    assert_eq!(router.workers().expect("workers").1.len(), 1);
    assert_eq!(in_progress(), 2);
}

#[test]
fn a_reload_between_the_preparation_and_the_word() {
    let router = Router::start();
    let early = router.half_a_request();
    let armed = arm(&router, Pool::Green).expect("armed");
    router.reload();
    let view = moved(&armed.commit(), Pool::Green);
    assert_eq!(
        view.workers.len(),
        1,
        "the worker that the open connection led to"
    );
    assert_eq!(
        (router.get(), Router::other_half(early)),
        ("green".into(), "green".into())
    );
}

#[test]
fn an_older_worker_that_disagrees_is_drift() {
    let router = Router::start();
    let _early = router.half_a_request();
    router.reload();
    let map = router.path("map/pools.map");
    let old = &router.workers().expect("workers").1[0];
    router.ask(
        "master.sock",
        &format!("@!{old} set map {} shop green:green:0", map.display()),
    );
    let seen = view(&router);
    assert!(!seen.is_all(Pool::Blue));
    assert_eq!(seen.drift(), Some(format!("another worker ({old}) serves green")));
    let armed = arm(&router, Pool::Blue).expect("armed");
    moved(&armed.commit(), Pool::Blue);
    assert!(
        view(&router).is_all(Pool::Blue),
        "a flip to the same pool mends it"
    );
}

#[test]
fn a_value_that_is_only_in_memory_is_drift() {
    let router = Router::start();
    let map = router.path("map/pools.map");
    router.ask(
        "admin.sock",
        &format!("set map {} shop green:green:0", map.display()),
    );
    let drift = view(&router).drift().expect("drift");
    assert!(
        drift.contains("its file says blue: a reload would flip it"),
        "{drift}"
    );
}

#[test]
fn a_key_that_was_not_there_is_added() {
    let router = Router::start_with("other blue:blue:0");
    let armed = arm(&router, Pool::Green).expect("armed");
    moved(&armed.commit(), Pool::Green);
    assert_eq!(router.map(), "other blue:blue:0\nshop green:green:0\n");
    assert_eq!(router.get(), "green");
}

#[test]
fn a_canary_is_a_route_too() {
    let router = Router::start();
    let canary = "blue:green:25".parse().expect("a route");
    let armed = shell::arm(
        &router.haproxy().flip_script("lb1", &canary).expect("a script"),
        None,
    )
    .expect("armed");
    let view = Haproxy::flipped(&armed.commit()).expect("moved");
    assert_eq!(
        (view.live, view.persisted, view.agrees()),
        (canary, Some(canary), true)
    );
}

#[test]
fn another_apps_flip_in_between_is_kept() {
    let router = Router::start();
    for helper in ["perl", "python3", "socat"] {
        let Some(path) = router.only(helper) else { continue };
        fs::write(router.path("map/pools.map"), BEFORE).expect("written");
        let armed = shell::arm(&flip_to(&router.haproxy(), Pool::Green), Some(&path)).expect("armed");
        let theirs = BEFORE.replace("last blue:blue:0", "last green:green:0");
        fs::write(router.path("map/pools.map"), &theirs).expect("written");
        moved(&armed.commit(), Pool::Green);
        assert_eq!(
            router.map(),
            AFTER.replace("last blue:blue:0", "last green:green:0"),
            "{helper}"
        );
    }
}

/// Without the comparison of our own line in `commit` this flip goes through (seen with it taken out).
#[test]
fn our_own_line_changed_by_hand_stops_the_flip() {
    let router = Router::start();
    let armed = arm(&router, Pool::Green).expect("armed");
    let theirs = BEFORE.replace("shop   blue:blue:0", "shop   blue:green:10");
    fs::write(router.path("map/pools.map"), &theirs).expect("written");
    let problem = not_done(&armed.commit());
    assert!(
        problem.contains("expected shop to be blue:blue:0 still, found blue:green:10"),
        "{problem}"
    );
    assert_eq!((router.map(), router.get().as_str()), (theirs, "blue"));
    assert_eq!(router.left_behind(), 0);
}

/// A flip never reloads, so a configuration that HAProxy would refuse does not matter to it, nor what a reload made
/// of it: the workers go on with the old one, and they are moved.
#[test]
fn a_broken_configuration_keeps_no_flip_from_its_end() {
    let router = Router::start();
    let before = router.workers().expect("workers").0;
    fs::write(
        router.path("haproxy.cfg"),
        "frontend web\n    bind nowhere at all\n",
    )
    .expect("written");
    let armed = arm(&router, Pool::Green).expect("armed");
    moved(&armed.commit(), Pool::Green);
    assert_eq!(
        router.workers().expect("workers").0,
        before,
        "no worker was replaced"
    );
    // Somebody reloads: HAProxy refuses the file (that is the fault firing), and its master waits.
    router.signal("-USR2");
    router.wait("the refusal", || {
        router.log().contains("Error(s) found in configuration file")
    });
    router.wait("the master's answer", || router.workers().is_some());
    let armed = arm(&router, Pool::Blue).unwrap_or_else(|problem| panic!("{problem}"));
    moved(&armed.commit(), Pool::Blue);
    assert_eq!((router.get().as_str(), router.left_behind()), ("blue", 0));
}

#[test]
fn what_is_refused_is_put_back() {
    let router = Router::start();
    let between = Between::start(
        &router.path("between.sock"),
        &router.path("admin.sock"),
        Fault::Refuse,
    );
    let script = flip_to(&router.haproxy_by("between.sock"), Pool::Green);
    for helper in ["perl", "python3", "socat"] {
        let Some(path) = router.only(helper) else { continue };
        let before = between.fired();
        let output = shell::arm(&script, Some(&path)).expect("armed").commit();
        assert!(between.fired() > before, "the fault fired");
        let problem = not_done(&output);
        assert!(
            problem.contains("found blue:blue:0") && problem.contains("Permission denied"),
            "{problem}"
        );
        assert_eq!(router.map(), BEFORE, "{helper}: byte for byte");
        assert_eq!((router.get().as_str(), router.left_behind()), ("blue", 0));
    }
}

#[test]
fn a_command_that_may_still_arrive_is_in_doubt() {
    let router = Router::start();
    let between = Between::start(
        &router.path("between.sock"),
        &router.path("admin.sock"),
        Fault::Hang,
    );
    let script = flip_to(&router.haproxy_by("between.sock"), Pool::Green);
    let problem = in_doubt(&shell::arm(&script, None).expect("armed").commit());
    assert!(between.fired() > 0);
    assert!(problem.contains("no answer in time"), "{problem}");
    assert_eq!(router.map(), AFTER, "the file already says what may arrive");
}

#[test]
fn an_answer_that_is_lost_is_read_back() {
    for fault in [Fault::Lose, Fault::Cut] {
        let router = Router::start();
        let between = Between::start(&router.path("between.sock"), &router.path("admin.sock"), fault);
        let script = flip_to(&router.haproxy_by("between.sock"), Pool::Green);
        moved(&shell::arm(&script, None).expect("armed").commit(), Pool::Green);
        assert_eq!(between.fired(), 1);
    }
}

#[test]
fn haproxy_ends_between_the_preparation_and_the_word() {
    let router = Router::start();
    let armed = arm(&router, Pool::Green).expect("armed");
    let workers = router.workers().expect("workers").0;
    router.signal("-KILL");
    for pid in workers {
        assert!(
            Command::new("kill")
                .args(["-KILL", &pid])
                .status()
                .expect("kill")
                .success()
        );
    }
    let problem = in_doubt(&armed.commit());
    assert!(
        problem.contains("was put back, but what HAProxy does cannot be read"),
        "{problem}"
    );
    assert_eq!(router.map(), BEFORE);
}

#[test]
fn what_cannot_be_moved_is_refused_before_anything_is_touched() {
    let router = Router::start();
    let refused = |haproxy: &Haproxy| match shell::arm(&flip_to(haproxy, Pool::Green), None) {
        Err(problem) => problem.replace(&router.path("").display().to_string(), ""),
        Ok(_) => panic!("armed"),
    };
    let inode = || {
        fs::metadata(router.path("map/pools.map"))
            .expect("a file")
            .permissions()
            .mode()
    };
    let before = inode();
    insta::assert_snapshot!(refused(&router.haproxy_by("user.sock")), @"user.sock: expected level admin, found user: the flip sets a map");
    insta::assert_snapshot!(refused(&router.haproxy_by("none.sock")), @"none.sock: No such file or directory");
    let path = router.only("true").expect("a path");
    let output = shell::arm(&flip_to(&router.haproxy(), Pool::Green), Some(&path))
        .err()
        .expect("refused");
    assert!(
        output.contains("expected perl, python3, socat or `nc -U`"),
        "{output}"
    );

    fs::rename(router.path("map/pools.map"), router.path("map/real")).expect("renamed");
    insta::assert_snapshot!(refused(&router.haproxy()), @"map/pools.map is not there: see `pointsman switch config`");
    symlink(router.path("map/real"), router.path("map/pools.map")).expect("linked");
    insta::assert_snapshot!(refused(&router.haproxy()), @"map/pools.map is a symbolic link: expected a plain file that can be replaced");
    assert_eq!(
        (router.map().as_str(), inode(), router.get().as_str()),
        (BEFORE, before, "blue")
    );
}

#[test]
fn a_flip_that_is_not_carried_out_leaves_nothing() {
    let router = Router::start();
    let script = flip_to(&router.haproxy(), Pool::Green);
    let armed = shell::arm(&script, None).expect("armed");
    assert_eq!(router.left_behind(), 2);
    assert_eq!(armed.cut().code, 11);
    assert_eq!(
        (router.left_behind(), router.map().as_str(), router.get().as_str()),
        (0, BEFORE, "blue")
    );

    // Killed, it leaves files that the next flip overwrites, and no process.
    let armed = shell::arm(&script, None).expect("armed");
    let mut relays = children(armed.pid());
    assert!(!relays.is_empty(), "a relay runs");
    armed.kill();
    router.wait("the relay's end", || {
        relays.retain(|pid| fs::metadata(format!("/proc/{pid}")).is_ok());
        relays.is_empty()
    });
    assert_eq!((router.left_behind(), router.map().as_str()), (2, BEFORE));
    moved(&shell::arm(&script, None).expect("armed").commit(), Pool::Green);
    assert_eq!(router.left_behind(), 0);
}

/// Process ids whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent_of = |pid| {
        stat(pid)
            .rsplit(')')
            .next()?
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    };
    fs::read_dir("/proc")
        .expect("processes")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

#[test]
fn the_files_mode_is_kept() {
    let router = Router::start();
    let map = router.path("map/pools.map");
    fs::set_permissions(&map, fs::Permissions::from_mode(0o640)).expect("set");
    let armed = arm(&router, Pool::Green).expect("armed");
    moved(&armed.commit(), Pool::Green);
    let mode = fs::metadata(&map).expect("a file").permissions().mode() & 0o777;
    assert_eq!(format!("{mode:o}"), "640");
}

/// Where a flip meets reloads at any instant, what is said of it is what is: in memory, in the file, in every worker.
#[test]
fn flips_in_a_storm_of_reloads() {
    let router = Router::start();
    let rounds = if std::env::var("POINTSMAN_LONG").is_ok_and(|long| !long.is_empty()) {
        60
    } else {
        6
    };
    for round in 0..rounds {
        let pool = if round % 2 == 0 { Pool::Green } else { Pool::Blue };
        let _early = router.half_a_request();
        let before = router.workers().expect("workers").0;
        let armed = arm(&router, pool).expect("armed");
        router.signal("-USR2");
        std::thread::sleep(std::time::Duration::from_millis(round * 7 % 60));
        moved(&armed.commit(), pool);
        router.wait("the reload's end", || {
            router.workers().is_some_and(|w| w.0.len() == 1 && w.0 != before)
        });
        let seen = view(&router);
        assert!(seen.is_all(pool), "round {round}: {seen:?}");
        assert_eq!(router.get(), pool.as_str(), "round {round}");
    }
}

/// A master that reloads is away for a moment, and that may be between its list of workers and what one of them says.
/// Without the second try in routes.sh the look and the flip are in doubt (seen with it taken out).
#[test]
fn a_master_that_is_away_for_a_moment_is_asked_again() {
    let router = Router::start();
    let _early = router.half_a_request();
    router.reload();
    let away = Between::away(&router.path("away.sock"), &router.path("master.sock"));
    let haproxy = router.haproxy_with("admin.sock", "away.sock");
    let seen = haproxy
        .view(&shell::read(&haproxy.observe_script("lb1")))
        .expect("a view");
    assert!(seen.is_all(Pool::Blue) && seen.workers.len() == 1, "{seen:?}");
    let looked = away.fired();
    assert!(looked > 0, "the fault fired");
    let armed = shell::arm(&flip_to(&haproxy, Pool::Green), None).expect("armed");
    assert_eq!(moved(&armed.commit(), Pool::Green).workers.len(), 1);
    assert!(away.fired() > looked, "the fault fired");
}

#[test]
fn doctor_sees_what_is_wrong() {
    let router = Router::start();
    let wrong = |haproxy: &Haproxy| -> Vec<String> {
        let output = shell::read(&haproxy.doctor_script("lb1"));
        let at = router.path("").display().to_string();
        let findings = haproxy.findings("lb1", &output);
        assert!(!findings.is_empty());
        findings
            .into_iter()
            .filter(|f| !f.ok)
            .map(|f| f.what.replace(&at, ""))
            .collect()
    };
    assert_eq!(
        wrong(&router.haproxy()),
        ["expected checks of all servers of backend shop_green, found none of web3"]
    );
    let user = wrong(&router.haproxy_by("user.sock"));
    assert!(
        user.contains(&"expected level admin of user.sock, found user".to_owned()),
        "{user:?}"
    );
    let none = wrong(&router.haproxy_by("none.sock"));
    assert_eq!(
        none,
        ["expected HAProxy to answer, found none.sock: No such file or directory"]
    );
    let map = router.path("map/pools.map");
    router.ask(
        "admin.sock",
        &format!("set map {} shop green:green:0", map.display()),
    );
    let drift = wrong(&router.haproxy()).remove(0);
    assert_eq!(
        drift,
        "serves green, but its file says blue: a reload would flip it"
    );
}
