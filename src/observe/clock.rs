//! How far a server's clock is off. Nothing is decided by it: logs that are compared by time are what suffers, and
//! DNS updates, whose signatures carry the time.

use jiff::Timestamp;

/// Clocks that differ by more than this are spoken of, in seconds (FAULTS.md 17).
pub const SKEW: i64 = 2;

/// Seconds by which a server's clock is surely ahead of ours (below zero: behind), given what it showed at a
/// script's first and last line, between two looks at our own. Time on the way is not taken for skew.
pub fn skew(before: Timestamp, first: i64, last: i64, after: Timestamp) -> i64 {
    let most = first - before.as_second();
    let least = last - after.as_second();
    if least > 0 { least } else { most.min(0) }
}

/// `its clock is 7 s ahead of this machine's`, where that is worth a word.
pub fn in_words(skew: i64) -> Option<String> {
    let way = if skew > 0 { "ahead of" } else { "behind" };
    (skew.abs() > SKEW).then(|| format!("its clock is {} s {way} this machine's", skew.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_slow_way_is_no_skew_and_a_wrong_clock_is() {
        // Ten seconds on the way, and five of work: nothing is wrong.
        assert_eq!(skew(at(100), 104, 109, at(115)), 0);
        assert_eq!(skew(at(100), 107, 107, at(100)), 7);
        assert_eq!(skew(at(100), 95, 95, at(101)), -5);
        // A script of 3 s hides nothing of a clock that is 4 s ahead.
        assert_eq!(skew(at(100), 104, 107, at(103)), 4);
    }

    #[test]
    fn two_seconds_are_not_worth_a_word() {
        assert_eq!((in_words(2), in_words(-2)), (None, None));
        assert_eq!(
            in_words(-3).as_deref(),
            Some("its clock is 3 s behind this machine's")
        );
        assert_eq!(
            in_words(7).as_deref(),
            Some("its clock is 7 s ahead of this machine's")
        );
    }
}
