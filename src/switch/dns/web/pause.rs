//! How long a busy provider is waited for.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// How often, and how long, a request that was turned away is sent again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Requests in all.
    pub(super) tries: u32,
    /// Pause after the first; doubles each time, with jitter so that runs do not march in step.
    pub(super) first: Duration,
    /// The longest pause that is accepted, ours or the provider's: a flip that would have to wait longer says so at once.
    pub(super) longest: Duration,
}

impl Default for Patience {
    /// One request and four more, within some 4 s of their own pauses; a provider may ask for 30 s each.
    fn default() -> Patience {
        Patience {
            tries: 5,
            first: Duration::from_millis(300),
            longest: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The pause after the request number `done` (from 1); `None` when it was the last, or too much is asked for.
    pub(super) fn pause(&self, done: u32, asked: Option<Duration>) -> Option<Duration> {
        if done >= self.tries {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (done - 1).min(16));
        let jitter = doubled.mul_f64(rand::random_range(0.5..1.0)).min(self.longest);
        // Those who were told the same moment would else come back together.
        let pause = asked.map_or(jitter, |asked| {
            asked + self.first.mul_f64(rand::random_range(0.0..0.5))
        });
        (asked.unwrap_or(pause) <= self.longest).then_some(pause)
    }
}

/// `Retry-After`, in seconds or as a date; `None` for anything else.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
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

    #[test]
    fn reads_both_forms() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        let date = "Thu, 01 Jan 2026 00:01:00 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn four_pauses_and_no_more_and_none_is_shorter_than_asked_for() {
        let patience = Patience::default();
        let pauses: Duration = (1..5)
            .map(|done| patience.pause(done, None).expect("a pause"))
            .sum();
        assert!(pauses < Duration::from_secs(5), "{pauses:?}");
        assert_eq!(patience.pause(5, None), None);
        let asked = Duration::from_secs(30);
        assert!(patience.pause(1, Some(asked)).is_some_and(|pause| pause >= asked));
        assert_eq!(patience.pause(1, Some(asked + Duration::from_secs(1))), None);
    }
}
