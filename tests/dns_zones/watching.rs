//! What plain questions see: a secondary that lags, a resolver that keeps or stretches a TTL, answers that do not fit.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use pointsman::switch::api::ApiError;
use pointsman::switch::dns::ask::{self, Answer, ask};
use pointsman::switch::dns::{Kind, Zone as _};
use tempfile::TempDir;

use super::process::{Process, free_port, local, until};
use super::server::{Program, Server, WRITER, ZONE, hmac_of, named, secret_of};
use super::suite::{change, set};

const DEADLINE: Duration = Duration::from_secs(2);

/// A server of its own folder, that answers about the zone.
async fn started(command: impl Fn(&TempDir, u16) -> Command) -> (Process, u16, TempDir) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut process = Process::start(&mut command(&folder, port), &folder.path().join("log"));
    process
        .until(async || {
            ask(local(port), "blue.z.example", Kind::A, true, DEADLINE)
                .await
                .is_ok()
        })
        .await;
    (process, port, folder)
}

async fn secondary(primary: u16) -> (Process, u16, TempDir) {
    started(|folder, port| {
        let dir = folder.path().display();
        let config = format!(
            r#"options {{
  directory "{dir}"; pid-file "{dir}/pid"; session-keyfile "{dir}/session.key"; lock-file none;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
zone "{ZONE}" {{ type secondary; primaries {{ 127.0.0.1 port {primary}; }}; }};
"#
        );
        std::fs::write(folder.path().join("named.conf"), config).unwrap();
        named(&folder.path().join("named.conf"))
    })
    .await
}

async fn unbound(primary: u16, extra: &str) -> (Process, u16, TempDir) {
    started(|folder, port| {
        let dir = folder.path().display();
        let config = format!(
            "server:\n  directory: \"{dir}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"{dir}/pid\"\n  \
             use-syslog: no\n  do-daemonize: no\n  num-threads: 1\n  interface: 127.0.0.1@{port}\n  do-ip6: no\n  \
             module-config: \"iterator\"\n  do-not-query-localhost: no\n  access-control: 127.0.0.0/8 allow\n{extra}\
             remote-control:\n  control-enable: no\n\
             stub-zone:\n  name: \"{ZONE}\"\n  stub-addr: 127.0.0.1@{primary}\n"
        );
        std::fs::write(folder.path().join("unbound.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/unbound");
        command.arg("-d").arg("-c").arg(folder.path().join("unbound.conf"));
        command
    })
    .await
}

/// Tells a secondary that the zone is a new one, as its primary would.
fn notify(secondary: u16) {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Notify;
    message.metadata.authoritative = true;
    let zone = Name::from_ascii(format!("{ZONE}.")).unwrap();
    message.add_query(Query::query(zone, RecordType::SOA));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .send_to(&message.to_vec().unwrap(), local(secondary))
        .unwrap();
}

#[tokio::test]
async fn a_secondary_that_lags_is_seen() {
    let server = Server::start(Program::Bind).await;
    let (_process, port, _folder) = secondary(server.port).await;
    let primary = async || ask::serial(local(server.port), ZONE, DEADLINE).await.unwrap();
    let behind = async || ask::serial(local(port), ZONE, DEADLINE).await.unwrap();
    assert!(ask::at_least(behind().await, primary().await));

    let new = set("www", Kind::A, 5, &["192.0.2.1"]);
    server.zone().replace(&change(None, Some(new))).await.unwrap();
    let wanted = primary().await;
    assert!(!ask::at_least(behind().await, wanted), "nobody told it");
    assert_eq!(
        ask(local(port), "www.z.example", Kind::A, false, DEADLINE).await,
        Ok(None)
    );

    notify(port);
    let took = until("the secondary to follow", async || {
        ask::at_least(behind().await, wanted)
    })
    .await;
    println!("the secondary followed {} ms after NOTIFY", took.as_millis());
    let answer = ask(local(port), "www.z.example", Kind::A, false, DEADLINE)
        .await
        .unwrap()
        .unwrap();
    assert!(answer.authoritative);
    assert_eq!(answer.values, ["192.0.2.1"]);
}

#[tokio::test]
async fn a_resolver_keeps_and_stretches_what_it_knows() {
    let server = Server::start(Program::Bind).await;
    let zone = server.zone();
    let old = set("www", Kind::A, 3, &["192.0.2.1"]);
    let new = set("www", Kind::A, 3, &["192.0.2.2"]);
    zone.replace(&change(None, Some(old.clone()))).await.unwrap();
    let (_plain, plain, _folder) = unbound(server.port, "").await;
    let (_clamp, clamp, _other) = unbound(server.port, "  cache-min-ttl: 20\n").await;
    let www = async |port: u16| -> Answer {
        ask(local(port), "www.z.example", Kind::A, true, DEADLINE)
            .await
            .unwrap()
            .expect("it has an address")
    };
    let first = www(plain).await;
    assert_eq!((first.kind, first.authoritative), (Kind::A, false));
    assert!(first.ttl <= 3, "{first:?}");
    let stretched = www(clamp).await;
    assert!(stretched.ttl > 3, "{stretched:?}");

    zone.replace(&change(Some(old.clone()), Some(new.clone())))
        .await
        .unwrap();
    let changed = Instant::now();
    assert_eq!(www(plain).await.values, old.values, "it keeps what it knows");
    let least = std::cell::Cell::new(u32::MAX);
    until("the resolver to ask again", async || {
        let seen = www(plain).await;
        if seen.values == old.values {
            assert!(seen.ttl <= least.get(), "the TTL counts down: {seen:?}");
            least.set(seen.ttl);
        }
        seen.values == new.values
    })
    .await;
    println!(
        "TTL 3: the resolver had the new address {} ms after the change, least TTL of the old one {} s",
        changed.elapsed().as_millis(),
        least.get()
    );
    let clamped = www(clamp).await;
    assert_eq!(
        clamped.values, old.values,
        "one that stretches TTLs still has the old"
    );
    println!(
        "cache-min-ttl 20: it keeps the old address for {} s more",
        clamped.ttl
    );
}

/// A resolver in the place of the primary is told, with what to name instead.
#[tokio::test]
async fn a_resolver_takes_no_updates() {
    let server = Server::start(Program::Bind).await;
    let (_process, port, _folder) = unbound(server.port, "").await;
    let zone = server.zone_at(port, ZONE, WRITER, &secret_of(WRITER), hmac_of(WRITER).0);
    let new = set("www", Kind::A, 5, &["192.0.2.1"]);
    let error = zone.replace(&change(None, Some(new))).await.unwrap_err();
    println!("{error}; {:?}", error.hint());
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("takes no dynamic updates (NOTIMP)"),
        "{error}"
    );
    let hint = error.hint().unwrap_or_default();
    assert!(
        hint.contains("be the zone's primary") && hint.contains("a resolver"),
        "{hint}"
    );
}

#[tokio::test]
async fn questions_of_every_kind() {
    let server = Server::start(Program::Bind).await;
    let at = local(server.port);
    let zone = server.zone();
    let long = "0123456789".repeat(300);
    let text = set("www", Kind::Txt, 7, &[&long]);
    zone.replace(&change(None, Some(text))).await.unwrap();
    let cname = set("alias", Kind::Cname, 7, &["blue.z.example"]);
    zone.replace(&change(None, Some(cname))).await.unwrap();

    // Too long for a datagram: over TCP.
    let answer = ask(at, "WWW.z.example.", Kind::Txt, false, DEADLINE).await;
    let answer = answer.unwrap().unwrap();
    assert_eq!((answer.ttl, answer.authoritative), (7, true));
    assert_eq!(answer.values, [long]);
    // A CNAME stands in the place of an address.
    let answer = ask(at, "alias.z.example", Kind::A, false, DEADLINE).await;
    let answer = answer.unwrap().unwrap();
    assert_eq!(
        (answer.kind, answer.values),
        (Kind::Cname, vec!["blue.z.example".to_owned()])
    );
    // Nothing of the type, no such name, not its zone.
    assert_eq!(
        ask(at, "blue.z.example", Kind::Aaaa, false, DEADLINE).await,
        Ok(None)
    );
    assert_eq!(
        ask(at, "nothing.z.example", Kind::A, false, DEADLINE).await,
        Ok(None)
    );
    let refused = ask(at, "www.other.example", Kind::A, false, DEADLINE)
        .await
        .unwrap_err();
    assert!(refused.contains("REFUSED"), "{refused}");
    let refused = ask::serial(at, "www.z.example", DEADLINE).await.unwrap_err();
    assert!(refused.contains("no SOA"), "{refused}");
    // The zone's servers; the first resolver that answers counts.
    let servers = ask::nameservers(ZONE, &[local(free_port()), at]).await.unwrap();
    assert_eq!(servers, [("ns1.z.example".to_owned(), local(53))]);
    let none = ask::nameservers("other.example", &[at]).await.unwrap_err();
    assert!(none.contains("REFUSED"), "{none}");
}
