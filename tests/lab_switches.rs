//! The main job on routers that run nginx, on ones that run Caddy, set up by what `switch config` prints, and on ones that a
//! program of the user's own moves.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the test's output"
)]

mod support;

use std::time::{Duration, Instant};

use support::load::Load;
use support::outside::Outside;
use support::scene::{changed, none_lost, root, until};
use support::{Pointsman, Running, lab, lost, reset, routers};

/// Requests a second over both routers; the app answers no more than some hundreds on a busy machine. Each connector's
/// 100 flips under 500 a second are in `switches`.
const RATE: u32 = 200;
const ROUTERS: [&str; 2] = ["lb1", "lb2"];

/// One program, on a port of its own beside HAProxy.
struct Switch {
    program: &'static str,
    /// `program` too, or `exec`: then the program below moves it.
    connector: &'static str,
    port: u16,
    /// Where the configuration goes, and what stands for the port in it.
    file: &'static str,
    listen: (&'static str, &'static str),
}

const NGINX: Switch = Switch {
    program: "nginx",
    connector: "nginx",
    port: 81,
    file: "/etc/nginx/conf.d/shop.conf",
    listen: ("listen 80 default_server", "listen 81 default_server"),
};
const CADDY: Switch = Switch {
    program: "caddy",
    connector: "caddy",
    port: 82,
    file: "/etc/caddy/Caddyfile",
    listen: ("\n:80 {", "\n:82 {"),
};

const EXEC: Switch = Switch {
    connector: "exec",
    ..NGINX
};
/// What moves it.
const PROGRAM: &str = include_str!("lab_switches/pointsman-switch");

impl Switch {
    fn flags(&self) -> String {
        format!("/etc/{}/pointsman/shop", self.program)
    }

    fn routers(&self) -> Vec<String> {
        routers("ROUTER_URLS")
            .iter()
            .map(|router| router.replace(":80", &format!(":{}", self.port)))
            .collect()
    }

    /// Two routers with this program, as the printed configuration says; nothing is deployed.
    fn set_up(&self) -> Pointsman {
        reset("two-pools");
        let connector = |name: &str| format!("connector = \"{name}\"");
        let urls: Vec<(String, String)> = lab()["ROUTER_URLS"]
            .split_whitespace()
            .map(|url| (format!("\"{url}\""), format!("\"{url}:{}\"", self.port)))
            .collect();
        let program = connector(self.program);
        let mut edits = vec![("two-pools.toml", "connector = \"haproxy\"", program.as_str())];
        edits.extend(
            urls.iter()
                .map(|(from, to)| ("two-pools.toml", from.as_str(), to.as_str())),
        );
        let mut pointsman = changed(self.program, &edits);
        let config = pointsman.expect(&["switch", "config"], 0).stdout();
        let (from, to) = self.listen;
        assert!(config.contains(from), "{config}");
        let folder = self.flags();
        for router in ROUTERS {
            let text = config.replace(from, to);
            root(
                router,
                &format!(
                    "install -d -m 755 -o deploy {folder} && cat >{} <<'END'\n{text}\nEND\nsv -w 10 up {}",
                    self.file, self.program
                ),
            );
        }
        if self.connector == "exec" {
            let name = config
                .split("server_name ")
                .nth(1)
                .and_then(|rest| rest.split(';').next());
            let tables = format!(
                "[switch.exec]\nprogram = \"/usr/local/bin/pointsman-switch\"\nargs = [\"{folder}\", \"9180\", \"{}\"]\n\n[switch.haproxy]",
                name.expect("the name by which nginx says which pool it uses")
            );
            for router in ROUTERS {
                let install = "install -m 755 /dev/stdin /usr/local/bin/pointsman-switch";
                root(router, &format!("{install} <<'END'\n{PROGRAM}\nEND"));
            }
            let exec = connector(self.connector);
            let mut edits = edits.clone();
            edits[0].2 = &exec;
            edits.push(("two-pools.toml", "[switch.haproxy]", &tables));
            pointsman = changed(self.connector, &edits);
        }
        until("both to answer", Duration::from_secs(20), || {
            pointsman.run(&["status"]).code() == 0
        });
        pointsman
    }
}

#[test]
fn nginx_does_the_main_job() {
    main_job(&NGINX);
}

#[test]
fn caddy_does_the_main_job() {
    main_job(&CADDY);
}

#[test]
fn a_program_of_the_users_own_does_the_main_job() {
    main_job(&EXEC);
}

/// Deploys, flips and rolls back under load; then a router fails, and a writer comes too late.
fn main_job(switch: &Switch) {
    let pointsman = switch.set_up();
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["doctor"], 0);
    let load = Load::start(&switch.routers(), "/version", RATE);
    pointsman.expect(&["deploy", "v2"], 0).says(&["0 lost"]);
    pointsman.expect(&["deploy", "v3"], 0).says(&["0 lost"]);
    let mut slowest = Duration::ZERO;
    for _ in 0..2 {
        for command in ["rollback", "flip"] {
            let since = Instant::now();
            pointsman.expect(&[command], 0).says(&["0 lost"]);
            slowest = slowest.max(since.elapsed());
        }
    }
    println!("{}: slowest of four flips {slowest:?}", switch.connector);
    let hot = || pointsman.expect(&["status", "--json"], 0).stdout();
    let before = hot();
    assert!(before.contains("blue"), "{before}");

    none_lost(&format!("{}: deploys and flips", switch.connector), &load.stop());

    // One of two routers cannot be read: nothing moves, on either. What is on its way through the one that hangs is its
    // own affair: its time-outs may strike when it goes on.
    let load = Load::start(&switch.routers(), "/version", RATE);
    root("lb2", &format!("pkill -STOP -x {}", switch.program));
    pointsman.expect(&["rollback"], 20).says(&["lb2"]);
    root("lb2", &format!("pkill -CONT -x {}", switch.program));
    let (well, hung): (Vec<_>, Vec<_>) = load
        .stop()
        .into_iter()
        .partition(|shot| shot.router == switch.routers()[0]);
    none_lost(&format!("{}: the other router hangs", switch.connector), &well);
    println!(
        "{}: {} of {} lost through that one",
        switch.connector,
        lost(&hung).len(),
        hung.len()
    );
    pointsman.expect(&["status"], 0).says(&["lock: free"]);

    // A dead host in the standby is seen from the routers.
    pointsman
        .expect(&["deploy", "v1", "--no-flip", "--without", "web3"], 50)
        .says(&["cannot leave a server out"]);

    stale_writer(switch, &pointsman);
    reset("two-pools");
}

/// A flip that is stopped in its tracks, overtaken, and goes on: it changes nothing.
fn stale_writer(switch: &Switch, pointsman: &Pointsman) {
    let outside = Outside::new();
    let flags = |router: &str| root(router, &format!("ls {}", switch.flags()));
    let running = Running::of(pointsman, &["deploy", "v1"]);
    let journal = running.stop_after_lines(6).expect("it was still at work");
    let run = running.run(&journal);
    pointsman.expect(&["deploy", "v2", "--steal", &run], 0);
    let before = (ROUTERS.map(flags), outside.routers());
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    assert_eq!(before, (ROUTERS.map(flags), outside.routers()));
}
