//! The conformance suite: what every store must do, asked of two clients, A and B. Each case says what
//! was wrong instead of panicking, so that the controls can show that it would have been caught.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pointsman::state::{Done, Right, Snapshot, Store, StoreError, Take};
use tokio::sync::Barrier;

use super::bench::{Bench, Careless};

pub type Verdict = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}

pub fn owner(run: &str) -> String {
    format!(r#"{{"run":"{run}","command":"deploy","who":"ci@machine","since":"2026-01-02T03:04:05Z"}}"#)
}

pub fn take(expect_epoch: u64, epoch: u64, run: &str, steal: Option<&str>) -> Take {
    Take {
        expect_epoch,
        epoch,
        run: run.to_owned(),
        owner: owner(run),
        steal: steal.map(str::to_owned),
    }
}

pub fn right(run: &str, epoch: u64) -> Right {
    Right {
        run: run.to_owned(),
        epoch,
    }
}

/// Lines as a journal has them, with what is awkward to shells and databases.
pub fn lines(from: u64, count: u64) -> Vec<String> {
    (from..from + count)
        .map(|seq| format!(r#"{{"v":1,"seq":{seq},"data":"it's 100% \"$HOME\" \\n é \u0000 `id`; %s"}}"#))
        .collect()
}

pub fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Who holds the lock, with the epoch.
pub fn state(seen: &Snapshot) -> (u64, Option<&str>) {
    (seen.epoch, seen.held.as_ref().map(|held| held.run.as_str()))
}

pub async fn journal(store: &dyn Store, run: &str) -> Result<String, String> {
    let journals = store.journals().await.map_err(|error| error.to_string())?;
    Ok(journals
        .into_iter()
        .find(|(of, _)| of == run)
        .map(|(_, text)| text)
        .unwrap_or_default())
}

fn said<T>(result: Result<T, StoreError>) -> Result<T, String> {
    result.map_err(|error| format!("{error:?}"))
}

/// From nothing to a run that has ended, and what others see of it.
pub async fn a_whole_run(a: &dyn Store, b: &dyn Store) -> Verdict {
    let nothing = said(a.read().await)?;
    ensure!(
        nothing == Snapshot::default(),
        "expected nothing, found {nothing:?}"
    );
    ensure!(said(a.journals().await)?.is_empty(), "a journal from nowhere");
    ensure!(
        said(a.acquire(&take(0, 5, "a", None)).await)? == Done::Applied,
        "not taken"
    );
    let seen = said(b.read().await)?;
    let held = seen.held.ok_or("nobody holds it")?;
    ensure!(
        (seen.epoch, held.epoch, held.run.as_str()) == (5, 5, "a"),
        "found {held:?}"
    );
    let (ours, theirs): (serde_json::Value, serde_json::Value) = (
        serde_json::from_str(&owner("a")).map_err(|error| error.to_string())?,
        serde_json::from_str(&held.owner).map_err(|error| format!("{:?}: {error}", held.owner))?,
    );
    ensure!(ours == theirs, "the owner arrived as {theirs}");
    ensure!(
        held.phase.is_empty() && held.heartbeat_age < Duration::from_secs(30),
        "found {held:?}"
    );

    let (a5, all) = (right("a", 5), lines(0, 250));
    ensure!(
        said(a.append(&a5, 0, &all[..3]).await)? == Done::Applied,
        "not appended"
    );
    ensure!(
        said(a.append(&a5, 0, &all[..3]).await)? == Done::AlreadyDone,
        "appended twice"
    );
    // A repetition with more at its end, over more lines than one transaction of etcd takes.
    ensure!(
        said(a.append(&a5, 1, &all[1..]).await)? == Done::Applied,
        "not appended"
    );
    ensure!(
        journal(b, "a").await? == text(&all),
        "the journal is not what was written"
    );
    let other = a.append(&a5, 2, &lines(7, 1)).await;
    ensure!(
        matches!(other, Err(StoreError::Refused { .. })),
        "another text for a line: {other:?}"
    );
    let gap = a.append(&a5, 252, &lines(252, 1)).await;
    ensure!(
        matches!(gap, Err(StoreError::Refused { .. })),
        "a line is missing: {gap:?}"
    );
    ensure!(journal(b, "a").await? == text(&all), "a refused line was written");

    said(a.heartbeat(&a5, "migrating it's \"$db\"").await)?;
    let phase = said(b.read().await)?
        .held
        .map(|held| held.phase)
        .unwrap_or_default();
    ensure!(
        phase == "migrating it's \"$db\"",
        "the phase arrived as {phase:?}"
    );
    let locked = b.acquire(&take(5, 6, "b", None)).await;
    ensure!(
        matches!(&locked, Err(StoreError::Locked { holder, owner }) if holder == "a" && owner.contains("ci@machine")),
        "found {locked:?}"
    );

    ensure!(said(a.release(&a5).await)? == Done::Applied, "not given back");
    ensure!(
        said(a.release(&a5).await)? == Done::AlreadyDone,
        "given back twice"
    );
    let freed = said(b.read().await)?;
    ensure!(state(&freed) == (5, None), "the epoch must stay: {freed:?}");
    let late = a.append(&a5, 250, &lines(250, 1)).await;
    ensure!(matches!(late, Err(StoreError::Fenced { .. })), "found {late:?}");
    let beat = a.heartbeat(&a5, "late").await;
    ensure!(matches!(beat, Err(StoreError::Fenced { .. })), "found {beat:?}");
    ensure!(journal(b, "a").await? == text(&all), "a late line was written");

    ensure!(
        said(b.acquire(&take(5, 6, "b", None)).await)? == Done::Applied,
        "not taken"
    );
    ensure!(
        said(b.append(&right("b", 6), 0, &all[..1]).await)? == Done::Applied,
        "not appended"
    );
    ensure!(said(a.journals().await)?.len() == 2, "every run has its journal");
    Ok(())
}

/// The heartbeat's age grows by the store's clock, and starts anew.
pub async fn heartbeats(a: &dyn Store, b: &dyn Store) -> Verdict {
    said(a.acquire(&take(0, 1, "a", None)).await)?;
    let age = async || -> Result<Duration, String> {
        let held = said(b.read().await)?.held.ok_or("nobody holds it")?;
        Ok(held.heartbeat_age)
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while age().await? < Duration::from_secs(4) {
        ensure!(tokio::time::Instant::now() < deadline, "the age does not grow");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    said(a.heartbeat(&right("a", 1), "alive").await)?;
    let young = age().await?;
    ensure!(
        young < Duration::from_secs(3),
        "a heartbeat left the age at {young:?}"
    );
    Ok(())
}

/// Of eight at once one wins, round after round.
pub async fn race(clients: &[Box<dyn Store + '_>], rounds: u64) -> Verdict {
    for round in 0..rounds {
        let runs: Vec<String> = (0..clients.len()).map(|n| format!("r{round}-{n}")).collect();
        let takes = clients.iter().zip(&runs).map(|(client, run)| {
            let take = take(round, round + 1, run, None);
            async move { client.acquire(&take).await }
        });
        let results = join_all(takes).await;
        let winners: Vec<&String> = runs
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .map(|(run, _)| run)
            .collect();
        ensure!(winners.len() == 1, "round {round}: {winners:?} won: {results:?}");
        let told = |result: &Result<_, _>| {
            matches!(
                result,
                Ok(Done::Applied) | Err(StoreError::Locked { .. } | StoreError::Raced { .. })
            )
        };
        ensure!(results.iter().all(told), "round {round}: {results:?}");
        let seen = said(clients[0].read().await)?;
        ensure!(
            state(&seen) == (round + 1, Some(winners[0])),
            "round {round}: found {seen:?}"
        );
        said(clients[0].release(&right(winners[0], round + 1)).await)?;
    }
    Ok(())
}

/// A's lock is taken over: whatever A sends then is refused and changes nothing.
pub async fn stolen(a: &dyn Store, b: &dyn Store) -> Verdict {
    said(a.acquire(&take(0, 1, "a", None)).await)?;
    said(a.append(&right("a", 1), 0, &lines(0, 2)).await)?;
    let wrong = b.acquire(&take(1, 2, "b", Some("c"))).await;
    ensure!(
        matches!(wrong, Err(StoreError::Locked { .. })),
        "robbed another: {wrong:?}"
    );
    ensure!(
        said(b.acquire(&take(1, 2, "b", Some("a"))).await)? == Done::Applied,
        "not stolen"
    );
    said(b.heartbeat(&right("b", 2), "starting").await)?;
    robbed_changes_nothing(a, b).await?;
    let again = a.acquire(&take(0, 1, "a", None)).await;
    ensure!(
        matches!(again, Err(StoreError::Locked { .. } | StoreError::Raced { .. })),
        "the robbed run took its old lock: {again:?}"
    );
    let seen = said(b.read().await)?;
    ensure!(state(&seen) == (2, Some("b")), "found {seen:?}");
    // The thief itself writes, and comes again after a lost answer.
    ensure!(
        said(b.acquire(&take(1, 2, "b", Some("a"))).await)? == Done::AlreadyDone,
        "stolen twice"
    );
    said(b.append(&right("b", 2), 0, &lines(0, 1)).await)?;
    Ok(())
}

/// A, at epoch 1, no longer holds the lock that B has at epoch 2.
pub async fn robbed_changes_nothing(a: &dyn Store, b: &dyn Store) -> Verdict {
    let (before, journals) = (said(b.read().await)?, said(b.journals().await)?);
    let a1 = right("a", 1);
    let append = a.append(&a1, 2, &lines(2, 1)).await.map(drop);
    let heartbeat = a.heartbeat(&a1, "late").await;
    let release = a.release(&a1).await.map(drop);
    let (after, journals_after) = (said(b.read().await)?, said(b.journals().await)?);
    ensure!(state(&before) == state(&after), "from {before:?} to {after:?}");
    let phase = |seen: &Snapshot| seen.held.as_ref().map(|held| held.phase.clone());
    ensure!(phase(&before) == phase(&after), "from {before:?} to {after:?}");
    ensure!(
        journals == journals_after,
        "the journals changed: {journals_after:?}"
    );
    for (what, result) in [("append", append), ("heartbeat", heartbeat), ("release", release)] {
        ensure!(
            matches!(result, Err(StoreError::Fenced { ours: 1, .. })),
            "{what} of a robbed run: {result:?}"
        );
    }
    Ok(())
}

/// A looked, B came and went, A takes by what it saw.
pub async fn stale_read(a: &dyn Store, b: &dyn Store) -> Verdict {
    said(b.acquire(&take(0, 3, "old", None)).await)?;
    said(b.release(&right("old", 3)).await)?;
    let seen = said(a.read().await)?;
    said(b.acquire(&take(3, 4, "b", None)).await)?;
    said(b.release(&right("b", 4)).await)?;
    for epoch in [4, 5, 100] {
        let raced = a.acquire(&take(seen.epoch, epoch, "a", None)).await;
        ensure!(
            matches!(raced, Err(StoreError::Raced { seen: 4 })),
            "epoch {epoch} by a stale look: {raced:?}"
        );
    }
    let after = said(b.read().await)?;
    ensure!(state(&after) == (4, None), "found {after:?}");
    let seen = said(a.read().await)?;
    ensure!(
        said(a.acquire(&take(seen.epoch, 100, "a", None)).await)? == Done::Applied,
        "not taken"
    );
    Ok(())
}

/// The controls: the same cases, asked of a store that writes without conditions, say what is wrong.
pub async fn careless_is_caught(bench: &dyn Bench) {
    // Where there is something to create, it is created.
    said(bench.client("other").acquire(&take(0, 1, "x", None)).await).unwrap();
    let careless = |env: &str, start: &Arc<Barrier>| {
        Box::new(Careless {
            bench,
            real: bench.client(env),
            env: env.to_owned(),
            start: Arc::clone(start),
        })
    };
    let alone = Arc::new(Barrier::new(1));
    let all = Arc::new(Barrier::new(8));
    let racers: Vec<Box<dyn Store + '_>> = (0..8)
        .map(|_| -> Box<dyn Store + '_> { careless("race", &all) })
        .collect();
    let caught = race(&racers, 1).await.unwrap_err();
    assert!(caught.contains("won"), "{caught}");
    let (a, b) = (careless("stolen", &alone), bench.client("stolen"));
    said(b.acquire(&take(0, 1, "a", None)).await).unwrap();
    said(b.append(&right("a", 1), 0, &lines(0, 2)).await).unwrap();
    said(b.acquire(&take(1, 2, "b", Some("a"))).await).unwrap();
    let caught = robbed_changes_nothing(a.as_ref(), b.as_ref()).await.unwrap_err();
    assert!(caught.starts_with("from"), "{caught}");
    let (a, b) = (careless("stale", &alone), bench.client("stale"));
    let caught = stale_read(a.as_ref(), b.as_ref()).await.unwrap_err();
    assert!(caught.contains("by a stale look"), "{caught}");
}
