//! Successes in a row, over a least time.

use std::time::Duration;

use tokio::time::Instant;

/// Counts successes in a row. It holds once there are enough of them and the first and the last are
/// far enough apart: three answers within a millisecond prove a lucky worker, not a healthy app.
#[derive(Debug, Clone)]
pub(crate) struct Streak {
    needed: u32,
    spread: Duration,
    count: u32,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Streak {
    /// Nothing has succeeded yet.
    pub(crate) fn new(needed: u32, spread: Duration) -> Streak {
        Streak {
            needed: needed.max(1),
            spread,
            count: 0,
            first: None,
            last: None,
        }
    }

    /// A success at `at`.
    pub(crate) fn success(&mut self, at: Instant) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    /// A failure: the count starts again.
    pub(crate) fn failure(&mut self) {
        *self = Streak::new(self.needed, self.spread);
    }

    /// Whether enough successes in a row stand.
    pub(crate) fn holds(&self) -> bool {
        self.count >= self.needed
            && self
                .first
                .zip(self.last)
                .is_some_and(|(first, last)| last - first >= self.spread)
    }

    /// How many successes stand in a row.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How many are needed.
    pub(crate) fn needed(&self) -> u32 {
        self.needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plain reading of the rule over the whole history.
        #[test]
        fn holds_exactly_when_the_last_successes_are_many_and_spread(
            needed in 1..5u32,
            spread_ms in 0..50u64,
            history in proptest::collection::vec((any::<bool>(), 0..20u64), 0..30),
        ) {
            let spread = Duration::from_millis(spread_ms);
            let mut streak = Streak::new(needed, spread);
            let mut at = Instant::now();
            let mut times = Vec::new();
            for (ok, pause) in &history {
                at += Duration::from_millis(*pause);
                if *ok { streak.success(at) } else { streak.failure() }
                times.push((*ok, at));
            }
            let row: Vec<Instant> = times.iter().rev().take_while(|(ok, _)| *ok).map(|(_, at)| *at).collect();
            let held = row.len() >= needed as usize && row[0] - row[row.len() - 1] >= spread;
            prop_assert_eq!(streak.holds(), held);
            prop_assert_eq!(streak.count() as usize, row.len());
        }
    }
}
