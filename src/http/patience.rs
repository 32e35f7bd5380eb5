//! How long a busy server is waited for, which asks to be asked again later.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// How often, and how long, a request is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Requests in all.
    pub tries: u32,
    /// Pause after the first; doubles each time, with jitter so that CI jobs do not march in step.
    pub first: Duration,
    /// The longest pause that is accepted, ours or the server's: a run that would have to wait longer says so at once.
    pub longest: Duration,
}

impl Default for Patience {
    /// Four requests within some 4 s of their own pauses; a server may ask for 30 s each.
    fn default() -> Patience {
        Patience {
            tries: 4,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The pause after the request number `done` (from 1); `None` when it was the last, or the server asks for too much.
    pub fn pause(&self, done: u32, asked: Option<Duration>) -> Option<Duration> {
        if done >= self.tries {
            return None;
        }
        let pause = match asked {
            // Those who were told the same moment would else come back together.
            Some(asked) => asked + self.first.mul_f64(rand::random_range(0.0..0.5)),
            None => {
                let doubled = self.first.saturating_mul(1 << (done - 1).min(16));
                doubled.mul_f64(rand::random_range(0.5..1.0)).min(self.longest)
            }
        };
        (asked.unwrap_or(pause) <= self.longest).then_some(pause)
    }
}

/// `Retry-After`, in seconds or as a date; `None` for anything else.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new()
        .parse_timestamp(value.trim())
        .ok()?;
    // A time that has passed asks for no pause.
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_forms() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            retry_after("Thu, 01 Jan 2015 00:01:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn who_asks_for_too_much_is_not_waited_for_and_nobody_comes_too_early() {
        let patience = Patience::default();
        assert_eq!(patience.pause(1, Some(Duration::from_secs(31))), None);
        let asked = Duration::from_secs(30);
        assert!(patience.pause(1, Some(asked)).is_some_and(|pause| pause >= asked));
        assert_eq!(patience.pause(4, None), None);
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_longest(done in 1u32..100, tries in 1u32..100) {
            let patience = Patience { tries, ..Patience::default() };
            prop_assert!(patience.pause(done, None).is_none_or(|pause| pause <= patience.longest));
        }
    }
}
