//! Durations as people write them: `5s`, `500ms`, `1h30m`.

use std::{fmt::Write, time::Duration};

/// Units, longest first, with their nanoseconds. `ms` stands before `m` and `s` so that it is found first.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads a duration: numbers, with a point if need be, each with one of the units d, h, m, s, ms.
/// `None` for anything else, a bare number included, since nobody can tell its unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let (name, nanos) = UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
        total = total.checked_add(scale(number, *nanos)?)?;
        rest = unit.get(name.len()..)?;
    }
    Some(total)
}

/// `number` units of `nanos` each.
fn scale(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(part.len()).ok().filter(|d| (1..=9).contains(d))?;
    let part = part.parse::<u64>().ok()?.checked_mul(nanos)? / 10u64.checked_pow(digits)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(nanos)?;
    Some(Duration::from_nanos(whole.checked_add(part)?))
}

/// Writes a duration the way [`parse_duration`] reads it, exact to the millisecond.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut out = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= millis {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}{unit}", left / millis);
            left %= millis;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::{format_duration, parse_duration};
    use std::time::Duration;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("5s", 5000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("0.5s", 500),
            (" 2m ", 120_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "5", "s", "-1s", "5 s", "1x", "1.2.3s", "1.s", "99999999999999999999s", "99999999999d", "é"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 500, 1000, 90_000, 3_600_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
