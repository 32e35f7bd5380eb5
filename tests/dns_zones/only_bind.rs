//! What is shown with BIND only: answers that do not come or are not its own, a disk that fails.

use std::time::Instant;

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::{Kind, Zone as _};

use super::process::local;
use super::relay::{Fault, Relay};
use super::server::{Program, Server, WRITER, ZONE, hmac_of, secret_of};
use super::suite::{at, change, set};

/// Whatever happens to the answer after the update was done: it is in doubt, and reading shows the truth.
///
/// The negative control is the first case, where nothing happens to it. Where signatures of answers were not looked at, the
/// answer that is tampered with, and the forged ones, were taken for the server's (`Tampered: Ok(())`).
#[tokio::test]
async fn an_answer_that_is_lost_or_not_the_servers_leaves_a_doubt() {
    let server = Server::start(Program::Bind).await;
    let zone = server.zone();
    let mut standing = None;
    let forged = [0, 6, 7, 8, 3, 2].map(Fault::Forged); // NOERROR, YXDOMAIN, YXRRSET, NXRRSET, NXDOMAIN, SERVFAIL
    let faults = [
        Fault::None,
        Fault::Silence,
        Fault::Cut,
        Fault::Tampered,
        Fault::OtherId,
    ];
    for (number, fault) in faults.into_iter().chain(forged).enumerate() {
        let relay = Relay::to(local(server.port), fault).await;
        let through = server.zone_at(relay.port, ZONE, WRITER, &secret_of(WRITER), hmac_of(WRITER).0);
        let new = set("www", Kind::Txt, 5, &[&format!("{number}")]);
        let since = Instant::now();
        let done = through.replace(&change(standing.take(), Some(new.clone()))).await;
        println!("{fault:?}: {done:?} after {} ms", since.elapsed().as_millis());
        match fault {
            Fault::None => assert_eq!(done, Ok(())),
            _ => assert!(done.as_ref().is_err_and(ApiError::is_in_doubt), "{done:?}"),
        }
        assert_eq!(
            at(&zone, "www").await,
            [new.clone()],
            "{fault:?}: it was done all the same"
        );
        standing = Some(new);
        if !matches!(fault, Fault::None | Fault::Silence) {
            let read = through.read(&["www.z.example"]).await;
            assert!(
                matches!(read, Err(ApiError::Unreachable { .. })),
                "{fault:?}: {read:?}"
            );
        }
    }
}

/// A server that cannot write its journal says SERVFAIL: in doubt, and reading shows that nothing was done.
#[tokio::test]
async fn a_disk_that_fails_leaves_a_doubt() {
    let server = Server::start(Program::Bind).await;
    std::fs::create_dir(server.path("z.zone.jnl")).unwrap();
    let zone = server.zone();
    let new = set("www", Kind::A, 5, &["192.0.2.1"]);
    let error = zone.replace(&change(None, Some(new))).await.unwrap_err();
    println!("{error}");
    assert!(error.is_in_doubt(), "{error:?}");
    for words in ["SERVFAIL", "the server's log says"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(at(&zone, "www").await, []);
}
