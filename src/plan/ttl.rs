//! What a plan says of caches, for switches whose answers are kept by resolvers.

use super::{Action, Steps};
use crate::inventory::switch::Connector;
use crate::inventory::{Inventory, Pool};
use crate::observe::Observation;
use crate::switch::Caches;

/// What was read of caches; `None` where the switch's answers are not cached.
fn caches(seen: &Observation) -> Option<&Caches> {
    seen.readable()
        .find_map(|(_, router)| router.view.caches.as_ref())
}

/// Lowers a TTL that is above the inventory's, first of all, so that it runs out while the release is brought up.
pub(super) fn lower<'a>(steps: Steps<'a>, seen: &Observation) -> Steps<'a> {
    match caches(seen) {
        Some(caches) if caches.ttl_s > caches.wanted_s || caches.long_until.is_some() => steps.on_routers(
            Action::LowerTtl,
            format!(
                "lower the TTL from {} s to {} s, and wait before the flip until the last answer of the higher one has run out",
                caches.ttl_s, caches.wanted_s
            ),
        ),
        _ => steps,
    }
}

/// When clients meet the pool that is flipped to, to be said beside the flip; nothing where they do at once.
pub(super) fn when(seen: &Observation, from: Pool, lowered: bool) -> String {
    caches(seen).map_or_else(String::new, |caches| {
        format!("; {}", lasts(caches, from, lowered))
    })
}

/// How long clients may still come to the pool that a flip leaves.
fn lasts(caches: &Caches, from: Pool, lowered: bool) -> String {
    let ttl = if lowered {
        caches.ttl_s.min(caches.wanted_s)
    } else {
        caches.ttl_s
    };
    let long = caches
        .long_until
        .filter(|_| !lowered)
        .map_or_else(String::new, |until| {
            format!(", those of an earlier TTL until {until}")
        });
    format!("caches may lead clients to {from} for {ttl} s more{long}")
}

/// Until when a change of this pool has to wait for caches. What has passed is not there any more when it is read.
pub(super) fn horizon(inventory: &Inventory, seen: &Observation, pool: Pool) -> Option<String> {
    let until = caches(seen)?.until.get(&pool)?;
    Some(format!(
        "caches may lead clients of {} to {pool} until {until}: what runs there is replaced after that, once nobody comes",
        inventory.app.name
    ))
}

/// How long a flip from this pool takes to reach every client, where nothing else is waited for.
pub(super) fn moves(inventory: &Inventory, seen: &Observation, from: Pool) -> Option<String> {
    let lasts = lasts(caches(seen)?, from, false);
    let handed = match &inventory.switch.connector {
        Connector::Dns(dns, _) if dns.tail_forward => format!("; {from} hands their requests on"),
        _ => String::new(),
    };
    Some(format!("{lasts} after the flip{handed}"))
}

/// A flip that counts as done by the provider's word alone.
pub(super) fn unasked(seen: &Observation) -> Option<String> {
    let problem = caches(seen)?.unasked.as_ref()?;
    Some(format!(
        "the name's authoritative servers cannot be found, so only the provider's word counts: {problem} (give `switch.dns.nameservers`)"
    ))
}
