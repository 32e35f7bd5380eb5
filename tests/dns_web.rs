//! The DNS providers that are spoken to by HTTP: PowerDNS as it is, Cloudflare and DigitalOcean as they are documented.
//! One suite for all three; after it, what only one of them can do wrong.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends there, as it should; figures are part of the output"
)]

#[path = "dns_web/bench.rs"]
mod bench;
#[path = "dns_web/cloudflare.rs"]
mod cloudflare;
#[path = "dns_web/digitalocean.rs"]
mod digitalocean;
#[path = "dns_web/fake.rs"]
mod fake;
#[path = "dns_web/only_cloudflare.rs"]
mod only_cloudflare;
#[path = "dns_web/only_digitalocean.rs"]
mod only_digitalocean;
#[path = "dns_web/only_powerdns.rs"]
mod only_powerdns;
#[path = "dns_web/powerdns.rs"]
mod powerdns;
#[path = "support/process.rs"]
mod process;
#[path = "dns_web/resolve.rs"]
mod resolve;
#[path = "dns_web/suite.rs"]
mod suite;
#[path = "dns_web/torn.rs"]
mod torn;

/// The suite for one provider.
macro_rules! conformance {
    ($name:ident, $bench:ty) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn addresses_and_texts_go_round() {
                suite::round_trip(&<$bench>::start().await).await;
            }

            #[tokio::test]
            async fn long_texts_are_kept() {
                suite::long_texts(&<$bench>::start().await).await;
            }

            #[tokio::test]
            async fn what_was_not_expected_is_stale_and_nothing_is_changed() {
                suite::stale(&<$bench>::start().await).await;
            }

            #[tokio::test]
            async fn refusals_have_words_and_a_cure() {
                suite::refusals(&<$bench>::start().await).await;
            }
        }
    };
}

conformance!(on_powerdns, powerdns::Server);
conformance!(on_cloudflare, cloudflare::Cloud);
conformance!(on_digitalocean, digitalocean::Ocean);
