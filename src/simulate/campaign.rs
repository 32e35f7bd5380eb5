//! Many seeds, on every core.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::judge::Violation;
use super::scene::simulate;
use super::world::Protection;
use crate::inventory::Inventory;

/// How the seeds went, all together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seeds that were played.
    pub seeds: u64,
    /// Messages that arrived.
    pub events: u64,
    /// Runs that were killed.
    pub kills: u64,
    /// Seeds in which something did not hold, in order, with the first of what did not.
    pub violations: Vec<(u64, Violation)>,
}

/// Plays every seed of a range. The result is the same each time, whatever the number of cores.
pub fn campaign(inventory: &Inventory, seeds: Range<u64>, without: Option<Protection>) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let play = || {
        let mut own = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let outcome = simulate(inventory, seed, without, false);
            own.seeds += 1;
            own.events += outcome.events;
            own.kills += u64::from(outcome.kills);
            own.violations.extend(
                outcome
                    .violations
                    .into_iter()
                    .next()
                    .map(|violation| (seed, violation)),
            );
        }
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.seeds += own.seeds;
        tally.events += own.events;
        tally.kills += own.kills;
        tally.violations.append(&mut own.violations);
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play);
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.violations.sort_by_key(|(seed, _)| *seed);
    tally
}
