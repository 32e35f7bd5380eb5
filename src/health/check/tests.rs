//! The whole proof against real sockets: late, flapping, hanging, crashing and stale servers.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::health::ask::LOOK_EVERY;
use crate::health::testing::{Ports, Say, Server, check};

/// A project whose looks are scripted: the last one is repeated.
#[derive(Default)]
struct Scripted {
    looks: Vec<Result<Vec<Container>, RemoteError>>,
    taken: AtomicUsize,
    logs: Vec<(&'static str, &'static str)>,
}

#[async_trait]
impl Project for Scripted {
    async fn containers(&self) -> Result<Vec<Container>, RemoteError> {
        let index = self
            .taken
            .fetch_add(1, Ordering::SeqCst)
            .min(self.looks.len() - 1);
        self.looks[index].clone()
    }

    async fn logs(&self, service: &str) -> Result<Vec<String>, RemoteError> {
        let lines = self
            .logs
            .iter()
            .find(|(name, _)| *name == service)
            .map_or("", |(_, lines)| lines);
        Ok(lines.lines().map(str::to_owned).collect())
    }
}

fn project(looks: &[&[Container]]) -> Scripted {
    Scripted {
        looks: looks.iter().map(|look| Ok(look.to_vec())).collect(),
        ..Scripted::default()
    }
}

fn container(service: &str) -> Container {
    Container {
        id: format!("{service}-id"),
        name: format!("shop-green-{service}-1"),
        service: service.to_owned(),
        state: "running".to_owned(),
        addresses: vec!["127.0.0.1".to_owned()],
        image: "registry.example.com/shop:v2".to_owned(),
        ..Container::default()
    }
}

/// Answers `/up` with 200 and `/version` with the tag.
fn app(tag: &'static str) -> impl Fn(&str) -> Say + Send + Sync + 'static {
    move |request| {
        let body = if request.starts_with("GET /version ") {
            tag
        } else {
            "up"
        };
        Say::Reply(200, body.to_owned())
    }
}

struct Outcome {
    result: Result<Healthy, CheckError>,
    progress: Vec<String>,
}

impl Outcome {
    fn unhealthy(&self) -> &Unhealthy {
        match &self.result {
            Err(CheckError::Unhealthy(unhealthy)) => unhealthy,
            other => panic!("expected an unhealthy host, found {other:?}"),
        }
    }
}

/// Proves a host whose app listens on `port`, for v2.
async fn prove(checks: &[Check], port: u16, project: &Scripted, deadline_ms: u64) -> Outcome {
    let identity = Identity {
        path: "/version".to_owned(),
        json: None,
        service: Some("app".to_owned()),
        port,
    };
    let deadline = Duration::from_millis(deadline_ms);
    let proof = Proof {
        checks,
        identity: &identity,
        tag: "v2",
        deadline,
    };
    let lines = Mutex::new(Vec::new());
    let result = check_host(&proof, &Ports, project, &|line| lines.lock().unwrap().push(line)).await;
    Outcome {
        result,
        progress: lines.into_inner().unwrap(),
    }
}

/// Times differ from run to run, ports too.
fn steady(text: &str, port: u16) -> String {
    let text = text.replace(&port.to_string(), "PORT");
    let lines = text.lines().map(|line| match line.split_once(" failed after ") {
        Some((before, _)) => format!("{before} failed after TIME"),
        None if line.starts_with("  tried") => counts_aside(line),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `9 × 500` as `N × 500`.
fn counts_aside(line: &str) -> String {
    let words = line.split(' ').collect::<Vec<_>>();
    let is_count = |index: usize| matches!(words.get(index + 1), Some(&"×" | &"attempts:" | &"attempt:"));
    let aside = words
        .iter()
        .enumerate()
        .map(|(index, word)| if is_count(index) { "N" } else { word });
    aside.collect::<Vec<_>>().join(" ")
}

/// Steps run on many hosts at once, as tasks of their own.
#[test]
fn a_proof_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let (checks, project) = ([check("unicorn", "app", 1)], project(&[&[]]));
    let identity = Identity {
        path: String::new(),
        json: None,
        service: None,
        port: 1,
    };
    let proof = Proof {
        checks: &checks,
        identity: &identity,
        tag: "v2",
        deadline: Duration::ZERO,
    };
    is_send(&check_host(&proof, &Ports, &project, &|_| {}));
}

#[tokio::test]
async fn a_slow_boot_is_no_failure() {
    let server = Server::reserved()
        .await
        .answer_after(Duration::from_millis(700), app("v2"));
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 10_000).await;
    let took = outcome.result.unwrap().took;
    assert!(
        took >= Duration::from_millis(740) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert!(
        outcome
            .progress
            .iter()
            .any(|line| line.starts_with("unicorn connection refused, ")),
        "{:?}",
        outcome.progress
    );
    assert!(
        outcome.progress.contains(&"unicorn ok, release ok".to_owned()),
        "{:?}",
        outcome.progress
    );
}

#[tokio::test]
async fn a_failure_in_between_starts_the_count_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let server = Server::http(move |request| {
        if request.starts_with("GET /version ") {
            return Say::Reply(200, "v2".to_owned());
        }
        // Two successes, a failure, two successes, a failure, and well from then on.
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Say::Reply(if number == 2 || number == 5 { 500 } else { 200 }, String::new())
    })
    .await;
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 10_000).await;
    outcome.result.unwrap();
    // The sixth fails, so that the earliest three in a row end with the ninth.
    assert!(
        asked.load(Ordering::SeqCst) >= 9,
        "{asked:?} {:?}",
        outcome.progress
    );
}

#[tokio::test]
async fn the_least_time_counts_as_much_as_the_number() {
    let server = Server::http(app("v2")).await;
    let lasting = Check {
        min_healthy: Duration::from_millis(600),
        ..check("unicorn", "app", server.port())
    };
    let outcome = prove(
        &[lasting],
        server.port(),
        &project(&[&[container("app")]]),
        10_000,
    )
    .await;
    assert!(outcome.result.unwrap().took >= Duration::from_millis(600));
}

#[tokio::test]
async fn an_app_that_hangs_is_told_apart_from_one_that_is_not_there() {
    let server = Server::http(|_: &str| Say::Nothing).await;
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 1_000).await;
    insta::assert_snapshot!(steady(&outcome.unhealthy().explain(), server.port()), @r#"
    web1 is not healthy: unicorn failed after TIME
      expected  200 from GET /up, service app on port PORT
      found     no answer from service app on port PORT within 300 ms
      tried     N attempts: N × no answer in time
      problem   service app on port PORT takes connections but hangs
      cure      find what the app waits for (a database lock, an API, all workers busy); if the path is slow by nature, raise the check's timeout
    "#);

    let nobody = Server::reserved().await;
    let checks = [check("unicorn", "app", nobody.port())];
    let outcome = prove(&checks, nobody.port(), &project(&[&[container("app")]]), 800).await;
    insta::assert_snapshot!(steady(&outcome.unhealthy().explain(), nobody.port()), @r#"
    web1 is not healthy: unicorn failed after TIME
      expected  200 from GET /up, service app on port PORT
      found     connection refused by service app on port PORT
      tried     N attempts: N × connection refused
      problem   nothing listens: service app on port PORT
      cure      if the app has booted, it listens on another port or only on 127.0.0.1: bind to 0.0.0.0, or correct the port in the inventory; if it still boots, raise start_timeout
    "#);
}

#[tokio::test]
async fn an_app_that_hangs_up_or_speaks_no_http_is_named_so() {
    let server = Server::http(|_: &str| Say::HangUp).await;
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 1_500).await;
    assert_eq!(
        outcome.unhealthy().found,
        format!(
            "service app on port {} closed the connection without an answer",
            server.port()
        )
    );
    let server = Server::http(|_: &str| Say::Bytes("-ERR unknown command\r\n\r\n")).await;
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 800).await;
    assert!(
        outcome.unhealthy().found.contains("no HTTP answer"),
        "{}",
        outcome.unhealthy().found
    );
}

#[tokio::test]
async fn a_crash_loop_gives_up_long_before_the_deadline() {
    let nobody = Server::reserved().await;
    let looping = |restarts| Container {
        state: "restarting".to_owned(),
        exit_code: 1,
        restarts,
        ..container("app")
    };
    let mut project = project(&[&[container("app")], &[looping(1)], &[looping(2)]]);
    project.logs = vec![(
        "app",
        "I, boot\n/app/config/initializers/bad.rb:2:in `<main>': no such feature (RuntimeError)\n",
    )];
    let checks = [check("unicorn", "app", nobody.port())];
    let began = Instant::now();
    let outcome = prove(&checks, nobody.port(), &project, 60_000).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    insta::assert_snapshot!(steady(&outcome.unhealthy().explain(), nobody.port()), @r#"
    web1 is not healthy: service app failed after TIME
      expected  a container that keeps running
      found     restarted 2 times, last exit code 1
      tried     N attempts: N × connection refused, N × restarting
      problem   service app raised RuntimeError
      seen in   service app: /app/config/initializers/bad.rb:2:in `<main>': no such feature (RuntimeError)
      cure      correct it in the app; the stack trace is in the log below, and the old release keeps serving
      the last lines of service app:
        | I, boot
        | /app/config/initializers/bad.rb:2:in `<main>': no such feature (RuntimeError)
    "#);
}

#[tokio::test]
async fn the_old_release_is_refused_soon_and_by_name() {
    let server = Server::http(app("v1")).await;
    let checks = [check("unicorn", "app", server.port())];
    let began = Instant::now();
    let outcome = prove(&checks, server.port(), &project(&[&[container("app")]]), 60_000).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    insta::assert_snapshot!(steady(&outcome.unhealthy().explain(), server.port()), @r#"
    web1 is not healthy: release failed after TIME
      expected  v2 from GET /version, service app on port PORT
      found     answers v1, expected v2
      tried     N attempts: N × release v1
      problem   the host answers v1, expected v2: a stale image, or a wrong tag baked into the image
      cure      check that the Compose file takes its image by ${DEPLOY_TAG}, and that the image's build writes that very tag to what the identity path answers
    "#);
}

#[tokio::test]
async fn nginx_up_and_unicorn_down_blames_unicorn() {
    let nginx = Server::http(|request| {
        if request.starts_with("GET /version ") {
            return Say::Reply(
                502,
                "<html><head><title>502 Bad Gateway</title></head></html>".to_owned(),
            );
        }
        Say::Reply(200, "nginx".to_owned())
    })
    .await;
    let unicorn = Server::reserved().await;
    let mut project = project(&[&[container("web"), container("app")]]);
    project.logs = vec![
        (
            "web",
            "2024/05/01 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1",
        ),
        (
            "app",
            "PG::ConnectionBad: connection to server at \"10.0.0.9\", port 5432 failed: Connection refused",
        ),
    ];
    let checks = [
        check("nginx", "web", nginx.port()),
        check("unicorn", "app", unicorn.port()),
    ];
    let identity = Identity {
        path: "/version".to_owned(),
        json: None,
        service: Some("web".to_owned()),
        port: nginx.port(),
    };
    let proof = Proof {
        checks: &checks,
        identity: &identity,
        tag: "v2",
        deadline: Duration::from_millis(1_200),
    };
    let result = check_host(&proof, &Ports, &project, &|_| {}).await;
    let outcome = Outcome {
        result,
        progress: Vec::new(),
    };
    let text = steady(&outcome.unhealthy().explain(), unicorn.port());
    insta::assert_snapshot!(text, @r#"
    web1 is not healthy: unicorn failed after TIME
      expected  200 from GET /up, service app on port PORT
      found     connection refused by service app on port PORT
      tried     N attempts: N × connection refused
      problem   the database refuses connections at 10.0.0.9:5432
      seen in   service app: PG::ConnectionBad: connection to server at "10.0.0.9", port 5432 failed: Connection refused
      cure      start the database, or correct host and port in DATABASE_URL; 127.0.0.1 inside a container is the container itself
      the last lines of service app:
        | PG::ConnectionBad: connection to server at "10.0.0.9", port 5432 failed: Connection refused
    "#);
}

#[tokio::test]
async fn every_replica_is_asked_at_its_own_address() {
    let (one, other) = ("127.0.0.1", "127.0.0.2");
    let replica = |id: &str, address: &str| Container {
        id: id.to_owned(),
        addresses: vec![address.to_owned()],
        ..container("app")
    };
    // Listens on one address only, so that the second replica is refused.
    let server = Server::http(app("v2")).await;
    let checks = [check("unicorn", "app", server.port())];
    let both = project(&[&[replica("a", one), replica("b", other)]]);
    let outcome = prove(&checks, server.port(), &both, 1_200).await;
    assert!(
        outcome
            .unhealthy()
            .found
            .starts_with("connection refused by service app"),
        "{}",
        outcome.unhealthy()
    );

    // Replaced by one that listens: the proof follows the container.
    let replaced = project(&[&[replica("b", other)], &[replica("c", one)]]);
    let outcome = prove(&checks, server.port(), &replaced, 10_000).await;
    assert!(outcome.result.unwrap().took >= LOOK_EVERY);
}

#[tokio::test]
async fn a_missing_service_is_named() {
    let server = Server::http(app("v2")).await;
    let checks = [check("unicorn", "app", server.port())];
    let outcome = prove(&checks, server.port(), &project(&[&[container("web")]]), 500).await;
    assert_eq!(outcome.unhealthy().found, "no container of service app");
    assert_eq!(
        outcome.unhealthy().diagnosis.as_ref().unwrap().what,
        "there is no container of service app"
    );
}

#[tokio::test]
async fn a_look_that_fails_is_repeated_and_told_only_at_the_deadline() {
    let server = Server::http(app("v2")).await;
    let checks = [check("unicorn", "app", server.port())];
    let cut = || RemoteError::Connect {
        server: "web1".to_owned(),
        problem: "connection reset".to_owned(),
        hint: String::new(),
    };
    let recovers = Scripted {
        looks: vec![Err(cut()), Ok(vec![container("app")])],
        ..Scripted::default()
    };
    prove(&checks, server.port(), &recovers, 10_000)
        .await
        .result
        .unwrap();
    // A last look that fails does not hide what is known by then.
    let looks = vec![Ok(vec![container("app")]), Err(cut())];
    let known = Scripted {
        looks,
        ..Scripted::default()
    };
    let nobody = Server::reserved().await;
    let outcome = prove(
        &[check("unicorn", "app", nobody.port())],
        nobody.port(),
        &known,
        1_500,
    )
    .await;
    assert!(
        outcome.unhealthy().found.starts_with("connection refused"),
        "{}",
        outcome.unhealthy()
    );
    let lasting = Scripted {
        looks: vec![Err(cut())],
        ..Scripted::default()
    };
    let outcome = prove(&checks, server.port(), &lasting, 700).await;
    assert!(
        matches!(
            outcome.result,
            Err(CheckError::Remote(RemoteError::Connect { .. }))
        ),
        "{:?}",
        outcome.result
    );
}

#[tokio::test]
async fn a_port_of_the_host_is_asked_without_any_container() {
    let server = Server::http(app("v2")).await;
    let host = Check {
        service: None,
        ..check("nginx", "-", server.port())
    };
    let identity = Identity {
        path: "/version".to_owned(),
        json: None,
        service: None,
        port: server.port(),
    };
    let checks = [host];
    let proof = Proof {
        checks: &checks,
        identity: &identity,
        tag: "v2",
        deadline: Duration::from_secs(10),
    };
    check_host(&proof, &Ports, &project(&[&[]]), &|_| {})
        .await
        .unwrap();
}
