//! Durations as Prometheus writes them: `5m`, `1h30m`, `500ms`; units from large to small, each once.

/// Units, largest first, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration, milliseconds: a hundred years.
pub(crate) const MAX_MILLIS: i64 = 100 * 365 * 86_400_000;

/// Reads a duration into milliseconds. `None` for anything else and for more than a hundred years; `0` alone needs
/// no unit.
#[must_use]
pub(crate) fn parse_millis(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0_i64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        // What is left of the units only: 1m1h and 1m1m are none.
        let (_, millis) = units.by_ref().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*millis)?)?;
        rest = tail;
    }
    (!text.is_empty() && total <= MAX_MILLIS).then_some(total)
}

/// Writes milliseconds the way [`parse_millis`] reads them.
#[must_use]
pub(crate) fn format_millis(millis: i64) -> String {
    let mut left = millis.max(0);
    let mut out = String::new();
    for (unit, size) in UNITS {
        if left >= size {
            out.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MILLIS, format_millis, parse_millis};
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1w", Some(604_800_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("m", None),
            ("1m1h", None),
            ("1m1m", None),
            ("1.5h", None),
            ("-5m", None),
            ("5M", None),
            ("101y", None),
            ("99999999999999999999d", None),
            ("9223372036854775807w", None),
        ] {
            assert_eq!(parse_millis(text), millis, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..MAX_MILLIS) {
            prop_assert_eq!(parse_millis(&format_millis(millis)), Some(millis));
        }
    }
}
