//! The main job where a name's records are the switch: BIND takes signed updates, a second BIND follows it, and clients ask
//! an unbound that caches. They resolve by themselves, keep answers for their TTL as honest clients do, and lose nothing.

#![allow(
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "figures are part of the test's output"
)]

#[path = "support/process.rs"]
mod process;
#[path = "dns_zones/server.rs"]
mod server;
mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};
use process::{Process, free_port, local};
use server::{Program, Server, WRITER, ZONE, named, secret_of};
use support::load::{Lead, Load};
use support::outside::Outside;
use support::scene::{NoRouters, Undone, containers, none_lost, root, switched, until};
use support::{Pointsman, Running, lab, reset};

/// Requests a second over all clients.
const RATE: u32 = 150;
/// Clients, each with a cache of its own.
const SHOP: &str = "shop.z.example";

/// Seconds for which answers may be kept, longer than it takes to bring a release as far as its start: 30 in the long run.
fn ttl() -> u32 {
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long");
    if long { 30 } else { 20 }
}

/// The addresses of a name by one server, and their TTL: asked by the test itself.
fn resolve(server: u16, name: &str) -> Result<(Vec<String>, u32), String> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(
        Name::from_ascii(format!("{name}.")).unwrap(),
        RecordType::A,
    ));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.connect(local(server)).unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..3 {
        socket
            .send(&question.to_vec().unwrap())
            .map_err(|e| e.to_string())?;
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        let answer = Message::from_vec(&buffer[..length]).map_err(|e| e.to_string())?;
        let mut addresses = Vec::new();
        let mut ttl = u32::MAX;
        for record in &answer.answers {
            if let RData::A(address) = &record.data {
                addresses.push(address.0.to_string());
                ttl = ttl.min(record.ttl);
            }
        }
        addresses.sort();
        if addresses.is_empty() {
            return Err(format!("{name} has no address: {}", answer.response_code));
        }
        return Ok((addresses, ttl));
    }
    Err("the resolver does not answer".to_owned())
}

/// A client that resolves by itself and keeps an answer for its TTL; in turn it goes to each address.
fn honest(resolver: u16) -> Lead {
    let cache = Mutex::new((Vec::<String>::new(), Instant::now(), 0_usize));
    Arc::new(move || {
        let mut cache = cache.lock().unwrap();
        if Instant::now() >= cache.1 || cache.0.is_empty() {
            let (addresses, ttl) = resolve(resolver, SHOP)?;
            cache.0 = addresses;
            cache.1 = Instant::now() + Duration::from_secs(ttl.into());
        }
        cache.2 += 1;
        let address = &cache.0[cache.2 % cache.0.len()];
        Ok(format!("{address}:80"))
    })
}

/// A server of its own folder, that answers about the shop.
async fn started(port: u16, folder: &Path, command: &mut Command) -> Process {
    let mut process = Process::start(command, &folder.join("log"));
    process.until(async || resolve(port, SHOP).is_ok()).await;
    process
}

/// A caching resolver that asks these servers; `extra` goes into its `server:`.
async fn unbound(servers: &[u16], extra: &str) -> (Process, u16, tempfile::TempDir) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let dir = folder.path().display().to_string();
    let stubs: String = servers
        .iter()
        .map(|port| format!("  stub-addr: 127.0.0.1@{port}\n"))
        .collect();
    let config = format!(
        "server:\n  directory: \"{dir}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"{dir}/pid\"\n  use-syslog: no\n  \
         do-daemonize: no\n  num-threads: 1\n  interface: 127.0.0.1@{port}\n  do-ip6: no\n  module-config: \"iterator\"\n  \
         do-not-query-localhost: no\n  access-control: 127.0.0.0/8 allow\n{extra}remote-control:\n  control-enable: no\n\
         stub-zone:\n  name: \"{ZONE}\"\n{stubs}"
    );
    std::fs::write(folder.path().join("unbound.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/unbound");
    command
        .arg("-d")
        .arg("-c")
        .arg(folder.path().join("unbound.conf"));
    let process = started(port, folder.path(), &mut command).await;
    (process, port, folder)
}

/// Primary, secondary and resolver, and an environment whose switch they are.
struct Names {
    _quiet: NoRouters,
    primary: Server,
    secondary: (Process, u16, tempfile::TempDir),
    resolver: (Process, u16, tempfile::TempDir),
}

fn addresses(hosts: [&str; 2]) -> Vec<String> {
    let mut all: Vec<String> = hosts
        .iter()
        .map(|host| lab()[&host.to_uppercase()].clone())
        .collect();
    all.sort();
    all
}

impl Names {
    async fn start(ttl: u32) -> Names {
        let quiet = NoRouters::stopped();
        let primary = Server::start(Program::Bind).await;
        let shop = RecordSet {
            name: SHOP.to_owned(),
            kind: Kind::A,
            ttl,
            values: addresses(["web1", "web2"]),
            share: None,
        };
        let first = Replace {
            old: None,
            new: Some(shop),
        };
        primary.zone().replace(&[first]).await.expect("the first records");
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let dir = folder.path().display().to_string();
        // It looks by itself: the least that BIND takes is a second, its own checks come at random within that.
        let config = format!(
            "options {{ directory \"{dir}\"; pid-file \"{dir}/pid\"; session-keyfile \"{dir}/session.key\"; lock-file none;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no;\n\
             min-refresh-time 1; max-refresh-time 1; min-retry-time 1; max-retry-time 1; }};\ncontrols {{ }};\n\
             zone \"{ZONE}\" {{ type secondary; primaries {{ 127.0.0.1 port {}; }}; }};\n",
            primary.port
        );
        std::fs::write(folder.path().join("named.conf"), config).unwrap();
        let process = started(port, folder.path(), &mut named(&folder.path().join("named.conf"))).await;
        let secondary = (process, port, folder);
        let resolver = unbound(&[primary.port, secondary.1], "").await;
        Names {
            _quiet: quiet,
            primary,
            secondary,
            resolver,
        }
    }

    /// The environment `two-pools` with these names as its switch.
    fn environment(&self, ttl: u32, of_dns: &str) -> Pointsman {
        self.asking(&[self.secondary.1], &[self.resolver.1], ttl, of_dns)
    }

    /// The same, with these name servers besides the primary, and a prober that asks these resolvers.
    fn asking(&self, secondaries: &[u16], resolvers: &[u16], ttl: u32, of_dns: &str) -> Pointsman {
        let places = |ports: &[u16]| -> String {
            let all: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
            all.join(", ")
        };
        let (secondaries, resolvers) = (places(secondaries), places(resolvers));
        let switch = format!(
            "[switch.dns]\n{of_dns}\nname = \"{SHOP}\"\nttl = \"{ttl}s\"\nnameservers = [\"127.0.0.1:{}\", {secondaries}]\n\
             resolvers = [{resolvers}]\n[switch.rfc2136]\nserver = \"127.0.0.1:{}\"\nkey = \"{WRITER}\"\nsecret = \"{}\"",
            self.primary.port,
            self.primary.port,
            secret_of(WRITER)
        );
        let mount = "    volumes:\n      - ${POINTSMAN_FORWARD}:/etc/nginx/pointsman:ro\n    ports:\n";
        let edit = ("docker-compose.production.yml", "    ports:\n", mount);
        switched("dns", "rfc2136", &switch, &[edit])
    }

    /// What the primary says itself.
    fn led_to(&self) -> Vec<String> {
        resolve(self.primary.port, SHOP).expect("the primary answers").0
    }
}

/// Without the wait before the claim (`steps::left`) the pool that caches still lead to was replaced 10.3 s after the
/// rollback, at a TTL of 20 s (seen).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_does_the_main_job() {
    let ttl = ttl();
    reset("two-pools");
    let names = Names::start(ttl).await;
    let pointsman = names.environment(ttl, "");
    let (blue, green) = (addresses(["web1", "web2"]), addresses(["web3", "web4"]));
    pointsman.expect(&["deploy", "v1"], 0);
    assert_eq!(names.led_to(), green);
    pointsman.expect(&["doctor"], 0);
    pointsman.expect(&["status"], 0).says(&[
        "green is hot",
        "compared by the provider",
        &format!("up to {ttl} s"),
    ]);

    let load = Load::led(honest(names.resolver.1), "/version", RATE);
    pointsman.expect(&["deploy", "v2"], 0).says(&["0 lost"]);
    assert_eq!(names.led_to(), blue);
    // Back, by records alone; who has an old answer is still served by the pool that was left.
    let since = Instant::now();
    pointsman.expect(&["rollback"], 0).says(&["0 lost"]);
    println!("a rollback took {:?}", since.elapsed());
    let left = Instant::now();
    assert_eq!(names.led_to(), green);
    // The next deploy is to the pool that caches still lead to: its containers live until nobody can come.
    let before = running("web1");
    assert!(!before.is_empty());
    let watch = std::thread::spawn(move || {
        until("the pool to be replaced", Duration::from_secs(300), || {
            running("web1") != before
        });
        left.elapsed()
    });
    let text = pointsman.expect(&["deploy", "v3"], 0).text();
    let replaced = watch.join().expect("it was replaced in the end");
    println!("the pool that was left was replaced {replaced:?} after the rollback, TTL {ttl} s");
    assert!(replaced >= Duration::from_secs(ttl.into()), "{text}");
    let shots = load.stop();
    none_lost("a name", &shots);
    let answers: std::collections::BTreeMap<&str, usize> =
        shots.iter().fold(Default::default(), |mut all, shot| {
            *all.entry(shot.answer.as_deref().unwrap_or("lost")).or_default() += 1;
            all
        });
    println!("answers: {answers:?}");
    assert!(answers.contains_key("v3") && answers.contains_key("v2"));
    pointsman.expect(&["history"], 0).says(&["v3", "rollback"]);
}

/// The app's containers on a host, as they are now.
fn running(host: &str) -> String {
    let all = containers(host);
    let mut up: Vec<&str> = all.lines().filter(|line| line.contains(" running ")).collect();
    up.sort_unstable();
    up.join("\n")
}

/// A run that is killed is ended from another machine, by what the note and the hosts keep; one that slept is fenced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_died_or_slept() {
    reset("two-pools");
    let names = Names::start(2).await;
    let pointsman = names.environment(2, "");
    let (blue, green) = (addresses(["web1", "web2"]), addresses(["web3", "web4"]));
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    let load = Load::led(honest(names.resolver.1), "/version", RATE);
    // Killed before and after the records moved.
    for (lines, end, hot) in [(4, "resume", &green), (6, "abort", &green), (8, "resume", &blue)] {
        let command = if names.led_to() == blue {
            "rollback"
        } else {
            "flip"
        };
        let before = names.led_to();
        let running = Running::of(&pointsman, &[command]);
        let Some(journal) = running.kill_after(lines, Duration::ZERO) else {
            println!("{command} had ended before line {lines}");
            continue;
        };
        let run = running.run(&journal);
        let elsewhere = names.environment(2, "");
        let ran = elsewhere.run(&[end, &run]);
        println!("{command} killed at line {lines}, {end}: exit {}", ran.code());
        assert!(matches!(ran.code(), 0 | 50), "{}", ran.text());
        let led = names.led_to();
        let wanted = if end == "resume" || ran.code() == 50 {
            led != before
        } else {
            led == before
        };
        assert!(wanted, "{before:?}, then {led:?} ({hot:?})\n{}", ran.text());
        if ran.code() == 50 {
            elsewhere.expect(&["resume", &run], 0);
        }
        elsewhere.expect(&["status"], 0).says(&["lock: free"]);
    }
    // Overtaken in its sleep.
    let slept = Running::of(&pointsman, &["deploy", "v3"]);
    let journal = slept.stop_after_lines(6).expect("it was still at work");
    let run = slept.run(&journal);
    pointsman.expect(&["rollback"], 30).says(&[&run]);
    pointsman.expect(&["deploy", "v1", "--steal", &run], 0);
    let before = names.led_to();
    let (code, text) = slept.go_on();
    assert_eq!(code, 31, "{text}");
    assert_eq!(names.led_to(), before);
    none_lost("a name, with runs that die", &load.stop());
    // The pool that the name leads to dies: nothing answers there at all, and it can be left.
    let hot = if before == blue {
        ["web1", "web2"]
    } else {
        ["web3", "web4"]
    };
    for host in hot {
        root(host, "docker kill $(docker ps -q)");
    }
    let since = Instant::now();
    pointsman.expect(&["rollback"], 0);
    println!("a rollback from a dead pool took {:?}", since.elapsed());
    assert_ne!(names.led_to(), before);
    drop(Outside::new());
}

/// With tail-forwarding every client meets the new release within 2 s, though caches lead half of them to the old pool for
/// much longer. (Without `tail_forward` the old release goes on answering until the TTL has passed, as the first test's
/// figures show.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_that_was_left_hands_requests_on() {
    const TTL: u32 = 20;
    reset("two-pools");
    let names = Names::start(TTL).await;
    let pointsman = names.environment(TTL, "tail_forward = true");
    let (blue, green) = (addresses(["web1", "web2"]), addresses(["web3", "web4"]));
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    let load = Load::led(honest(names.resolver.1), "/version", RATE);
    let mut moves = Vec::new();
    for (command, tag, left) in [
        ("rollback", "v1", &blue),
        ("flip", "v2", &green),
        ("rollback", "v1", &blue),
    ] {
        // Everybody has an answer of now, some of it fresh.
        until("requests", Duration::from_secs(20), {
            let (load, seen) = (&load, load.count());
            move || load.count() > seen + 300
        });
        let since = Instant::now();
        pointsman.expect(&[command], 0).says(&["0 lost"]);
        println!("{command} took {:?}", since.elapsed());
        moves.push((Instant::now(), tag, left.clone()));
    }
    until("requests", Duration::from_secs(20), {
        let (load, seen) = (&load, load.count());
        move || load.count() > seen + 600
    });
    let shots = load.stop();
    none_lost("handed on", &shots);
    let mut handed_on = 0;
    for (number, (at, tag, left)) in moves.iter().enumerate() {
        let until = moves.get(number + 1).map_or_else(Instant::now, |_| {
            // The next command begins to move traffic some time before it ends.
            *at + Duration::from_secs(2)
        });
        let after: Vec<_> = shots
            .iter()
            .filter(|shot| shot.sent > *at && shot.sent < until)
            .collect();
        let old = after
            .iter()
            .filter(|shot| shot.answer.as_deref() != Ok(*tag))
            .count();
        let by_the_old = after
            .iter()
            .filter(|shot| left.iter().any(|l| shot.router.starts_with(&**l)))
            .count();
        println!(
            "to {tag}: {} requests sent after the command had ended, {old} answered by the old release, {by_the_old} went to the pool that was left",
            after.len()
        );
        assert_eq!(old, 0, "answers of the old release after the command had ended");
        assert!(!after.is_empty());
        handed_on += by_the_old;
    }
    // What caches led to the pool that was left was answered by the other.
    assert!(handed_on > 0, "no cache led anybody to the pool that was left");
    // A host of the pool that is to be led to, and that hands requests on whatever it is told: clients would meet the old
    // release, so the name goes back. (Asked with the header that keeps a request where it was sent, all would look well.)
    assert_eq!(names.led_to(), green);
    let stubborn = Undone::done(
        "web1",
        "folder=$(dirname \"$(find /home/deploy -name forward.conf)\"); rm -f /tmp/enough; \
         (while [ ! -e /tmp/enough ]; do : >\"$folder/on\"; sleep 0.02; done; rm -f \"$folder/on\") >/dev/null 2>&1 &",
        "touch /tmp/enough",
    );
    let text = pointsman.expect(&["flip"], 11).text();
    drop(stubborn);
    assert!(text.contains(&format!("{} (v1)", lab()["WEB1"])), "{text}");
    assert_eq!(names.led_to(), green);
    // The inventory wants it no more, and blue was told to hand on: it is told to stop before it is led to. (Without that
    // the flip was led back, exit 11: blue answered as green does.)
    let plain = names.environment(TTL, "");
    let on = "find /home/deploy -path '*forward*' -name on";
    assert_ne!(root("web2", on).trim(), "", "blue does not hand on");
    plain
        .expect(&["flip"], 0)
        .says(&["caches may lead clients to green"]);
    assert_eq!(names.led_to(), blue);
    assert_eq!(root("web2", on).trim(), "");
}

/// An address from which no answer comes holds nobody up where `min_up` allows it. (Without `min_up` the same deploy ends
/// with exit 10, before anything moves.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_silent() {
    reset("two-pools");
    let names = Names::start(2).await;
    let blue = addresses(["web1", "web2"]);
    let strict = names.environment(2, "");
    strict.expect(&["deploy", "v1"], 0);
    // Clients' packets vanish on their way to one address, those of its neighbours and of SSH do not.
    let (network, _) = lab()["WEB1"].rsplit_once('.').unwrap();
    let here = format!("{network}.1");
    let rule = format!("DOCKER-USER -s {here} -p tcp -m conntrack --ctorigdstport 80 -j DROP");
    let (on, off) = (format!("iptables -w -I {rule}"), format!("iptables -w -D {rule}"));
    let silent = Undone::done("web1", &on, &off);
    let since = Instant::now();
    strict.expect(&["deploy", "v2"], 10).says(&["DOWN"]);
    println!("without min_up it was refused after {:?}", since.elapsed());
    let lenient = names.environment(2, "min_up = 1");
    let since = Instant::now();
    lenient.expect(&["deploy", "v2"], 0);
    println!("with it the deploy took {:?}", since.elapsed());
    assert_eq!(names.led_to(), blue);
    let packets = root(
        "web1",
        "iptables -w -nvxL DOCKER-USER | awk '$3 == \"DROP\" {print $1}'",
    );
    drop(silent);
    assert!(
        packets.trim().parse::<u64>().unwrap() > 0,
        "nothing was dropped: {packets:?}"
    );
    // A name server that never follows: a flip counts only once all do, so it is led back when `settle` is over. (With the
    // secondary that follows in its place the same flip is done.)
    let stuck = Server::start(Program::Bind).await;
    let first = Replace {
        old: None,
        new: Some(names.primary.zone().read(&[SHOP]).await.unwrap().remove(0)),
    };
    stuck.zone().replace(&[first]).await.unwrap();
    let lags = names.asking(&[stuck.port], &[names.resolver.1], 2, "settle = \"2s\"");
    lags.expect(&["flip"], 11)
        .says(&[&format!("127.0.0.1:{}", stuck.port)]);
    assert_eq!(names.led_to(), blue);
    until("the secondary to follow", Duration::from_secs(20), || {
        resolve(names.secondary.1, SHOP).is_ok_and(|(led, _)| led == blue)
    });
    let follows = names.environment(2, "settle = \"2s\"");
    follows.expect(&["flip"], 0);
    assert_ne!(names.led_to(), blue);
}

/// What makes a deploy by a name stop, with words: a TTL above the inventory's is lowered first; records of somebody else
/// are shown and left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ttls_and_strangers() {
    reset("two-pools");
    let names = Names::start(6).await;
    let pointsman = names.environment(2, "");
    pointsman.expect(&["deploy", "v1", "--no-flip"], 0);
    let since = Instant::now();
    pointsman
        .expect(&["plan", "v1"], 0)
        .says(&["lower the TTL from 6 s to 2 s"]);
    pointsman.expect(&["deploy", "v1"], 0).says(&["lower-ttl"]);
    assert!(
        since.elapsed() > Duration::from_secs(6),
        "the old TTL was not waited out"
    );
    assert_eq!(resolve(names.primary.port, SHOP).unwrap().1, 2);
    let zone = names.primary.zone();
    let old = zone.read(&[SHOP]).await.unwrap().remove(0);
    let stranger = RecordSet {
        values: vec!["192.0.2.99".to_owned()],
        ..old.clone()
    };
    let by_hand = |old: &RecordSet, new: &RecordSet| {
        vec![Replace {
            old: Some(old.clone()),
            new: Some(new.clone()),
        }]
    };
    zone.replace(&by_hand(&old, &stranger)).await.unwrap();
    pointsman
        .expect(&["deploy", "v2"], 20)
        .says(&["192.0.2.99", "pointsman did not write these"]);
    assert_eq!(names.led_to(), ["192.0.2.99"]);
    zone.replace(&by_hand(&stranger, &old)).await.unwrap();
    pointsman.expect(&["status"], 0).says(&["lock: free"]);

    // Half of one pool, half of the other, as a provider leaves it that changes record by record: told, and mended.
    let half = RecordSet {
        values: addresses(["web2", "web3"]),
        ttl: 5,
        ..old.clone()
    };
    zone.replace(&by_hand(&old, &half)).await.unwrap();
    pointsman
        .expect(&["status"], 0)
        .says(&["records of both pools", "up to 5 s"]);
    pointsman.expect(&["flip", "--to", "green"], 0);
    assert_eq!(names.led_to(), addresses(["web3", "web4"]));

    // A note that somebody took away: the next one is above every epoch there was, also of flips, which fence no host.
    let epoch = |text: &str| -> u64 {
        let rest = text.split_once("\"epoch\":").unwrap().1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    let note = async || zone.read(&["_pointsman.shop.z.example"]).await.unwrap().remove(0);
    let before = note().await;
    let gone = Replace {
        old: Some(before.clone()),
        new: None,
    };
    zone.replace(&[gone]).await.unwrap();
    pointsman.expect(&["deploy", "v2"], 0);
    let (before, after) = (
        epoch(&before.values.concat()),
        epoch(&note().await.values.concat()),
    );
    println!("a note that was taken away: epoch {before}, then {after}");
    assert!(after > before);

    // Somebody who keeps coming to green, which nothing leads to any more: refused with nothing touched, or ended, as the
    // inventory says. Meanwhile a resolver that stretches answers is told of, and holds nothing up.
    assert_eq!(names.led_to(), addresses(["web1", "web2"]));
    let stays = Stays::at(&lab()["WEB3"]);
    let before = running("web3");
    let since = Instant::now();
    pointsman
        .expect(&["deploy", "v3"], 10)
        .says(&["green is not quiet", "web3", "clients still come"]);
    println!("clients that stay: refused after {:?}", since.elapsed());
    assert_eq!(running("web3"), before, "what runs there was touched");
    assert_eq!(names.led_to(), addresses(["web1", "web2"]));
    let clamping = unbound(&[names.primary.port], "  cache-min-ttl: 600\n").await;
    assert!(resolve(clamping.1, SHOP).unwrap().1 > 60);
    let ends = names.asking(
        &[names.secondary.1],
        &[names.resolver.1, clamping.1],
        2,
        "stragglers = \"end\"",
    );
    ends.expect(&["deploy", "v3"], 0).says(&[
        "green is not quiet",
        &format!("127.0.0.1:{}", clamping.1),
        "a resolver keeps answers longer than their TTL",
    ]);
    assert_eq!(names.led_to(), addresses(["web3", "web4"]));
    assert!(stays.came() > 20, "nobody came");
}

/// Somebody who asks one address again and again, whatever the name says.
struct Stays(
    Arc<(AtomicBool, AtomicUsize)>,
    Option<std::thread::JoinHandle<()>>,
);

impl Stays {
    fn at(address: &str) -> Stays {
        let state = Arc::new((AtomicBool::new(true), AtomicUsize::new(0)));
        let (shared, address) = (state.clone(), format!("{address}:80"));
        let thread = std::thread::spawn(move || {
            while shared.0.load(Ordering::Relaxed) {
                if std::net::TcpStream::connect(&address).is_ok() {
                    shared.1.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Stays(state, Some(thread))
    }

    /// How often it was answered.
    fn came(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
        drop(self.1.take().map(std::thread::JoinHandle::join));
    }
}
