//! `pointsman rollback`, the whole process, against a floor in the same run: a hand-written `ssh`
//! one-liner per router that writes the map file and sets the key, one router after the other, and
//! both at once. Needs the lab (`tests/lab/lab up`); deploys v1 and v2 first.
//!
//! `cargo bench --bench rollback` prints medians of 20, taken in turn.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where something is wrong, and prints"
)]

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

fn main() {
    let root = env!("CARGO_MANIFEST_DIR");
    let lab = |args: &[&str]| {
        let output = Command::new(format!("{root}/tests/lab/lab"))
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "lab {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    lab(&["up"]);
    lab(&["reset", "two-pools"]);
    let env: HashMap<String, String> = lab(&["env"])
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    let state = tempfile::tempdir().unwrap();
    let pointsman = |args: &[&str]| {
        let status = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["-q", "-i", &format!("{}/two-pools.toml", env["INVENTORY_DIR"])])
            .args(args)
            .env("POINTSMAN_STATE_DIR", state.path())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "pointsman {args:?}: {status}");
    };
    pointsman(&["deploy", "v1"]);
    pointsman(&["deploy", "v2"]);

    // What a person would type: the file renamed into place, the key set at run time.
    let one_liner = |router: &str, pool: &str| {
        let map = "/etc/haproxy/pointsman/pools.map";
        let value = format!("shop {pool}:{pool}:0");
        let perl = format!(
            "use Socket; socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un(\"/run/haproxy/admin.sock\")) or die; \
             syswrite S,\"set map {map} {value}\\n\"; shutdown S,1; print while <S>;"
        );
        let mut command = Command::new("ssh");
        command
            .args(["-F", "/dev/null", "-i", &env["SSH_KEY"], "-o", "BatchMode=yes"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", env["KNOWN_HOSTS"]))
            .arg(format!("deploy@{router}"))
            .arg(format!(
                "echo {value} > {map}.new && mv {map}.new {map} && perl -e '{perl}'"
            ))
            .stdout(Stdio::null());
        command
    };
    let routers = [env["LB1"].as_str(), env["LB2"].as_str()];
    let (mut ours, mut in_turn, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // blue (v2) is hot at the beginning of each round, and is again after the three.
        ours.push(timed(|| pointsman(&["rollback"])));
        in_turn.push(timed(|| {
            for router in routers {
                assert!(one_liner(router, "blue").status().unwrap().success());
            }
        }));
        at_once.push(timed(|| {
            let children: Vec<_> = routers
                .iter()
                .map(|router| one_liner(router, "green").spawn().unwrap())
                .collect();
            for mut child in children {
                assert!(child.wait().unwrap().success());
            }
        }));
        for router in routers {
            assert!(one_liner(router, "blue").status().unwrap().success());
        }
    }
    let (ours, in_turn, at_once) = (median(ours), median(in_turn), median(at_once));
    println!(
        "rollback, medians of {ROUNDS}: pointsman {ours:.0?}; ssh one-liner per router in turn {in_turn:.0?}, both at once {at_once:.0?}"
    );
    println!(
        "ratio to the one-liners in turn: {:.2}",
        ours.as_secs_f64() / in_turn.as_secs_f64()
    );
    println!(
        "ratio to the one-liners at once: {:.2}",
        ours.as_secs_f64() / at_once.as_secs_f64()
    );
}

fn timed(run: impl FnOnce()) -> Duration {
    let since = Instant::now();
    run();
    since.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
