//! What only the routers can do wrong: a full disk, half a line, one router that is behind the other.

use pointsman::state::{Done, StoreError};

use super::bench::Bench as _;
use super::servers::Routers;
use super::suite::{journal, lines, right, state, take, text};
use super::support::{Fault, lab_command};

#[tokio::test]
async fn a_full_disk_is_refused_in_words() {
    let routers = Routers::new("full");
    let store = routers.client("full");
    store.acquire(&take(0, 1, "a", None)).await.unwrap();
    let a1 = right("a", 1);
    store.append(&a1, 0, &lines(0, 1)).await.unwrap();
    let full = Fault::on("home-full", "lb1");
    let error = store.append(&a1, 1, &lines(1, 1)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { problem, .. } if problem.starts_with("lb1: ")),
        "{error:?}"
    );
    drop(full);
    store.append(&a1, 1, &lines(1, 1)).await.unwrap();
    assert_eq!(journal(store.as_ref(), "a").await.unwrap(), text(&lines(0, 2)));
    // The home folder is a file system in memory until then.
    lab_command(&["reset"]);
}

#[tokio::test]
async fn half_a_line_that_a_power_cut_left_is_written_anew() {
    let routers = Routers::new("torn");
    let store = routers.client("torn");
    store.acquire(&take(0, 1, "a", None)).await.unwrap();
    let a1 = right("a", 1);
    store.append(&a1, 0, &lines(0, 2)).await.unwrap();
    routers.on_both(&format!(
        "printf half >>{}/torn/runs/a/journal.jsonl",
        routers.base()
    ));
    assert_eq!(store.append(&a1, 1, &lines(1, 2)).await, Ok(Done::Applied));
    assert_eq!(journal(store.as_ref(), "a").await.unwrap(), text(&lines(0, 3)));
}

#[tokio::test]
async fn what_one_router_missed_is_made_up_for_by_asking_again() {
    let routers = Routers::new("behind");
    let store = routers.client("behind");
    let out = Fault::on("unreachable", "lb2");
    let half = store.acquire(&take(0, 1, "a", None)).await;
    assert!(matches!(half, Err(StoreError::Unreachable { .. })), "{half:?}");
    drop(out);
    // The first router decides, so the lock is taken, and it is said who has it.
    let other = store.acquire(&take(0, 1, "b", None)).await;
    assert!(
        matches!(&other, Err(StoreError::Locked { holder, .. }) if holder == "a"),
        "{other:?}"
    );
    assert_eq!(store.acquire(&take(0, 1, "a", None)).await, Ok(Done::AlreadyDone));
    let out = Fault::on("unreachable", "lb2");
    let half = store.append(&right("a", 1), 0, &lines(0, 2)).await;
    assert!(half.is_err(), "{half:?}");
    drop(out);
    assert_eq!(
        store.append(&right("a", 1), 0, &lines(0, 2)).await,
        Ok(Done::Applied)
    );
    for router in ["lb1", "lb2"] {
        let path = format!("{}/behind/runs/a/journal.jsonl", routers.base());
        assert_eq!(
            lab_command(&["ssh", router, &format!("cat {path}")]),
            text(&lines(0, 2)),
            "{router}"
        );
    }
    assert_eq!(state(&store.read().await.unwrap()), (1, Some("a")));
}
