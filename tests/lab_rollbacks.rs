//! A rollback needs the routers, and nothing else: how long it takes when all else is broken, beside plain ones. Times
//! are printed and not judged, because the machine is not ours alone.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use support::outside::Outside;
use support::scene::wait_seen;
use support::{Fault, Pointsman, Ran, reset};

/// What a rollback took.
struct Took {
    /// The whole command, with its connecting.
    all: Duration,
    /// From the plan, so once every router was connected and read, to the end.
    connected: Duration,
}

/// What is broken while somebody rolls back from blue to green.
enum Broken {
    /// (a) The bad pool's hosts are paused.
    HostsPaused,
    /// (b) No registry.
    Registry,
    /// (c) The operator's state directory is gone.
    State,
    /// (d) One host of the standby is dead: the policy refuses, unless fewer servers are enough.
    StandbyHost,
    /// (e) sshd of the bad pool's hosts is frozen.
    SshFrozen,
}

#[test]
fn rollbacks_when_all_else_is_broken() {
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long");
    let times = if long { 5 } else { 1 };
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    let outside = Outside::new();
    for (name, broken) in [
        ("bad pool's hosts paused", Broken::HostsPaused),
        ("registry stopped", Broken::Registry),
        ("state directory deleted", Broken::State),
        ("one host of the standby dead", Broken::StandbyHost),
        ("sshd of the bad pool frozen", Broken::SshFrozen),
    ] {
        let (mut plain, mut worse) = (Vec::new(), Vec::new());
        for _ in 0..times {
            plain.push(rollback(&outside, &pointsman));
            pointsman.expect(&["flip"], 0);
            let faults = broken.on(&pointsman);
            if matches!(broken, Broken::StandbyHost) {
                let since = Instant::now();
                pointsman
                    .expect(&["rollback"], 50)
                    .says(&["sees 1 of 2 servers of green up"]);
                let all = since.elapsed();
                worse.push(Took { all, connected: all });
                drop(faults);
                wait_seen(["web3", "web4"], &["lb1", "lb2"], true);
                continue;
            }
            worse.push(rollback(&outside, &pointsman));
            drop(faults);
            wait_seen(["web1", "web2"], &["lb1", "lb2"], true);
            pointsman.expect(&["flip"], 0);
        }
        let of = |taken: &[Took], which: fn(&Took) -> Duration| {
            let mut all: Vec<Duration> = taken.iter().map(which).collect();
            all.sort();
            all[all.len() / 2].as_secs_f64()
        };
        let (all, connected) = (of(&plain, |took| took.all), of(&plain, |took| took.connected));
        let (worse_all, worse_connected) = (of(&worse, |took| took.all), of(&worse, |took| took.connected));
        println!(
            "{name}: median of {times}: {worse_all:.2} s, plain {all:.2} s, ratio {:.2}; once connected {worse_connected:.2} s, \
             plain {connected:.2} s, ratio {:.2}{}",
            worse_all / all,
            worse_connected / connected,
            if matches!(broken, Broken::StandbyHost) {
                " (refused by policy; the whole command)"
            } else {
                ""
            }
        );
    }
    reset("two-pools");
}

impl Broken {
    fn on(&self, pointsman: &Pointsman) -> Vec<Fault> {
        let bad = Outside::hosts("blue");
        match self {
            Broken::HostsPaused => bad.map(|host| Fault::on("paused", host)).into(),
            Broken::Registry => vec![Fault::on("registry-down", "registry")],
            Broken::State => {
                pointsman.forget();
                Vec::new()
            }
            Broken::StandbyHost => {
                let dead = vec![Fault::on("paused", "web3")];
                wait_seen(["web3", "web3"], &["lb1", "lb2"], false);
                dead
            }
            Broken::SshFrozen => bad.map(|host| Fault::on("sshd-frozen", host)).into(),
        }
    }
}

/// One rollback to green.
fn rollback(outside: &Outside, pointsman: &Pointsman) -> Took {
    let since = Instant::now();
    let ran = pointsman.expect(&["--json", "rollback"], 0);
    let all = since.elapsed();
    assert_eq!(outside.hot().as_deref(), Ok("green"));
    let connected = at(&ran, "finished").duration_since(at(&ran, "planned"));
    Took {
        all,
        connected: Duration::from_secs_f64(connected.as_secs_f64()),
    }
}

/// When an event was.
fn at(ran: &Ran, event: &str) -> Timestamp {
    let words = format!("\"event\":\"{event}\"");
    let text = ran.stdout();
    let line = text
        .lines()
        .find(|line| line.contains(&words))
        .expect("the event");
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["at"].as_str().unwrap().parse().unwrap()
}
