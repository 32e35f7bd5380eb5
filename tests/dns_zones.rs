//! One conformance suite for zones that take dynamic updates, over the real BIND, Knot and PowerDNS, each a process of the
//! test. After it, what is shown with one of them only, and PowerDNS's HTTP API under the suite's loads.

#![allow(
    clippy::cloned_ref_to_slice_refs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends there, as it should; figures are part of the output"
)]

#[path = "state_stores/relay.rs"]
#[allow(dead_code, reason = "one of its faults is wanted here")]
mod holding;
#[path = "dns_zones/only_bind.rs"]
mod only_bind;
#[path = "dns_zones/only_powerdns.rs"]
mod only_powerdns;
#[path = "support/process.rs"]
mod process;
#[path = "dns_zones/relay.rs"]
mod relay;
#[path = "dns_zones/server.rs"]
mod server;
#[path = "dns_zones/suite.rs"]
mod suite;
#[path = "dns_zones/under_load.rs"]
mod under_load;
#[path = "dns_zones/watching.rs"]
mod watching;

use server::Program;
use under_load::By;

/// The suite for one program.
macro_rules! conforms {
    ($name:ident, $program:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn round_trips() {
                suite::round_trips($program).await;
            }
            #[tokio::test]
            async fn stale_changes_nothing() {
                suite::stale_changes_nothing($program).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn one_writer_wins() {
                suite::one_writer_wins($program).await;
            }
            #[tokio::test]
            async fn refusals_have_their_own_words() {
                suite::refusals_have_their_own_words($program).await;
            }
            #[tokio::test]
            async fn doctor_rehearses_a_flip() {
                suite::doctor_rehearses_a_flip($program).await;
            }
            #[tokio::test]
            async fn what_was_written_stays() {
                suite::what_was_written_stays($program).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn flips_under_questions() {
                under_load::flips_under_questions(By::Updates($program)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_storm_of_reloads() {
                under_load::a_storm_of_reloads(By::Updates($program)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn killed_in_the_midst() {
                under_load::killed_in_the_midst(By::Updates($program)).await;
            }
        }
    };
}
conforms!(bind, Program::Bind);
conforms!(knot, Program::Knot);
conforms!(powerdns, Program::PowerDns);

/// The connector `powerdns`, under the same loads; what else it does is in `dns_web`.
/// Negative controls: with a DELETE before each REPLACE, in a PATCH of its own, clients were given no address in the first
/// two. With a PATCH for each set, a kill left the new pool with the old note; with a change that is sent as a question is,
/// one that had no answer was told as not done.
mod powerdns_by_http {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn flips_under_questions() {
        under_load::flips_under_questions(By::Http).await;
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_storm_of_reloads() {
        under_load::a_storm_of_reloads(By::Http).await;
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn killed_in_the_midst() {
        under_load::killed_in_the_midst(By::Http).await;
    }
}
