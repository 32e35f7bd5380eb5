//! What only PostgreSQL can do wrong: logins, TLS, tables, disks, standbys, and what it calls committed.

use std::process::Command;

use pointsman::inventory::state::SslMode;
use pointsman::state::postgres::Postgres;
use pointsman::state::{Done, Store, StoreError};

use super::postgres::{PASSWORD, Server};
use super::process::must;
use super::suite::{journal, lines, right, state, take, text};

/// The refusal of this store's first use, in words; never with the password.
async fn refused(store: Result<Postgres, StoreError>) -> String {
    let error = match store {
        Ok(store) => match store.acquire(&take(0, 1, "a", None)).await {
            Ok(done) => panic!("expected a refusal, found {done:?}"),
            Err(error) => error,
        },
        Err(error) => error,
    };
    let words = format!("{error} {error:?}");
    assert!(!words.contains(PASSWORD) && !words.contains("p%40ss"), "{words}");
    match error {
        StoreError::Refused { problem, hint } => format!("{problem}\n{hint}"),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

fn says(words: &str, expected: &[&str]) {
    for part in expected {
        assert!(words.contains(part), "expected {part:?} in {words}");
    }
}

#[tokio::test]
async fn logins_and_databases_that_are_wrong_are_refused_in_words() {
    let server = Server::new().await;
    let at = |url: String| server.store_at(&url, SslMode::Disable, None, "login");
    let url = server.url("127.0.0.1", server.port);
    let wrong = refused(at(url.replace("p%40ss", "p%40sS"))).await;
    says(
        &wrong,
        &[
            "PostgreSQL at 127.0.0.1:",
            "password authentication failed",
            "state.url",
        ],
    );
    let nobody = refused(at(url.replace("//ci:", "//nobody:"))).await;
    says(&nobody, &["password authentication failed for user \"nobody\""]);
    let nowhere = refused(at(url.replace("/pointsman", "/nowhere"))).await;
    says(&nowhere, &["database \"nowhere\" does not exist", "createdb"]);
    // A user who may log in, and nothing else.
    server
        .admin("CREATE ROLE guest LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .await;
    let guest = format!("postgresql://guest:guest@127.0.0.1:{}/pointsman", server.port);
    says(&refused(at(guest.clone())).await, &["permission denied", "GRANT"]);
    // The controls: the right ones are taken, also by who may use the tables and not create any.
    at(url).unwrap().acquire(&take(0, 1, "a", None)).await.unwrap();
    server
        .admin(
            "GRANT SELECT, INSERT, UPDATE ON pointsman_lock, pointsman_journal TO guest;
             GRANT SELECT ON pointsman_schema TO guest",
        )
        .await;
    let guest = at(guest).unwrap();
    guest.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
    // And a server that is not there is told apart from all of these.
    server.stop().await;
    let gone = guest.read().await;
    assert!(
        matches!(&gone, Err(StoreError::Unreachable { hint, .. }) if hint.contains("pg_isready")),
        "{gone:?}"
    );
    let gone = guest.release(&right("a", 1)).await;
    assert!(matches!(&gone, Err(StoreError::Unreachable { .. })), "{gone:?}");
}

#[tokio::test]
async fn tls_is_as_strict_as_the_url_says() {
    let server = Server::new().await;
    let at = |host: &str, mode, ca| server.store_at(&server.url(host, server.port), mode, ca, "tls");
    let good = at("localhost", SslMode::VerifyFull, Some("ca.pem")).unwrap();
    good.acquire(&take(0, 1, "a", None)).await.unwrap();
    // What the server itself says of the connections that it has.
    let tls = must(
        Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "admin", "-d", "pointsman", "-tA"])
            .args(["-c", "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE application_name = 'pointsman'"])
            .env("PGPASSWORD", PASSWORD),
    );
    assert_eq!(tls.trim(), "t");
    let other = refused(at("localhost", SslMode::VerifyFull, Some("other-ca.pem"))).await;
    says(&other, &["certificate", "state.ca_file"]);
    let system = refused(at("localhost", SslMode::VerifyFull, None)).await;
    says(&system, &["certificate", "state.ca_file"]);
    says(
        &refused(at("localhost", SslMode::Require, Some("other-ca.pem"))).await,
        &["certificate"],
    );
    says(
        &refused(at("localhost", SslMode::VerifyFull, Some("password"))).await,
        &["PEM"],
    );
    for (mode, ca) in [
        (SslMode::Require, None),
        (SslMode::Require, Some("ca.pem")),
        (SslMode::Prefer, None),
        (SslMode::Disable, None),
    ] {
        assert_eq!(
            at("localhost", mode, ca).unwrap().read().await.unwrap().epoch,
            1,
            "{mode:?} {ca:?}"
        );
    }

    // A good chain with another server's name.
    server
        .admin_in("postgres", &format!(
            "ALTER SYSTEM SET ssl_cert_file = '{0}/stranger.pem'; ALTER SYSTEM SET ssl_key_file = '{0}/stranger.key'",
            server.folder.path().display()
        ))
        .await;
    server.restart_without(&["ssl_cert_file", "ssl_key_file"]).await;
    says(
        &refused(at("localhost", SslMode::VerifyFull, Some("ca.pem"))).await,
        &["certificate"],
    );
    at("localhost", SslMode::Require, Some("ca.pem"))
        .unwrap()
        .read()
        .await
        .unwrap();
    // A server without TLS.
    server.admin_in("postgres", "ALTER SYSTEM SET ssl = off").await;
    server
        .restart_without(&["ssl=", "ssl_cert_file", "ssl_key_file"])
        .await;
    says(
        &refused(at("localhost", SslMode::Require, None)).await,
        &["TLS", "sslmode"],
    );
    at("localhost", SslMode::Prefer, None)
        .unwrap()
        .read()
        .await
        .unwrap();
}

#[tokio::test]
async fn newer_tables_are_refused_and_first_runs_at_once_create_them_once() {
    let server = Server::new().await;
    let stores: Vec<Postgres> = (0..8).map(|_| server.store("first")).collect();
    let first = take(0, 1, "a", None);
    let takes = stores.iter().map(|store| store.acquire(&first));
    let results = futures::future::join_all(takes).await;
    // All of them are the same run: each call is a repetition of the first one.
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(
        results.iter().filter(|r| **r == Ok(Done::Applied)).count(),
        1,
        "{results:?}"
    );
    server.admin("UPDATE pointsman_schema SET version = 2").await;
    let fresh = server.store("first");
    // Also a connection that was there before the upgrade.
    for store in [&stores[0], &fresh] {
        for error in [
            store.append(&right("a", 1), 0, &lines(0, 1)).await.map(drop),
            store.read().await.map(drop),
        ] {
            let Err(StoreError::Refused { problem, hint }) = error else {
                panic!("expected a refusal, found {error:?}");
            };
            says(&problem, &["version 2", "up to 1"]);
            says(&hint, &["install"]);
        }
    }
    server.admin("UPDATE pointsman_schema SET version = 1").await;
    fresh.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_only_reads_is_refused_and_of_two_the_other_is_asked() {
    let (reads, writes) = (Server::new().await, Server::new().await);
    reads.store("ro").acquire(&take(0, 1, "a", None)).await.unwrap();
    reads
        .admin_in("postgres", "ALTER SYSTEM SET default_transaction_read_only = on")
        .await;
    reads.restart_without(&[]).await;
    says(
        &refused(Ok(reads.store("ro"))).await,
        &["does not allow writes", "standby"],
    );
    let read = reads.store("ro").read().await;
    assert!(
        matches!(read, Err(StoreError::Refused { .. })),
        "what a standby says may be old: {read:?}"
    );
    let both = reads.url(&format!("127.0.0.1:{},127.0.0.1", reads.port), writes.port);
    let both = reads.store_at(&both, SslMode::Disable, None, "ro").unwrap();
    assert_eq!(both.read().await.unwrap().epoch, 0, "the one that writes is new");
    both.acquire(&take(0, 1, "a", None)).await.unwrap();
    assert_eq!(state(&writes.store("ro").read().await.unwrap()), (1, Some("a")));
}

#[tokio::test]
async fn a_full_disk_is_refused_in_words_and_nothing_is_half_written() {
    let server = Server::new().await;
    // Only the tables are on the small disk: where the log has no place, the whole server ends.
    let small = SmallDisk::new(&server);
    server
        .admin_in(
            "postgres",
            &format!("CREATE TABLESPACE small LOCATION '{}'", small.path()),
        )
        .await;
    server
        .admin_in("postgres", "ALTER DATABASE pointsman SET TABLESPACE small")
        .await;
    let store = server.store("full");
    store.acquire(&take(0, 1, "a", None)).await.unwrap();
    let a1 = right("a", 1);
    // Letters that PostgreSQL cannot compress away.
    let line = |seq: u64| {
        let mut x = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let letters = std::iter::repeat_with(|| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            char::from(b'a' + (x % 26) as u8)
        });
        letters.take(200_000).collect::<String>()
    };
    let mut written = Vec::new();
    let error = loop {
        let seq = written.len() as u64;
        match store.append(&a1, seq, &[line(seq), line(seq + 1000)]).await {
            Ok(_) => written.extend([line(seq), line(seq + 1000)]),
            Err(error) => break error,
        }
        assert!(written.len() < 2000, "the disk was never full");
    };
    let StoreError::Refused { problem, hint } = error else {
        panic!("expected a refusal, found {error:?}");
    };
    says(&problem, &["No space left on device"]);
    says(&hint, &["free space"]);
    assert!(!written.is_empty());
    assert!(
        journal(&store, "a").await.unwrap() == text(&written),
        "both lines or none"
    );
    assert_eq!(state(&store.read().await.unwrap()), (1, Some("a")));
}

/// A file system of a few megabytes, in memory.
struct SmallDisk(String);

impl SmallDisk {
    fn new(server: &Server) -> SmallDisk {
        let path = server.folder.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let path = path.display().to_string();
        root(&["mount", "-t", "tmpfs", "-o", "size=16m,mode=0777", "small", &path]);
        // The server sets the mode of its folders itself.
        server.folder.give_away(std::path::Path::new(&path));
        SmallDisk(path)
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server still has it open.
        root(&["umount", "-l", &self.0]);
    }
}

fn root(args: &[&str]) {
    let id = must(Command::new("id").arg("-u"));
    if id.trim() == "0" {
        must(Command::new(args[0]).args(&args[1..]));
    } else {
        must(Command::new("sudo").args(args));
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_on_disk_though_the_server_is_set_to_lose_it() {
    let server = Server::new().await;
    let store = server.store("durable");
    store.acquire(&take(0, 1, "a", None)).await.unwrap();
    // The control: what is written with the server's own settings is lost.
    server.admin("CREATE TABLE careless (line text)").await;
    store.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
    server.admin("INSERT INTO careless VALUES ('acknowledged')").await;
    server.kill_and_start().await;
    let count = server.count("careless").await;
    assert_eq!(
        count, 0,
        "synchronous_commit = off lost nothing: the control shows nothing"
    );
    assert_eq!(journal(&store, "a").await.unwrap(), text(&lines(0, 1)));
    assert_eq!(state(&store.read().await.unwrap()), (1, Some("a")));
}

#[tokio::test]
async fn a_caller_who_gives_up_in_the_middle_leaves_nothing_open() {
    let server = Server::new().await;
    let (a, b) = (server.store("gone"), server.store("gone"));
    a.acquire(&take(0, 1, "a", None)).await.unwrap();
    for micros in (0..4000).step_by(250) {
        let (a1, more) = (right("a", 1), lines(0, 1));
        let patience = std::time::Duration::from_micros(micros);
        let _ = tokio::time::timeout(patience, a.append(&a1, 0, &more)).await;
        // Nobody waits for a transaction that nobody will end.
        let since = std::time::Instant::now();
        b.heartbeat(&a1, "alive").await.unwrap();
        assert!(since.elapsed() < std::time::Duration::from_secs(5), "{micros} µs");
    }
    a.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
    assert_eq!(journal(&b, "a").await.unwrap(), text(&lines(0, 1)));
}
