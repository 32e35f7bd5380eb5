//! One conformance suite for every place where lock and journal can be kept: the lab's routers, a real
//! PostgreSQL and a real etcd. After it, what only one of them can do wrong, and what of it holds for the note beside a name.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends there, as it should; figures are part of the output"
)]

#[path = "state_stores/bench.rs"]
mod bench;
#[path = "state_stores/cuts.rs"]
mod cuts;
#[path = "state_stores/etcd.rs"]
mod etcd;
#[path = "state_stores/folder.rs"]
mod folder;
#[path = "state_stores/only_etcd.rs"]
mod only_etcd;
#[path = "state_stores/only_note.rs"]
mod only_note;
#[path = "state_stores/only_postgres.rs"]
mod only_postgres;
#[path = "state_stores/only_servers.rs"]
mod only_servers;
#[path = "state_stores/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;
#[path = "state_stores/relay.rs"]
mod relay;
#[path = "dns_zones/server.rs"]
mod server;
#[path = "state_stores/servers.rs"]
mod servers;
#[path = "state_stores/suite.rs"]
mod suite;
mod support;
#[path = "state_stores/whole_runs.rs"]
mod whole_runs;

use bench::Bench;
use pointsman::state::Store;
use relay::Fault;

/// The suite for one store. `$chunks` bounds the cuts: no write of PostgreSQL or etcd sends as many.
macro_rules! conformance {
    ($name:ident, $bench:expr, $faults:expr, $chunks:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn a_whole_run() {
                let bench = $bench("whole").await;
                let (a, b) = (bench.client("whole"), bench.client("whole"));
                suite::a_whole_run(a.as_ref(), b.as_ref()).await.unwrap();
            }

            #[tokio::test]
            async fn heartbeats() {
                let bench = $bench("heartbeats").await;
                let (a, b) = (bench.client("heartbeats"), bench.client("heartbeats"));
                suite::heartbeats(a.as_ref(), b.as_ref()).await.unwrap();
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn of_eight_at_once_one_takes_it() {
                let bench = $bench("race").await;
                let clients: Vec<Box<dyn Store>> = (0..8).map(|_| bench.client("race")).collect();
                suite::race(&clients, bench.rounds()).await.unwrap();
            }

            #[tokio::test]
            async fn a_robbed_run_changes_nothing() {
                let bench = $bench("stolen").await;
                let (a, b) = (bench.client("stolen"), bench.client("stolen"));
                suite::stolen(a.as_ref(), b.as_ref()).await.unwrap();
            }

            #[tokio::test]
            async fn a_stale_look_takes_nothing() {
                let bench = $bench("stale").await;
                let (a, b) = (bench.client("stale"), bench.client("stale"));
                suite::stale_read(a.as_ref(), b.as_ref()).await.unwrap();
            }

            #[tokio::test]
            async fn a_store_without_conditions_is_caught() {
                let bench = $bench("careless").await;
                suite::careless_is_caught(&bench).await;
            }

            #[tokio::test]
            async fn a_connection_that_is_cut_at_any_point_is_told_as_it_is() {
                let bench = $bench("cuts").await;
                let counts = cuts::cuts(&bench, $faults, $chunks).await;
                println!("{counts:?}");
                // Cuts hit before and after the point of no return, or nothing was tested.
                assert!(counts.in_doubt_done > 0, "{counts:?}");
                assert!(
                    counts.unreachable + counts.in_doubt_not_done + counts.unharmed > 0,
                    "{counts:?}"
                );
            }

            #[tokio::test]
            async fn what_arrives_late_changes_nothing() {
                let bench = $bench("late").await;
                let held = cuts::late_delivery(&bench, $chunks).await;
                println!("{held} chunks were held");
                assert!(held > 0, "no chunk of the append was held");
            }

            // The store is ended by blocking commands, while another task writes.
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn what_was_acknowledged_survives_the_store() {
                let bench = $bench("crash").await;
                cuts::crash(
                    &bench,
                    if stringify!($name) == "on_servers" {
                        1
                    } else {
                        3
                    },
                )
                .await;
            }
        }
    };
}

async fn routers(test: &str) -> servers::Routers {
    servers::Routers::new(test)
}

async fn postgresql(_test: &str) -> postgres::Server {
    postgres::Server::new().await
}

async fn etcd_cluster(_test: &str) -> etcd::Cluster {
    etcd::Cluster::new().await
}

const ALL: &[Fault] = &[Fault::CutBefore, Fault::CutAfter, Fault::Swallow];

// A script over SSH is many chunks, and each cut costs new connections.
conformance!(
    on_servers,
    super::routers,
    &[Fault::CutBefore, Fault::CutAfter],
    5
);
conformance!(on_postgres, super::postgresql, ALL, 20);
conformance!(on_etcd, super::etcd_cluster, ALL, 20);
