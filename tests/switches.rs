//! What every connector must do, against the real programs, set up by what `switch config` prints: no SSH, a shell as on
//! a router. What goes over SSH and needs the guard is in `lab_switches`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "figures are part of the test's output"
)]

#[path = "haproxy/app.rs"]
mod app;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "support/load.rs"]
mod load;
#[path = "switches/program.rs"]
mod program;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use load::Load;
use pointsman::inventory::Pool;
use pointsman::switch::Route;
use program::{Kind, Program};

/// The tests of one program.
macro_rules! conforms {
    ($name:ident, $kind:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn fifty_flips_and_back_under_load() {
                super::fifty_flips_and_back_under_load($kind);
            }
            #[test]
            fn reloads_without_end() {
                super::reloads_without_end($kind);
            }
            #[test]
            fn it_survives_a_restart_also_in_the_middle() {
                super::it_survives_a_restart_also_in_the_middle($kind);
            }
            #[test]
            fn what_cannot_be_moved_is_refused() {
                super::what_cannot_be_moved_is_refused($kind);
            }
            #[test]
            fn nobody_is_there() {
                super::nobody_is_there($kind);
            }
            #[test]
            fn a_dead_server_is_seen_and_gets_nothing() {
                super::a_dead_server_is_seen_and_gets_nothing($kind);
            }
            #[test]
            fn a_pool_that_was_dead_takes_every_request() {
                super::a_pool_that_was_dead_takes_every_request($kind);
            }
        }
    };
}
conforms!(haproxy, Kind::Haproxy);
conforms!(nginx, Kind::Nginx);
conforms!(caddy, Kind::Caddy);
conforms!(envoy, Kind::Envoy);
conforms!(exec, Kind::Apache);

/// A canary gets its share, over a restart too.
#[test]
fn envoy_divides_requests() {
    let mut program = Program::start(Kind::Envoy);
    let canary = Route {
        live: Pool::Blue,
        next: Pool::Green,
        percent: 20,
    };
    let armed = program.arm_route(&canary).unwrap();
    let view = program.flipped(&armed.commit()).unwrap();
    assert_eq!((view.live, view.drift()), (canary, None));
    program.restart();
    let view = program.view().unwrap();
    assert_eq!((view.live, view.drift()), (canary, None));
    let load = Load::start(&[format!("127.0.0.1:{}", program.port)], "/", RATE);
    program.wait("enough answers", || load.count() > 2000);
    let answers: Vec<String> = load.stop().into_iter().map(|shot| shot.answer.unwrap()).collect();
    let green = answers.iter().filter(|answer| *answer == "green").count();
    println!("envoy: {green} of {} for a canary of 20 %", answers.len());
    // Of 2,000, 20 % is 400 and one standard deviation 18; this is more than five.
    assert!(
        (15..=25).contains(&(green * 100 / answers.len())),
        "{green} of {}",
        answers.len()
    );
    program.flip(Pool::Green);
    assert_eq!(program.get().as_deref(), Some("green"));
}

/// Envoy watches a folder that is no longer the one that is written: nothing has moved, and that is said.
#[test]
fn an_envoy_that_looks_elsewhere_is_told() {
    let program = Program::start(Kind::Envoy);
    fs::rename(program.path("flags"), program.path("moved")).unwrap();
    fs::create_dir(program.path("flags")).unwrap();
    let before = fs::read(program.path("moved/shop.json")).unwrap();
    fs::write(program.path("flags/shop.json"), &before).unwrap();
    let armed = program.arm(Pool::Green).unwrap();
    let (problem, in_doubt) = program.flipped(&armed.commit()).unwrap_err();
    println!("envoy: {problem}");
    assert!(!in_doubt, "{problem}");
    assert!(
        problem.contains("found blue:blue:0 with 0 % for green"),
        "{problem}"
    );
    assert_eq!(
        fs::read(program.path("flags/shop.json")).unwrap(),
        before,
        "the file is put back"
    );
    assert!(program.view().unwrap().is_all(Pool::Blue));
    assert_eq!(program.get().as_deref(), Some("blue"));
}

/// A value that somebody sets by hand at Envoy's admin interface is above the file's, and is told.
#[test]
fn what_envoy_uses_is_asked_of_envoy() {
    let program = Program::start(Kind::Envoy);
    program.admin("POST /runtime_modify?pointsman.shop.green=100");
    program.wait("it to be seen", || {
        program.view().is_ok_and(|view| view.drift().is_some())
    });
    let drift = program.view().unwrap().drift().unwrap();
    println!("envoy: {drift}");
    assert_eq!(program.get().as_deref(), Some("green"));
    assert!(!program.wrong().is_empty());
    let armed = program.arm(Pool::Blue).unwrap();
    let moved = program.flipped(&armed.commit());
    assert!(moved.is_err(), "{moved:?}");
    program.admin("POST /runtime_modify?pointsman.shop.green=");
    program.wait("the file to be in force", || {
        program.view().is_ok_and(|view| view.is_all(Pool::Blue))
    });
    program.flip(Pool::Green);
}

/// By hand: no package has kamal-proxy. It has no reload, and asks no other server when one dies.
mod kamal_proxy {
    use super::*;

    #[test]
    #[ignore = "POINTSMAN_TEST_KAMAL_PROXY must name a kamal-proxy that was built by hand"]
    fn fifty_flips_and_back_under_load() {
        super::fifty_flips_and_back_under_load(Kind::KamalProxy);
    }
    #[test]
    #[ignore = "POINTSMAN_TEST_KAMAL_PROXY must name a kamal-proxy that was built by hand"]
    fn it_survives_a_restart_also_in_the_middle() {
        super::it_survives_a_restart_also_in_the_middle(Kind::KamalProxy);
    }
    #[test]
    #[ignore = "POINTSMAN_TEST_KAMAL_PROXY must name a kamal-proxy that was built by hand"]
    fn what_cannot_be_moved_is_refused() {
        super::what_cannot_be_moved_is_refused(Kind::KamalProxy);
    }
    #[test]
    #[ignore = "POINTSMAN_TEST_KAMAL_PROXY must name a kamal-proxy that was built by hand"]
    fn nobody_is_there() {
        super::nobody_is_there(Kind::KamalProxy);
    }
    #[test]
    #[ignore = "POINTSMAN_TEST_KAMAL_PROXY must name a kamal-proxy that was built by hand"]
    fn a_pool_that_was_dead_takes_every_request() {
        super::a_pool_that_was_dead_takes_every_request(Kind::KamalProxy);
    }
}

/// Requests a second.
const RATE: u32 = 500;

fn lost(load: Load) -> (usize, Vec<String>) {
    let shots = load.stop();
    let lost = shots.iter().filter_map(|shot| shot.answer.clone().err());
    (shots.len(), lost.collect())
}

/// 50 there and 50 back; a request that begins after a flip is answered by the new pool.
fn fifty_flips_and_back_under_load(kind: Kind) {
    let program = Program::start(kind);
    let load = Load::start(&[format!("127.0.0.1:{}", program.port)], "/", RATE);
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        for pool in [Pool::Green, Pool::Blue] {
            let armed = program.arm(pool).unwrap_or_else(|problem| panic!("{problem}"));
            assert_ne!(
                program.get().as_deref(),
                Some(pool.as_str()),
                "nothing moves before the word"
            );
            let since = Instant::now();
            let output = armed.commit();
            slowest = slowest.max(since.elapsed());
            let view = program
                .flipped(&output)
                .unwrap_or_else(|(problem, _)| panic!("{problem}"));
            assert!(view.is_all(pool), "{view:?}");
            assert_eq!(program.get().as_deref(), Some(pool.as_str()));
        }
    }
    let (requests, lost) = lost(load);
    println!(
        "{}: 100 flips, {requests} requests, {} lost, slowest word {slowest:?}",
        kind.name(),
        lost.len()
    );
    assert!(
        lost.is_empty(),
        "{} of {requests}: {:?}",
        lost.len(),
        &lost[..lost.len().min(10)]
    );
    assert!(program.wrong().is_empty(), "{:?}", program.wrong());
}

/// Whatever the program does with its clients while it reloads: a flip is done, or it is known that it is not.
fn reloads_without_end(kind: Kind) {
    let program = Program::start(kind);
    let (stop, reloads) = (AtomicBool::new(false), AtomicU32::new(0));
    let load = Load::start(&[format!("127.0.0.1:{}", program.port)], "/", 100);
    let (mut flips, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                program.reload();
                reloads.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(300)); // faster, and HAProxy's workers crash (MEASURED.md)
            }
        });
        let mut pool = Pool::Green;
        while flips < 20 || reloads.load(Ordering::SeqCst) < 10 {
            match program.arm(pool).map(|armed| program.flipped(&armed.commit())) {
                Ok(Ok(view)) if view.is_all(pool) => {
                    flips += 1;
                    assert_eq!(program.get().as_deref(), Some(pool.as_str()));
                    pool = pool.other();
                }
                Ok(Err((problem, true))) => panic!("in doubt: {problem}"),
                _ => refused += 1,
            }
            assert!(refused < 50, "{refused} refused");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let (requests, lost) = lost(load);
    println!(
        "{}: {flips} flips among {reloads:?} reloads, {refused} tries refused; {requests} requests, {} lost to the reloads",
        kind.name(),
        lost.len()
    );
}

fn it_survives_a_restart_also_in_the_middle(kind: Kind) {
    let mut program = Program::start(kind);
    program.flip(Pool::Green);
    program.restart();
    assert!(
        program.view().unwrap().is_all(Pool::Green),
        "{:?}",
        program.view()
    );
    assert_eq!(program.get().as_deref(), Some("green"));
    // Restarted between the preparation and the word.
    let armed = program.arm(Pool::Blue).unwrap();
    program.restart();
    let output = armed.commit();
    let view = program
        .flipped(&output)
        .unwrap_or_else(|(problem, _)| panic!("{problem}"));
    assert!(view.is_all(Pool::Blue), "{view:?}");
    // Away when the word comes: what is said of it holds once it is back.
    let armed = program.arm(Pool::Green).unwrap();
    program.stop();
    let said = program.flipped(&armed.commit());
    program.run();
    let now = program.get();
    match said {
        Err((_, false)) => assert_eq!(now.as_deref(), Some("blue"), "said to be unchanged: {said:?}"),
        Err((_, true)) => {}
        Ok(_) => panic!("moved, with nobody there: {said:?}"),
    }
    assert!(program.view().unwrap().agrees());
    println!("{}: away at the word: {said:?}, then {now:?}", kind.name());
}

fn what_cannot_be_moved_is_refused(kind: Kind) {
    let program = Program::start(kind);
    fs::rename(program.path("flags"), program.path("moved")).unwrap();
    let refused = program.arm(Pool::Green).map(drop).unwrap_err();
    println!("{}: {refused}", kind.name());
    assert!(refused.contains("flags"), "{refused}");
    assert!(!program.wrong().is_empty());
    fs::rename(program.path("moved"), program.path("flags")).unwrap();
    assert_eq!(program.wrong(), Vec::<String>::new());
    // Cut before the word.
    program.arm(Pool::Green).unwrap().cut();
    program.arm(Pool::Green).unwrap().kill();
    assert!(program.view().unwrap().is_all(Pool::Blue));
    assert_eq!(program.get().as_deref(), Some("blue"));
    program.flip(Pool::Green);
}

fn nobody_is_there(kind: Kind) {
    let mut program = Program::start(kind);
    program.stop();
    let unread = program.view().unwrap_err();
    let refused = program.arm(Pool::Green).map(drop).unwrap_err();
    println!("{}: {unread}; {refused}", kind.name());
    assert!(!program.wrong().is_empty());
    program.run();
    assert!(program.view().unwrap().is_all(Pool::Blue), "nothing was changed");
}

/// Of two servers one dies: no request is lost, and it is seen from the router.
fn a_dead_server_is_seen_and_gets_nothing(kind: Kind) {
    let mut program = Program::start(kind);
    let load = Load::start(&[format!("127.0.0.1:{}", program.port)], "/", 200);
    program.kill_a_server(1);
    program.wait("it to be seen", || {
        program.view().is_ok_and(|view| view.up(Pool::Blue) == 1)
    });
    let words = program.view().unwrap().servers_in_words(Pool::Blue);
    let (requests, lost) = lost(load);
    println!(
        "{}: {words}; {requests} requests, {} lost",
        kind.name(),
        lost.len()
    );
    assert!(lost.is_empty(), "{:?}", &lost[..lost.len().min(10)]);
}

/// A pool whose servers all failed before it was deployed to: at the flip, what a router remembers of that loses nothing.
///
/// Without nginx's second line for each server (`backup`), 502 to all that came within 2 s of the last failure, and later
/// to all but one for each server, until that one was answered; without Caddy's `lb_try_duration`, 503.
fn a_pool_that_was_dead_takes_every_request(kind: Kind) {
    let mut program = Program::start(kind);
    for number in [1, 2] {
        program.kill_a_server(number);
    }
    program.wait("its failures to be seen", || {
        program.get().is_none() && program.view().is_ok_and(|view| view.up(Pool::Blue) == 0)
    });
    program.flip(Pool::Green);
    for number in [1, 2] {
        program.revive_a_server(number);
    }
    program.wait("them to be up", || {
        program.view().is_ok_and(|view| view.up(Pool::Blue) == 2)
    });
    let load = Load::start(&[format!("127.0.0.1:{}", program.port)], "/", RATE);
    program.wait("green to answer", || load.count() > 100);
    program.flip(Pool::Blue);
    let flipped = load.count();
    program.wait("blue to answer", || load.count() > flipped + 500);
    let (requests, lost) = lost(load);
    println!("{}: {requests} requests, {} lost", kind.name(), lost.len());
    assert!(lost.is_empty(), "{:?}", &lost[..lost.len().min(10)]);
}
