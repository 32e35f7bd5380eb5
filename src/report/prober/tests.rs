use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server whose every answer is what `answer` says for the n-th request; `None` hangs up.
async fn server(answer: fn(u64) -> Option<String>) -> ProbeTarget {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let count = count.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(text) = answer(number) else { return };
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    ProbeTarget {
        router: "lb1".into(),
        url,
        host_header: None,
        lookup: None,
    }
}

fn ok(body: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// A prober at this rate.
fn started(targets: Vec<ProbeTarget>, rate: u32) -> Prober {
    let prober = Prober::start(targets, "/version".into(), None, rate);
    prober.full_rate();
    prober
}

async fn probe(answer: fn(u64) -> Option<String>, wait: &str, old: Option<&str>) -> Receipt {
    let prober = started(vec![server(answer).await], 500);
    prober.wait_for(wait, 20, Duration::from_secs(10)).await.unwrap();
    prober.finish(old, Some(wait), Awaited::All).await
}

#[tokio::test]
async fn sees_the_switch_from_one_release_to_the_other() {
    let receipt = probe(|n| ok(if n < 50 { "v1" } else { "v2" }), "v2", Some("v1")).await;
    assert_eq!(receipt.lost, 0, "{receipt}");
    let router = &receipt.routers[0];
    assert_eq!(router.answers["v1"], 50);
    assert!(
        router.answers["v2"] >= 20 && router.keep_alive.abs_diff(router.fresh) <= 1,
        "{router:?}"
    );
    assert!(router.first_new.is_some() && router.last_old.is_some());
}

/// A server that goes wrong after 50 answers is seen at once; one that does not is watched to the end.
#[tokio::test]
async fn a_watch_ends_when_errors_rise_or_another_release_answers() {
    const SICK: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let watched = async |answer| {
        let prober = started(vec![server(answer).await], 200);
        prober.wait_for("v2", 10, Duration::from_secs(10)).await.unwrap();
        let since = Instant::now();
        (prober.watch("v2", Duration::from_secs(2)).await, since.elapsed())
    };
    let (errors, after) = watched(|n| if n < 50 { ok("v2") } else { Some(SICK.into()) }).await;
    assert_eq!(
        errors.unwrap_err(),
        ["lb1: 4 of 20 requests failed, at last: status 500"]
    );
    assert!(after < Duration::from_secs(1), "{after:?}");
    let (mixed, _) = watched(|n| ok(if n > 50 && n % 2 == 0 { "v1" } else { "v2" })).await;
    assert!(mixed.unwrap_err()[0].ends_with("at last: v1 answered"));
    // What went wrong before the watch counts, if it was to be counted; which release answered does not.
    let early = |n| {
        if n % 2 == 0 && n < 30 {
            Some(SICK.into())
        } else {
            ok(if n < 40 { "v1" } else { "v2" })
        }
    };
    for counts in [true, false] {
        let prober = started(vec![server(early).await], 200);
        if counts {
            prober.count_errors();
        }
        // They end a wait for answers, too, which would go on for as long as it may.
        let waited = prober.wait_for("v2", 10, Duration::from_secs(10)).await;
        let seen = prober.watch("v2", Duration::from_millis(200)).await;
        assert_eq!((waited.is_err(), seen.is_err()), (counts, counts), "{seen:?}");
        // Not the wait for what comes after them.
        prober.wait_for("v2", 10, Duration::from_secs(10)).await.unwrap();
    }
    let (well, after) = watched(|_| ok("v2")).await;
    assert_eq!(well, Ok(()));
    assert!(after >= Duration::from_secs(2));
}

#[tokio::test]
async fn counts_every_kind_of_loss() {
    let receipt = probe(
        |n| match n {
            10 => Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into()),
            // Of two hang-ups on a kept connection a client may rightly ask once more.
            20..40 => None,
            40 => Some("HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\ncut".into()),
            n if n < 60 => ok("v1"),
            _ => ok("v2"),
        },
        "v2",
        Some("v1"),
    )
    .await;
    let losses = receipt.routers[0].losses.join("\n");
    assert!(receipt.lost >= 10, "{receipt}");
    assert!(losses.contains("status 503"), "{losses}");
}

#[tokio::test]
async fn before_the_first_release_there_is_nothing_to_lose() {
    let sick = |n| match n {
        0..30 => Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into()),
        _ => ok("v1"),
    };
    let receipt = probe(sick, "v1", None).await;
    assert_eq!((receipt.lost, receipt.unserved), (0, 30));
    let receipt = probe(sick, "v1", Some("v0")).await;
    assert_eq!(
        (receipt.lost, receipt.unserved),
        (30, 0),
        "something served before: these are losses"
    );
}

#[tokio::test]
async fn says_which_router_never_answered_so() {
    let prober = started(vec![server(|_| ok("v1")).await], 200);
    let missing = prober
        .wait_for("v2", 1, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(missing, ["lb1"]);
}

/// The old release hangs from its 20th answer on; the new one answers whoever asks later.
#[tokio::test]
async fn who_goes_back_is_not_held_up_by_what_hangs() {
    let answer = |n| {
        if (20..40).contains(&n) {
            Some(String::new())
        } else {
            ok(if n < 20 { "v1" } else { "v2" })
        }
    };
    for (awaited, unanswered, lost) in [(Awaited::OfTheNew, 20, 0), (Awaited::All, 0, 20)] {
        let prober = started(vec![server(answer).await], 200);
        prober.wait_for("v2", 20, Duration::from_secs(10)).await.unwrap();
        let since = Instant::now();
        let receipt = prober.finish(Some("v1"), Some("v2"), awaited).await;
        assert_eq!(
            (receipt.routers[0].unanswered, receipt.lost),
            (unanswered, lost),
            "{receipt}"
        );
        assert_eq!(since.elapsed() < DEADLINE / 2, awaited == Awaited::OfTheNew);
    }
}

/// Before anything is changed the app has next to nothing to answer, and the pauses are no gaps.
#[tokio::test]
async fn looks_now_and_then_until_something_is_changed() {
    let prober = Prober::start(vec![server(|_| ok("v1")).await], "/version".into(), None, 200);
    tokio::time::sleep(Duration::from_millis(1200)).await; // what is measured
    assert!(prober.unreachable().is_empty());
    let looked = prober.routers[0].seen().tags["v1"].count;
    assert!((1..=4).contains(&looked), "{looked}");
    tokio::time::sleep(Duration::from_millis(300)).await; // into a pause
    prober.full_rate();
    prober.wait_for("v1", 100, Duration::from_secs(10)).await.unwrap();
    let receipt = prober.finish(Some("v1"), None, Awaited::All).await;
    assert!(receipt.longest_gap_ms < 250.0, "{receipt}");
}
