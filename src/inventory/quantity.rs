//! Durations (`"1h30m"`) and sizes (`"1GiB"`) as people write them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Longest duration that any key takes: a day, beyond which a typing error is likelier than a wish.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `"500ms"`, `"30s"`, `"2m"`, `"1h30m"`: units from large to small, each once.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = &rest[..rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).len()];
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads `"512MiB"`, `"1GiB"`, `"20GB"`, `"0B"`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match &text[digits..] {
        "B" => 1,
        "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "TB" => 1000 * 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// For `deserialize_with`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| de::Error::custom("no duration"))
}

/// For `deserialize_with`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).ok_or_else(|| de::Error::custom("no size"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("2m", Some(120_000)),
            ("1h30m", Some(5_400_000)),
            ("1m500ms", Some(60_500)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("30m1h", None),
            ("1s1s", None),
            ("1.5s", None),
            ("-1s", None),
            ("1 s", None),
            ("1S", None),
            ("1d", None),
            ("18446744073709551615h", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1GiB", Some(1 << 30)),
            ("20GB", Some(20_000_000_000)),
            ("0B", Some(0)),
            ("", None),
            ("1", None),
            ("GiB", None),
            ("1gib", None),
            ("-1GiB", None),
            ("18446744073709551615TiB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_are_the_sum_of_their_parts(h in 0..24u64, m in 0..1000u64, s in 0..1000u64, ms in 0..1000u64) {
            let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms);
            prop_assert_eq!(parse_duration(&format!("{h}h{m}m{s}s{ms}ms")), Some(expected));
        }

        #[test]
        fn no_text_makes_them_panic(text in "[0-9hmsKMGTiB.é]{0,12}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
