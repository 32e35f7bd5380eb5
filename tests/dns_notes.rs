//! The note beside a name, over a real BIND: one run takes the lock, and what is late or stale changes nothing.

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

/// Runs that begin at once, and how often.
const RUNS: usize = 8;
const ROUNDS: u64 = 100;
const SHOP: &str = "shop.z.example";

struct Site {
    server: Server,
    inventory: Inventory,
    sessions: Sessions,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Site {
        let server = Server::start(Program::Bind).await;
        let first = Replace {
            old: None,
            new: Some(RecordSet {
                name: SHOP.to_owned(),
                kind: Kind::A,
                ttl: 5,
                values: vec!["127.0.0.1".to_owned()],
                share: None,
            }),
        };
        server.zone().replace(&[first]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("compose.yml"),
            "services:\n  web: {image: a}\n",
        )
        .unwrap();
        let text = format!(
            "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
             [pools.blue]\nhosts = [\"127.0.0.1\"]\n[pools.green]\nhosts = [\"127.0.0.2\"]\n\
             [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n[switch]\nconnector = \"rfc2136\"\n\
             url = \"http://{SHOP}:1\"\n[switch.dns]\nname = \"{SHOP}\"\nttl = \"5s\"\nnameservers = [\"127.0.0.1:{port}\"]\n\
             [switch.rfc2136]\nserver = \"127.0.0.1:{port}\"\nkey = \"{WRITER}\"\nsecret = \"{}\"\n",
            secret_of(WRITER),
            port = server.port
        );
        let file = folder.path().join("production.toml");
        std::fs::write(&file, text).unwrap();
        let file = Utf8PathBuf::try_from(file).unwrap();
        let inventory =
            Inventory::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let sessions = Sessions::new(&inventory.ssh).unwrap();
        Site {
            server,
            inventory,
            sessions,
            _folder: folder,
        }
    }

    /// As another machine has it.
    fn noted(&self) -> Noted {
        noted(&self.inventory, &self.sessions).unwrap().expect("an API")
    }

    async fn led_to(&self) -> Vec<String> {
        self.server.zone().read(&[SHOP]).await.unwrap().remove(0).values
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
    let site = Arc::new(Site::start().await);
    let since = Instant::now();
    let (mut locked, mut raced) = (0, 0);
    for epoch in 0..ROUNDS {
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
        "{ROUNDS} rounds of {RUNS}: one winner each; {locked} found the lock taken, {raced} a newer epoch; {:?} a round",
        since.elapsed() / u32::try_from(ROUNDS).unwrap()
    );
}

#[tokio::test]
async fn a_stale_epoch_changes_nothing() {
    let site = Site::start().await;
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
    assert_eq!(site.led_to().await, ["127.0.0.1"]);
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
    assert_eq!(site.led_to().await, ["127.0.0.2"]);
    assert_eq!(new.release(&right).await, Ok(Done::Applied));
    assert_eq!(new.release(&right).await, Ok(Done::AlreadyDone));
    let again = old.acquire(&take("old", 0, None)).await;
    assert_eq!(again, Err(StoreError::Raced { seen: 2 }));
}
