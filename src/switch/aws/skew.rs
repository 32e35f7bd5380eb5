//! How far this machine's clock is off, by the `Date` of the last answer. AWS refuses what is signed five minutes off.

use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderMap;
use jiff::Timestamp;

/// Nothing was measured yet.
const UNKNOWN: i64 = i64::MIN;

/// Seconds off that `doctor` finds fault with: a minute before AWS refuses (300 s), as a clock that is off drifts on.
pub(super) const MOST: i64 = 240;

/// The last measurement.
#[derive(Debug)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    pub(super) fn new() -> Skew {
        Skew(AtomicI64::new(UNKNOWN))
    }

    /// Measures by one answer that came just now.
    pub(super) fn measure(&self, headers: &HeaderMap) {
        let date = headers
            .get(http::header::DATE)
            .and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            let ahead = Timestamp::now().as_second() - date.timestamp().as_second();
            self.0.store(ahead, Ordering::Relaxed);
        }
    }

    /// Seconds that this machine is ahead of AWS; negative: behind.
    pub(super) fn seconds(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN)
    }

    /// `this machine is 400 s ahead of AWS`.
    pub(super) fn in_words(&self) -> String {
        match self.seconds() {
            None => "how far this machine's clock is off is not known: the answer had no Date".to_owned(),
            Some(seconds) if seconds < 0 => format!("this machine is {} s behind AWS", -seconds),
            Some(seconds) => format!("this machine is {seconds} s ahead of AWS"),
        }
    }
}
