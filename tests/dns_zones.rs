//! One conformance suite for zones that take dynamic updates, over the real BIND, Knot and PowerDNS, each a process of the
//! test. After it, what is shown with one of them only.

#![allow(
    clippy::cloned_ref_to_slice_refs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends there, as it should; figures are part of the output"
)]

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
                under_load::flips_under_questions($program).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_storm_of_reloads() {
                under_load::a_storm_of_reloads($program).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn killed_in_the_midst() {
                under_load::killed_in_the_midst($program).await;
            }
        }
    };
}
conforms!(bind, Program::Bind);
conforms!(knot, Program::Knot);
conforms!(powerdns, Program::PowerDns);
