//! Whole runs of the program in the lab, with its lock and journal in a real store: what the store decides, and what
//! happens when it is gone.

use std::time::Duration;

use pointsman::state::{Store, Take};

use super::support::load::Load;
use super::support::outside::{Outside, STATE};
use super::support::scene::{changed, none_lost, until};
use super::support::{Pointsman, Running, reset, routers};
use super::{etcd, postgres};

const ENV: &str = "two-pools";
/// Requests a second over all routers.
const RATE: u32 = 50;
/// A silent run counts as dead after 15 s.
const SILENT: Duration = Duration::from_secs(40);

/// A store that can be ended and started again.
enum Team {
    Postgres(postgres::Server),
    Etcd(etcd::Cluster),
}

impl Team {
    fn client(&self) -> Box<dyn Store> {
        match self {
            Team::Postgres(server) => Box::new(server.store(ENV)),
            Team::Etcd(cluster) => Box::new(cluster.store(ENV)),
        }
    }

    /// What the inventory says of it.
    fn settings(&self) -> String {
        match self {
            Team::Postgres(server) => format!(
                "[state]\nstore = \"postgres\"\nurl = \"{}\"\n",
                server.url("127.0.0.1", server.port)
            ),
            Team::Etcd(cluster) => {
                format!(
                    "[state]\nstore = \"etcd\"\nendpoints = {:?}\n",
                    cluster.endpoints()
                )
            }
        }
    }

    async fn stop(&self) {
        match self {
            Team::Postgres(server) => server.stop().await,
            Team::Etcd(cluster) => {
                for number in 0..cluster.endpoints().len() {
                    cluster.kill(number).await;
                }
            }
        }
    }

    async fn start(&self) {
        match self {
            Team::Postgres(server) => server.kill_and_start().await,
            Team::Etcd(cluster) => {
                let all: Vec<usize> = (0..cluster.endpoints().len()).collect();
                cluster.start_all(&all).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_postgres() {
    let team = Team::Postgres(postgres::Server::new().await);
    whole_runs("postgres", &team).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_etcd() {
    whole_runs("etcd", &Team::Etcd(etcd::Cluster::new().await)).await;
}

async fn whole_runs(name: &str, team: &Team) {
    reset(ENV);
    let settings = format!("{}\n[migrate]\n", team.settings());
    let pointsman = changed(
        &format!("state-{name}"),
        &[("common.toml", "[migrate]\n", &settings)],
    );
    let store = team.client();
    let outside = Outside::new();
    pointsman.expect(&["deploy", "v1"], 0);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", RATE);
    pointsman.expect(&["deploy", "v2"], 0);

    // The store has the epoch of the routers, nobody's lock, and both journals, whole but for what is said at the end.
    let seen = store.read().await.unwrap();
    assert_eq!((seen.epoch, &seen.held), (outside.router("lb1").epoch, &None));
    let journals = store.journals().await.unwrap();
    assert_eq!(journals.len(), 2);
    for (run, text) in &journals {
        let kept = outside.ask("lb1", &format!("cat {STATE}/runs/{run}/journal.jsonl"));
        assert!(
            text.trim() == kept.trim() || text.starts_with(&kept),
            "{run}: {text}\n{kept}"
        );
        pointsman.expect(&["history"], 0).says(&[run]);
    }
    let epoch = format!("store {name}: epoch {}", seen.epoch);
    pointsman.expect(&["status"], 0).says(&["lock: free", &epoch]);
    pointsman
        .expect(&["doctor"], 0)
        .says(&[&format!("{name} answers")]);

    of_two_at_once_one_wins(&pointsman, &outside);
    a_killed_run_is_taken_over(&pointsman, store.as_ref(), &outside).await;
    a_lock_taken_away_ends_a_run(&pointsman, store.as_ref()).await;
    who_came_to_no_server_keeps_nobody_out_for_long(&pointsman, store.as_ref()).await;
    without_the_store(name, &pointsman, team, &outside).await;
    if let Team::Postgres(server) = team {
        a_store_that_can_only_be_read(&pointsman, server, &outside).await;
    }
    lost_on_the_way(name, &pointsman, team, store.as_ref(), &outside).await;
    none_lost(&format!("runs with {name}"), &load.stop());
    reset(ENV);
}

fn of_two_at_once_one_wins(pointsman: &Pointsman, outside: &Outside) {
    let before = outside.router("lb1").epoch;
    let both = ["v2", "v3"].map(|tag| Running::of(pointsman, &["deploy", tag, "--no-flip"]));
    let mut ends = both.map(|running| running.wait());
    ends.sort_by_key(|(code, _)| *code);
    assert_eq!([ends[0].0, ends[1].0], [0, 30], "{ends:#?}");
    assert_eq!(
        outside.router("lb1").epoch,
        before + 1,
        "the loser touched no router"
    );
}

async fn a_killed_run_is_taken_over(pointsman: &Pointsman, store: &dyn Store, outside: &Outside) {
    let hot = outside.hot().unwrap();
    let running = Running::of(pointsman, &["deploy", "v3"]);
    let journal = running.kill_after(6, Duration::ZERO).expect("it was alive");
    let run = running.run(&journal);
    let held = store.read().await.unwrap().held.expect("it holds the lock");
    assert_eq!(held.run, run);
    pointsman.expect(&["deploy", "v2"], 30).says(&[&run]);
    pointsman.expect(&["resume", &run], 0);
    assert_ne!(outside.hot().unwrap(), hot);
    assert_eq!(store.read().await.unwrap().held, None);
}

async fn a_lock_taken_away_ends_a_run(pointsman: &Pointsman, store: &dyn Store) {
    let running = Running::of(pointsman, &["flip"]);
    let journal = running.stop_after_lines(4).expect("it was alive");
    let run = running.run(&journal);
    pointsman.expect(&["lock", "release", &run], 0);
    assert_eq!(store.read().await.unwrap().held, None);
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    pointsman.expect(&["lock", "acquire", "-m", "by hand"], 0);
    assert!(store.read().await.unwrap().held.is_some());
    pointsman.expect(&["flip"], 30).says(&["by hand"]);
    pointsman.expect(&["lock", "release"], 0);
}

/// It died between the store and the first router: nothing can have been changed by it.
async fn who_came_to_no_server_keeps_nobody_out_for_long(pointsman: &Pointsman, store: &dyn Store) {
    let epoch = store.read().await.unwrap().epoch;
    let take = Take {
        expect_epoch: epoch,
        epoch: epoch + 1,
        run: "20261123T000000Z-dead00".to_owned(),
        owner: "{}".to_owned(),
        steal: None,
    };
    store.acquire(&take).await.unwrap();
    pointsman.expect(&["flip"], 30).says(&[&take.run]);
    until("its silence", SILENT, || pointsman.run(&["flip"]).code() == 0);
    assert_eq!(store.read().await.unwrap().held, None);
}

async fn without_the_store(name: &str, pointsman: &Pointsman, team: &Team, outside: &Outside) {
    let seen = outside.routers().map(|router| (router.epoch, router.live));
    team.stop().await;
    let words = format!("store {name} cannot be read");
    pointsman.expect(&["deploy", "v3"], 50).says(&[&words]);
    pointsman
        .expect(&["lock", "acquire", "-m", "x"], 50)
        .says(&[&words]);
    assert_eq!(outside.routers().map(|router| (router.epoch, router.live)), seen);
    pointsman.expect(&["status"], 0).says(&["cannot be read"]);
    pointsman.expect(&["history"], 0).says(&["cannot be read"]);
    pointsman.expect(&["doctor"], 50).says(&["BAD store"]);
    // What brings traffic back needs the routers alone.
    let hot = outside.hot().unwrap();
    pointsman
        .expect(&["rollback"], 0)
        .says(&["goes on without the store"]);
    assert_ne!(outside.hot().unwrap(), hot);
    team.start().await;
    // The store is behind the routers now.
    let back = team.client();
    assert!(back.read().await.unwrap().epoch < outside.router("lb1").epoch);
    pointsman.expect(&["flip"], 0);
    assert_eq!(back.read().await.unwrap().epoch, outside.router("lb1").epoch);
}

/// What can be read and not be written holds up who begins, and nobody who leads traffic back or clears up.
async fn a_store_that_can_only_be_read(pointsman: &Pointsman, server: &postgres::Server, outside: &Outside) {
    server
        .admin("REVOKE INSERT, UPDATE ON pointsman_lock FROM ci")
        .await;
    let seen = outside.routers().map(|router| (router.epoch, router.live));
    pointsman
        .expect(&["deploy", "v3"], 50)
        .says(&["permission denied"]);
    assert_eq!(outside.routers().map(|router| (router.epoch, router.live)), seen);
    let hot = outside.hot().unwrap();
    pointsman
        .expect(&["rollback"], 0)
        .says(&["goes on without the store"]);
    assert_ne!(outside.hot().unwrap(), hot);
    let running = Running::of(pointsman, &["flip"]);
    let journal = running.stop_after_lines(4).expect("it was alive");
    let run = running.run(&journal);
    pointsman
        .expect(&["lock", "release", &run], 0)
        .says(&["goes on without the store"]);
    let (code, text) = running.go_on();
    assert_eq!(code, 31, "{text}");
    server.admin("GRANT INSERT, UPDATE ON pointsman_lock TO ci").await;
    if outside.hot().unwrap() != hot {
        pointsman.expect(&["flip"], 0);
    }
}

async fn lost_on_the_way(
    name: &str,
    pointsman: &Pointsman,
    team: &Team,
    store: &dyn Store,
    outside: &Outside,
) {
    // Before the flip: the deploy is taken back.
    let hot = outside.hot().unwrap();
    let running = Running::of(pointsman, &["deploy", "v3"]);
    running.wait_for_step("stage");
    team.stop().await;
    let (code, text) = running.wait();
    assert_eq!(code, 10, "{text}");
    assert!(text.contains(&format!("kept in the store {name}")), "{text}");
    assert_eq!(outside.hot().unwrap(), hot);
    team.start().await;
    // What it left in the store keeps nobody out.
    pointsman.expect(&["deploy", "v3", "--no-flip"], 0);

    // After it: traffic goes before the record.
    let running = Running::of(pointsman, &["deploy", "v2"]);
    running.wait_for_step("verify");
    team.stop().await;
    let (code, text) = running.wait();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains(&format!("goes on without the store {name}")),
        "{text}"
    );
    assert_ne!(outside.hot().unwrap(), hot);
    team.start().await;
    pointsman.expect(&["rollback"], 0);
    assert_eq!(outside.hot().unwrap(), hot);
    assert_eq!(store.read().await.unwrap().held, None);
}
