//! The note beside a name, over a real BIND and over a Route 53 that compares as AWS documents: one run takes the lock, and
//! what is late or stale changes nothing.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends there, as it should; figures are part of the output"
)]

#[path = "support/process.rs"]
mod process;
#[path = "dns_zones/server.rs"]
mod server;
#[path = "aws/strict.rs"]
mod strict;

use std::sync::Arc;
use std::time::Instant;

use camino::Utf8PathBuf;
use pointsman::inventory::{Inventory, Pool};
use pointsman::remote::Sessions;
use pointsman::state::noted::Noted;
use pointsman::state::{Done, Right, Store as _, StoreError, Take, noted};
use pointsman::switch::Route;
use pointsman::switch::api::{ApiError, Change};
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};
use server::{Program, Server, WRITER, secret_of};
use strict::Strict;

/// Runs that begin at once.
const RUNS: usize = 8;

/// Where the name and its note stand.
enum Provider {
    Bind(Server),
    Route53(Strict),
}

impl Provider {
    async fn bind() -> Provider {
        let server = Server::start(Program::Bind).await;
        let first = Replace {
            old: None,
            new: Some(RecordSet {
                name: "shop.z.example".to_owned(),
                kind: Kind::A,
                ttl: 5,
                values: vec!["127.0.0.1".to_owned()],
                share: None,
            }),
        };
        server.zone().replace(&[first]).await.unwrap();
        Provider::Bind(server)
    }

    async fn route53() -> Provider {
        let strict = Strict::start().await;
        strict.put("shop.example.com", "A", 5, &["127.0.0.1"]);
        Provider::Route53(strict)
    }

    fn name(&self) -> &'static str {
        match self {
            Provider::Bind(_) => "shop.z.example",
            Provider::Route53(_) => "shop.example.com",
        }
    }

    /// `[switch]` and what belongs to it.
    fn switch(&self) -> String {
        let (connector, nameserver, keys) = match self {
            Provider::Bind(server) => (
                "rfc2136",
                server.port,
                format!(
                    "[switch.rfc2136]\nserver = \"127.0.0.1:{}\"\nkey = \"{WRITER}\"\nsecret = \"{}\"\n",
                    server.port,
                    secret_of(WRITER)
                ),
            ),
            // Nobody is there: the stand-in answers no questions of DNS.
            Provider::Route53(strict) => (
                "route53",
                1,
                format!(
                    "[switch.aws]\naccess_key = \"a\"\nsecret_key = \"s\"\nendpoint = \"{}\"\n",
                    strict.url()
                ),
            ),
        };
        format!(
            "[switch]\nconnector = \"{connector}\"\nurl = \"http://{name}:1\"\n[switch.dns]\nname = \"{name}\"\n\
             ttl = \"5s\"\nnameservers = [\"127.0.0.1:{nameserver}\"]\n{keys}",
            name = self.name()
        )
    }

    async fn led_to(&self) -> Vec<String> {
        match self {
            Provider::Bind(server) => server.zone().read(&[self.name()]).await.unwrap().remove(0).values,
            Provider::Route53(strict) => strict.sets()[&(self.name().to_owned(), "A".to_owned())].1.clone(),
        }
    }
}

struct Site {
    provider: Provider,
    inventory: Inventory,
    sessions: Sessions,
    _folder: tempfile::TempDir,
}

impl Site {
    fn of(provider: Provider) -> Site {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("compose.yml"),
            "services:\n  web: {image: a}\n",
        )
        .unwrap();
        let text = format!(
            "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
             [pools.blue]\nhosts = [\"127.0.0.1\"]\n[pools.green]\nhosts = [\"127.0.0.2\"]\n\
             [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n{}",
            provider.switch()
        );
        let file = folder.path().join("production.toml");
        std::fs::write(&file, text).unwrap();
        let file = Utf8PathBuf::try_from(file).unwrap();
        let inventory =
            Inventory::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let sessions = Sessions::new(&inventory.ssh).unwrap();
        Site {
            provider,
            inventory,
            sessions,
            _folder: folder,
        }
    }

    /// As another machine has it.
    fn noted(&self) -> Noted {
        noted(&self.inventory, &self.sessions).unwrap().expect("an API")
    }
}

fn take(run: &str, expect: u64, steal: Option<&str>) -> Take {
    Take {
        expect_epoch: expect,
        epoch: expect + 1,
        run: run.to_owned(),
        owner: "{}".to_owned(),
        steal: steal.map(str::to_owned),
    }
}

/// Negative control: with `Rfc2136::overwrite`, which leaves the comparison out, the stale writer wins (`dns_zones`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_runs_at_once_one_takes_the_lock() {
    one_takes_the_lock(Provider::bind().await, 100).await;
}

/// Fewer rounds: over HTTP one takes most of a second on a busy machine. The zone alone has 100 of them in `aws`.
/// Negative control: where the stand-in does not compare what a DELETE names, all eight take the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_runs_at_once_one_takes_the_lock_at_route53() {
    one_takes_the_lock(Provider::route53().await, 10).await;
}

async fn one_takes_the_lock(provider: Provider, rounds: u64) {
    let site = Arc::new(Site::of(provider));
    let since = Instant::now();
    let (mut locked, mut raced) = (0, 0);
    for epoch in 0..rounds {
        let runs = (0..RUNS).map(|number| {
            let site = site.clone();
            tokio::spawn(async move {
                let take = take(&format!("run-{epoch}-{number}"), epoch, None);
                (take.right(), site.noted().acquire(&take).await)
            })
        });
        let mut winners = Vec::new();
        for run in runs.collect::<Vec<_>>() {
            match run.await.unwrap() {
                (right, Ok(Done::Applied)) => winners.push(right),
                (_, Err(StoreError::Locked { .. })) => locked += 1,
                (_, Err(StoreError::Raced { .. })) => raced += 1,
                (right, other) => panic!("{right:?}: {other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "epoch {epoch}: {winners:?}");
        let done = site.noted().release(&winners[0]).await;
        assert_eq!(done, Ok(Done::Applied));
    }
    println!(
        "{rounds} rounds of {RUNS}: one winner each; {locked} found the lock taken, {raced} a newer epoch; {:?} a round",
        since.elapsed() / u32::try_from(rounds).unwrap()
    );
}

#[tokio::test]
async fn a_stale_epoch_changes_nothing() {
    stale_changes_nothing(Provider::bind().await).await;
}

/// Negative control: where the stand-in does not compare what a DELETE names, the late word moves the name.
#[tokio::test]
async fn a_stale_epoch_changes_nothing_at_route53() {
    stale_changes_nothing(Provider::route53().await).await;
}

async fn stale_changes_nothing(provider: Provider) {
    let site = Site::of(provider);
    let (old, new) = (site.noted(), site.noted());
    old.acquire(&take("old", 0, None)).await.unwrap();
    // What the older run has read, and is about to change when it falls asleep.
    let seen = old.api.glance().await.unwrap();
    new.acquire(&take("new", 1, Some("old"))).await.unwrap();
    let right = Right {
        run: "old".to_owned(),
        epoch: 1,
    };
    let green = Route::all(Pool::Green);
    let moved = old
        .write("moving traffic", Some(green), None, &|_, note| {
            Noted::holds(note, &right)?;
            Ok(Done::Applied)
        })
        .await;
    assert!(
        matches!(moved, Err(StoreError::Fenced { seen: 2, ours: 1, .. })),
        "{moved:?}"
    );
    // Its word was on its way already: the server itself compares.
    let change = Change {
        note: "{}",
        to: Some(green),
        ttl: None,
    };
    let late = old.api.change(&seen, &change).await;
    assert!(matches!(late, Err(ApiError::Stale { .. })), "{late:?}");
    assert_eq!(site.provider.led_to().await, ["127.0.0.1"]);
    // The newer run moves, and gives the lock back; the older one cannot take it for its own.
    let right = Right {
        run: "new".to_owned(),
        epoch: 2,
    };
    new.write("moving traffic", Some(green), None, &|_, note| {
        Noted::holds(note, &right)?;
        Ok(Done::Applied)
    })
    .await
    .unwrap();
    assert_eq!(site.provider.led_to().await, ["127.0.0.2"]);
    assert_eq!(new.release(&right).await, Ok(Done::Applied));
    assert_eq!(new.release(&right).await, Ok(Done::AlreadyDone));
    let again = old.acquire(&take("old", 0, None)).await;
    assert_eq!(again, Err(StoreError::Raced { seen: 2 }));
}

/// What goes on being refused as late is shown at last with what to do about it. (A wildcard's records are read as if they
/// stood at the name, and compared as if they did not.)
#[tokio::test]
async fn what_stays_stale_has_a_cure() {
    let (server, folder) = (Server::start(Program::Bind).await, tempfile::tempdir().unwrap());
    let dns = "name = \"a.wild.z.example\"\nblue = [\"192.0.2.7\"]\n";
    let inventory = server.inventory(folder.path(), WRITER, dns);
    let sessions = Sessions::new(&inventory.ssh).unwrap();
    let noted = noted(&inventory, &sessions).unwrap().expect("an API");
    let moved = noted
        .write("moving traffic", Some(Route::all(Pool::Green)), None, &|_, _| {
            Ok(Done::Applied)
        })
        .await;
    let Err(StoreError::Refused { problem, hint }) = moved else {
        panic!("{moved:?}");
    };
    println!("{problem}; {hint}");
    assert!(problem.contains("or is a wildcard's (NXRRSET)"), "{problem}");
    assert!(hint.contains("who else writes"), "{hint}");
}
