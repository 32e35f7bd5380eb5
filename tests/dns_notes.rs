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

use pointsman::inventory::{Inventory, Pool};
use pointsman::remote::Sessions;
use pointsman::state::noted::Noted;
use pointsman::state::{Done, Right, Store as _, StoreError, Take, noted};
use pointsman::switch::Route;
use pointsman::switch::api::{ApiError, Change};
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};
use server::{Program, Server, WRITER};

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
        let inventory = server.inventory(folder.path(), WRITER, &format!("name = \"{SHOP}\"\n"));
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

/// What goes on being refused as late is shown at last with what to do about it. (A wildcard's records are read as if they
/// stood at the name, and compared as if they did not.)
#[tokio::test]
async fn what_stays_stale_has_a_cure() {
    let site = Site::start().await;
    let dns = "name = \"a.wild.z.example\"\nblue = [\"192.0.2.7\"]\n";
    let inventory = site.server.inventory(site._folder.path(), WRITER, dns);
    let noted = noted(&inventory, &site.sessions).unwrap().expect("an API");
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
