//! What the tests of faults share: an environment with some of its settings changed, waiting, and the judgement of a
//! load.
#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::load::Shot;
use super::{Pointsman, lab, lab_command, lost, routers};

/// Longest that what is under way may take to be seen.
pub const SOON: Duration = Duration::from_secs(20);

/// The environment `two-pools`, with parts of its files replaced: `(file, what stands there, what is to stand there)`.
/// Its files lie beside the lab's own ones, so that what they name is found.
pub fn changed(name: &str, edits: &[(&str, &str, &str)]) -> Pointsman {
    let original = Path::new(&lab()["INVENTORY_DIR"]);
    let folder = original.with_file_name(format!("inventory-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(original).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for (file, from, to) in edits {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }
    Pointsman::with(folder.join("two-pools.toml"))
}

/// The environment `two-pools` with another switch than the lab's load balancers, of which these tables tell, and with
/// further edits.
pub fn switched(name: &str, connector: &str, tables: &str, edits: &[(&str, &str, &str)]) -> Pointsman {
    let urls: Vec<&str> = lab()["ROUTER_URLS"].split_whitespace().collect();
    let router = |name: &str, url: &str| {
        let address = url.trim_start_matches("http://");
        format!("{{ address = \"{address}\", name = \"{name}\", url = \"{url}\" }}")
    };
    let routers = format!(
        "routers = [{}, {}]",
        router("lb1", urls[0]),
        router("lb2", urls[1])
    );
    let haproxy = "connector = \"haproxy\"";
    let (connector, tables) = (format!("connector = \"{connector}\""), format!("\n{tables}"));
    let mut all = vec![
        ("two-pools.toml", haproxy, connector.as_str()),
        ("two-pools.toml", routers.as_str(), tables.as_str()),
    ];
    all.extend(edits);
    changed(name, &all)
}

/// A command that was run as a host's root, and is undone by another one whatever happens.
pub struct Undone(&'static str, String);

impl Undone {
    pub fn done(host: &'static str, command: &str, undo: &str) -> Undone {
        root(host, command);
        Undone(host, undo.to_owned())
    }
}

impl Drop for Undone {
    fn drop(&mut self) {
        root(self.0, &self.1);
    }
}

/// The lab's load balancers, stopped where they are not the switch: their health checks would be clients that still come.
pub struct NoRouters;

impl NoRouters {
    pub fn stopped() -> NoRouters {
        for router in ["lb1", "lb2"] {
            root(router, "sv -w 20 force-stop haproxy || true");
        }
        NoRouters
    }
}

impl Drop for NoRouters {
    fn drop(&mut self) {
        for router in ["lb1", "lb2"] {
            root(router, "sv -w 20 up haproxy");
        }
    }
}

/// Waits until this holds.
pub fn until(what: &str, longest: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !holds() {
        assert!(Instant::now() < end, "waited {longest:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(50)); // the pause between two looks
    }
}

/// A command of the lab's root on a host.
pub fn root(host: &str, command: &str) -> String {
    lab_command(&["root", host, "sh", "-c", command])
}

/// How many packets a fault's filter took.
pub fn hits(fault: &str, host: &str) -> u64 {
    lab_command(&["fault", "hits", fault, host])
        .trim()
        .parse()
        .unwrap()
}

/// Asserts that no request failed, and prints how many there were.
pub fn none_lost(what: &str, shots: &[Shot]) {
    let lost = lost(shots);
    println!("{what}: {} requests, {} lost", shots.len(), lost.len());
    assert!(!shots.is_empty());
    assert!(
        lost.is_empty(),
        "{what}: {} of {} lost: {:?}",
        lost.len(),
        shots.len(),
        &lost[..lost.len().min(10)]
    );
}

/// Names of the containers on a host, in any state.
pub fn containers(host: &str) -> String {
    lab_command(&[
        "ssh",
        host,
        "docker ps -a --format '{{.Names}} {{.State}} {{.Image}}'",
    ])
}

/// What a router's own checks say of a server.
pub fn seen_by(router: &str, server: &str) -> String {
    let stat = lab_command(&["root", router, "lab-ask", "show stat"]);
    let line = stat.lines().find(|line| line.split(',').nth(1) == Some(server));
    let status = line.and_then(|line| line.split(',').nth(17)).unwrap_or_default();
    status.to_owned()
}

/// Waits until these routers see these servers up, or down.
pub fn wait_seen(servers: [&str; 2], by: &[&str], up: bool) {
    until("the routers' own checks", SOON, || {
        let good = |router: &&str| {
            servers
                .iter()
                .all(|server| seen_by(router, server).starts_with("UP") == up)
        };
        by.iter().all(good)
    });
}

/// Packets from one host to the web port of another are dropped, and counted.
pub fn cut(from: &str, to: &str, on: bool) {
    let (op, address) = (if on { "-I" } else { "-D" }, &lab()[&from.to_uppercase()]);
    let spec = "-m comment --comment lab:partition -j DROP";
    root(
        to,
        &format!("iptables -w {op} DOCKER-USER -p tcp -s {address} {spec}"),
    );
}

/// A request that takes this long, through lb1, and the whole answer.
pub fn slow(seconds: u32) -> JoinHandle<String> {
    let mut stream = TcpStream::connect(&routers("ROUTER_URLS")[0]).expect("a connection");
    let request = format!("GET /slow?s={seconds} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    })
}

/// Kills the app's containers: what is in front of them stays.
pub fn kill_apps(hosts: &[&str]) {
    for host in hosts {
        root(
            host,
            "docker kill $(docker ps -q --filter label=com.docker.compose.service=app)",
        );
    }
}

/// The whole answer to one request; empty where there is none.
pub fn ask(server: &str, path: &str) -> String {
    let mut answer = String::new();
    let _ = TcpStream::connect(server).and_then(|mut stream| {
        stream.set_read_timeout(Some(SOON))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(&mut answer)
    });
    answer
}

/// Waits until a router answers with this release.
pub fn wait_hot(tag: &str) {
    until("the flip", Duration::from_secs(60), || {
        ask(&routers("ROUTER_URLS")[0], "/version")
            .lines()
            .any(|line| line.trim() == tag)
    });
}
