//! Connections that break, at every chunk that a write sends; what arrives late; what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pointsman::state::{Done, Store, StoreError};

use super::bench::Bench;
use super::relay::{Fault, Relay};
use super::suite::{journal, lines, right, state, take, text};

/// A write of A's, which holds the lock at epoch 1 (but for the first, which takes it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Acquire,
    Append,
    Heartbeat,
    Release,
}

pub const OPS: [Op; 4] = [Op::Acquire, Op::Append, Op::Heartbeat, Op::Release];

impl Op {
    async fn run(self, store: &dyn Store) -> Result<Done, StoreError> {
        let a1 = right("a", 1);
        match self {
            Op::Acquire => store.acquire(&take(0, 1, "a", None)).await,
            Op::Append => store.append(&a1, 1, &lines(1, 3)).await,
            Op::Heartbeat => store.heartbeat(&a1, "second").await.map(|()| Done::Applied),
            Op::Release => store.release(&a1).await,
        }
    }

    /// Whether it has been done, as this client sees it.
    async fn is_done(self, store: &dyn Store) -> bool {
        let seen = store.read().await.unwrap();
        match self {
            Op::Acquire => state(&seen) == (1, Some("a")),
            Op::Append => journal(store, "a").await.unwrap() != text(&lines(0, 1)),
            Op::Heartbeat => seen.held.is_some_and(|held| held.phase == "second"),
            Op::Release => state(&seen) == (1, None),
        }
    }
}

/// How the cuts ended, to show that they hit what they were meant for.
#[derive(Debug, Default)]
pub struct Counts {
    pub in_doubt_done: usize,
    pub in_doubt_not_done: usize,
    pub unreachable: usize,
    pub unharmed: usize,
}

/// Cuts the connection at every chunk of every write, in every way.
pub async fn cuts(bench: &dyn Bench, faults: &[Fault], most_chunks: usize) -> Counts {
    let mut counts = Counts::default();
    let relay = bench.relay().await;
    for op in OPS {
        for fault in faults {
            for chunk in 0..most_chunks {
                let env = format!("{op:?}-{fault:?}-{chunk}").to_lowercase();
                if !cut(bench, &relay, &env, op, *fault, chunk, &mut counts).await {
                    break;
                }
            }
        }
    }
    counts
}

/// One cut; `false` when the write sends no chunk of this number.
async fn cut(
    bench: &dyn Bench,
    relay: &Relay,
    env: &str,
    op: Op,
    fault: Fault,
    chunk: usize,
    counts: &mut Counts,
) -> bool {
    let (a, b) = (bench.through(relay, env), bench.client(env));
    if op != Op::Acquire {
        a.acquire(&take(0, 1, "a", None)).await.unwrap();
        a.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
        a.heartbeat(&right("a", 1), "first").await.unwrap();
    } else {
        // Connected and, where there is something to create, created.
        a.read().await.unwrap();
    }
    relay.arm(fault, chunk);
    let result = op.run(a.as_ref()).await;
    let hit = relay.disarm();
    let told = match &result {
        // It was asked again on another connection, or the answer came before the cut.
        Ok(_) => {
            counts.unharmed += usize::from(hit);
            true
        }
        Err(StoreError::Unreachable { .. }) => {
            counts.unreachable += 1;
            false
        }
        Err(StoreError::InDoubt { .. }) => {
            let truth = op.is_done(a.as_ref()).await;
            if truth {
                counts.in_doubt_done += 1;
            } else {
                counts.in_doubt_not_done += 1;
            }
            truth
        }
        Err(other) => panic!("{env}: a cut is told as {other:?}"),
    };
    assert_eq!(op.is_done(b.as_ref()).await, told, "{env}: {result:?}");
    // Nothing that is still under way changes it: there is nothing to await but its absence.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(op.is_done(b.as_ref()).await, told, "{env}: later than {result:?}");
    let again = op
        .run(a.as_ref())
        .await
        .unwrap_or_else(|error| panic!("{env}: {error:?}"));
    let expected = if told { Done::AlreadyDone } else { Done::Applied };
    // Of two routers one may lack it still.
    let half = a.name() == "servers" && matches!(result, Err(StoreError::InDoubt { .. }));
    assert!(
        op == Op::Heartbeat || half || again == expected,
        "{env}: {result:?}, then {again:?}"
    );
    // All of it, once.
    assert!(op.is_done(b.as_ref()).await, "{env}");
    if op == Op::Append {
        assert_eq!(
            journal(b.as_ref(), "a").await.unwrap(),
            text(&lines(0, 4)),
            "{env}"
        );
    }
    assert_eq!(b.read().await.unwrap().epoch, 1, "{env}");
    hit
}

/// A's append is held on its way; A dies; B takes the lock over; then it arrives.
pub async fn late_delivery(bench: &dyn Bench, most_chunks: usize) -> usize {
    let relay = bench.relay().await;
    for chunk in 0..most_chunks {
        let env = format!("late-{chunk}");
        let (a, b) = (bench.through(&relay, &env), bench.client(&env));
        a.acquire(&take(0, 1, "a", None)).await.unwrap();
        a.append(&right("a", 1), 0, &lines(0, 1)).await.unwrap();
        relay.arm(Fault::Hold, chunk);
        let (a1, more) = (right("a", 1), lines(1, 1));
        tokio::select! {
            // A is dead from here on: its future is dropped.
            () = relay.held() => {}
            result = a.append(&a1, 1, &more) => {
                result.unwrap();
                return chunk;
            }
        }
        drop(a);
        let thief = take(1, 2, "b", Some("a"));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            match b.acquire(&thief).await {
                Ok(_) => break,
                // A transaction that hangs has the row until the server ends it.
                Err(StoreError::Unreachable { problem, .. }) => {
                    assert!(tokio::time::Instant::now() < deadline, "{env}: {problem}");
                }
                Err(error) => panic!("{env}: {error:?}"),
            }
        }
        // Of two routers one may have it already, from when A held the lock.
        let before = journal(b.as_ref(), "a").await.unwrap();
        assert!(
            before == text(&lines(0, 1)) || b.name() == "servers" && before == text(&lines(0, 2)),
            "{env}: {before}"
        );
        relay.deliver().await;
        assert_eq!(
            journal(b.as_ref(), "a").await.unwrap(),
            before,
            "{env}: a late line was written"
        );
        assert_eq!(state(&b.read().await.unwrap()), (2, Some("b")), "{env}");
        relay.disarm();
    }
    most_chunks
}

/// Appends line after line until it is told to stop, each again until it is acknowledged.
async fn write_on(
    a: Box<dyn Store>,
    epoch: u64,
    acknowledged: Arc<AtomicU64>,
    running: Arc<AtomicBool>,
) -> (Box<dyn Store>, Vec<StoreError>) {
    let (mut seq, mut doubts) = (acknowledged.load(Ordering::SeqCst), Vec::new());
    let mut since_stop = 0;
    while since_stop < 10 {
        since_stop += u64::from(!running.load(Ordering::SeqCst));
        match a.append(&right("a", epoch), seq, &lines(seq, 1)).await {
            Ok(_) => {
                seq += 1;
                acknowledged.store(seq, Ordering::SeqCst);
            }
            Err(error @ (StoreError::InDoubt { .. } | StoreError::Unreachable { .. })) => {
                doubts.push(error);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    (a, doubts)
}

/// The store dies and comes back while A writes: what was acknowledged is there, and A goes on.
pub async fn crash(bench: &dyn Bench, rounds: u64) {
    let (mut a, b) = (bench.client("crash"), bench.client("crash"));
    let acknowledged = Arc::new(AtomicU64::new(0));
    for round in 0..rounds {
        let epoch = round + 1;
        a.acquire(&take(round, epoch, "a", (round > 0).then_some("a")))
            .await
            .unwrap();
        let (running, first) = (
            Arc::new(AtomicBool::new(true)),
            acknowledged.load(Ordering::SeqCst),
        );
        let writer = tokio::spawn(write_on(
            a,
            epoch,
            Arc::clone(&acknowledged),
            Arc::clone(&running),
        ));
        while acknowledged.load(Ordering::SeqCst) < first + 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.crash().await;
        let before = acknowledged.load(Ordering::SeqCst);
        let kept = journal(b.as_ref(), "a").await.unwrap();
        assert!(
            kept.starts_with(&text(&lines(0, before))),
            "of {before} acknowledged lines {} are left",
            kept.lines().count()
        );
        assert_eq!(state(&b.read().await.unwrap()), (epoch, Some("a")));
        running.store(false, Ordering::SeqCst);
        let (client, doubts) = writer.await.unwrap();
        a = client;
        assert!(!doubts.is_empty(), "the store was never gone");
        let all = acknowledged.load(Ordering::SeqCst);
        println!(
            "epoch {epoch}: {before} of {all} lines before the end, first {:?}",
            doubts[0]
        );
        assert_eq!(journal(b.as_ref(), "a").await.unwrap(), text(&lines(0, all)));
    }
    // The epoch has not decreased, and a new one is above it.
    let late = b.acquire(&take(rounds - 1, rounds + 1, "b", Some("a"))).await;
    assert!(matches!(late, Err(StoreError::Raced { .. })), "{late:?}");
    b.acquire(&take(rounds, rounds + 1, "b", Some("a")))
        .await
        .unwrap();
}
