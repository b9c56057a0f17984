//! Figures for people: three digits that matter, with a unit.

/// Seconds as `1.23 s`, `4.56 ms`, `7 µs`, `2 m 03 s`, `3 h 07 m`, `5 d 03 h`.
pub(super) fn seconds(value: f64) -> String {
    if value >= 120.0 {
        let whole = value.round() as u64;
        let (minutes, hours) = (whole / 60, whole / 3600);
        return match whole {
            0..7200 => format!("{minutes} m {:02} s", whole % 60),
            7200..172_800 => format!("{hours} h {:02} m", minutes % 60),
            _ => format!("{} d {:02} h", hours / 24, hours % 24),
        };
    }
    // A sum over nothing is -0.
    let (scaled, unit) = match value + 0.0 {
        v if v >= 1.0 => (v, "s"),
        v if v >= 1e-3 => (v * 1e3, "ms"),
        v => (v * 1e6, "µs"),
    };
    format!("{} {unit}", digits(scaled))
}

/// Bytes as `1.2 MB`.
pub(super) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if scaled < 1000.0 {
            return format!("{} {unit}", digits(scaled));
        }
        scaled /= 1000.0;
    }
    format!("{} TB", digits(scaled))
}

/// A share in percent; empty where there is no whole.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", 100.0 * part / whole) } else { String::new() }
}

fn digits(value: f64) -> String {
    match value {
        v if v == 0.0 || v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, percent, seconds};

    #[test]
    fn figures_read_well() {
        for (value, text) in [
            (0.0, "0 µs"),
            (-0.0, "0 µs"),
            (0.000_007, "7.00 µs"),
            (0.0123, "12.3 ms"),
            (1.234, "1.23 s"),
            (119.0, "119 s"),
            (123.0, "2 m 03 s"),
            (7199.0, "119 m 59 s"),
            (11_220.0, "3 h 07 m"),
            (443_000.0, "5 d 03 h"),
        ] {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(
            (bytes(0), bytes(1234), bytes(123_456_789)),
            ("0 B".into(), "1.23 kB".into(), "123 MB".into())
        );
        assert_eq!((percent(1.0, 3.0), percent(1.0, 0.0)), ("33.3 %".into(), String::new()));
    }
}
