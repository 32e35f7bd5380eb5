//! What PowerDNS does otherwise: several servers may share a database, and each keeps for 20 s what it found there
//! (`query-cache-ttl`). What an update compares is looked up anew.

use std::sync::Arc;

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::{Kind, Zone as _};

use super::server::Server;
use super::suite::{ROUNDS, WRITERS, at, change, set};

/// Nothing that the database says is kept. (Signed questions are never answered from the cache of packets.)
const UNCACHED: &str = "query-cache-ttl=0\nnegquery-cache-ttl=0\n";

/// One winner each over SQLite, which holds a whole update against those of other servers: they get SERVFAIL, so their
/// writers are in doubt. Other databases were not looked at: `switch.rfc2136.server` has to be one server, no address that
/// several share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_over_one_database() {
    let (first, second) = Server::two_powerdns(UNCACHED).await;
    let zones: Vec<_> = (0..WRITERS)
        .map(|number| {
            Arc::new(if number % 2 == 0 {
                first.zone()
            } else {
                second.zone()
            })
        })
        .collect();
    let mut standing = set("_pointsman.www", Kind::Txt, 1, &["start"]);
    zones[0]
        .replace(&change(None, Some(standing.clone())))
        .await
        .unwrap();
    let (mut won, mut doubts, mut nobody) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut tasks = Vec::new();
        for (number, zone) in zones.iter().enumerate() {
            let zone = Arc::clone(zone);
            let new = set("_pointsman.www", Kind::Txt, 1, &[&format!("{round} {number}")]);
            let old = standing.clone();
            tasks.push(tokio::spawn(async move {
                (new.clone(), zone.replace(&change(Some(old), Some(new))).await)
            }));
        }
        let (mut winners, mut unsure) = (Vec::new(), Vec::new());
        for task in tasks {
            match task.await.unwrap() {
                (new, Ok(())) => winners.push(new),
                (_, Err(ApiError::Stale { .. })) => {}
                (new, Err(error)) if error.is_in_doubt() => unsure.push(new),
                (_, Err(error)) => panic!("{error:?}"),
            }
        }
        let found = at(zones[round % 2].as_ref(), "_pointsman.www").await;
        assert!(winners.len() <= 1, "round {round}: {winners:?}");
        match winners.first() {
            Some(winner) => assert_eq!(found, [winner.clone()], "round {round}"),
            None => assert!(
                found[0] == standing || unsure.contains(&found[0]),
                "round {round}: {found:?}"
            ),
        }
        won += winners.len();
        doubts += unsure.len();
        nobody += usize::from(winners.is_empty());
        standing = found[0].clone();
    }
    println!(
        "two servers, one database: {ROUNDS} rounds, {won} won, {doubts} in doubt, {nobody} without a winner"
    );
}

/// It says no to updates altogether as it does to a key that may not make one, signed: the cure names the setting.
#[tokio::test]
async fn updates_that_are_switched_off() {
    for (setting, cure) in [
        ("dnsupdate=no\n", "`dnsupdate=yes`"),
        ("allow-dnsupdate-from=192.0.2.0/24\n", "`allow-dnsupdate-from`"),
    ] {
        let server = Server::powerdns_with(setting).await;
        let zone = server.zone();
        let new = set("www", Kind::A, 5, &["192.0.2.1"]);
        let error = zone.replace(&change(None, Some(new))).await.unwrap_err();
        let hint = error.hint().unwrap_or_default();
        println!("{setting}{error}; {hint}");
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("may not do this in `z.example` (REFUSED)"),
            "{error}"
        );
        assert!(hint.contains(cure), "{hint}");
        let findings = zone.doctor().await;
        assert!(
            findings
                .iter()
                .any(|finding| !finding.ok && finding.hint.as_ref().is_some_and(|hint| hint.contains(cure))),
            "{findings:?}"
        );
    }
}

/// What another server changed is read up to 20 s late, signed and with authority; a change that goes by it is stale. The
/// second half is the control: without the cache it is read at once.
#[tokio::test]
async fn what_a_server_keeps_may_be_old_and_is_not_compared() {
    let (first, second) = Server::two_powerdns("").await;
    let old = set("www", Kind::A, 5, &["192.0.2.1"]);
    let new = set("www", Kind::A, 5, &["192.0.2.2"]);
    first
        .zone()
        .replace(&change(None, Some(old.clone())))
        .await
        .unwrap();
    assert_eq!(at(&first.zone(), "www").await, [old.clone()]);
    second
        .zone()
        .replace(&change(Some(old.clone()), Some(new.clone())))
        .await
        .unwrap();
    assert_eq!(at(&second.zone(), "www").await, [new.clone()]);
    assert_eq!(
        at(&first.zone(), "www").await,
        [old.clone()],
        "it keeps what it found"
    );
    let stale = first
        .zone()
        .replace(&change(Some(old.clone()), Some(old.clone())))
        .await
        .unwrap_err();
    assert!(matches!(stale, ApiError::Stale { .. }), "{stale:?}");
    first
        .zone()
        .replace(&change(Some(new.clone()), Some(old.clone())))
        .await
        .unwrap();

    let (first, second) = Server::two_powerdns(UNCACHED).await;
    first
        .zone()
        .replace(&change(None, Some(old.clone())))
        .await
        .unwrap();
    assert_eq!(at(&first.zone(), "www").await, [old.clone()]);
    second
        .zone()
        .replace(&change(Some(old), Some(new.clone())))
        .await
        .unwrap();
    assert_eq!(at(&first.zone(), "www").await, [new]);
}
