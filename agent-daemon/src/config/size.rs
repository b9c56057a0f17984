//! Sizes as people write them: `2GB`, `512MB`. Powers of ten, as disks are sold and as agentperf shows them.

/// Units, largest first.
const UNITS: [(&str, u64); 4] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1)];

/// Reads a size: a whole number and one of the units GB, MB, KB, B.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, bytes) = UNITS.iter().find(|(name, _)| unit.trim_start().eq_ignore_ascii_case(name))?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Writes a size so that reading it gives the same.
pub(super) fn format_bytes(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in any::<u64>()) {
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_survived(text in ".*") {
            let _ = parse_bytes(&text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("2GB"), Some(2_000_000_000));
        assert_eq!(parse_bytes("512 mb"), Some(512_000_000));
        for wrong in ["", "2", "GB", "-1GB", "1.5GB", "2GiB", "99999999999999999999GB"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }
}
