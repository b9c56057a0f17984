//! Numbers as people read them, in the forms of Prometheus's template functions.

/// As short as it can be without losing digits; large and small ones with an exponent.
pub(super) fn plain(value: f64) -> String {
    let size = value.abs();
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if size != 0.0 && !(1e-4..1e21).contains(&size) && !value.is_nan() {
        return format!("{value:e}");
    }
    value.to_string()
}

/// Four significant digits, no zeros behind the point.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || !(1e-4..1e6).contains(&size) {
        return plain(value);
    }
    let whole_digits = size.log10().floor() as i32;
    let decimals = usize::try_from(3 - whole_digits).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `1.234M`: SI prefixes.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return plain(value);
    }
    let up = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let down = ["", "m", "u", "n", "p", "f", "a", "z", "y"];
    if value.abs() >= 1.0 {
        return scaled(value, &up, |value| value.abs() >= 1000.0, |value| value / 1000.0);
    }
    scaled(value, &down, |value| value.abs() < 1.0, |value| value * 1000.0)
}

/// `1.5Mi`: binary prefixes.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let up = ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    scaled(value, &up, |value| value.abs() >= 1024.0, |value| value / 1024.0)
}

fn scaled(mut value: f64, prefixes: &[&str], more: fn(f64) -> bool, step: fn(f64) -> f64) -> String {
    let mut prefixes = prefixes.iter();
    let mut prefix = prefixes.next().copied().unwrap_or_default();
    while more(value) {
        let Some(next) = prefixes.next() else { break };
        prefix = next;
        value = step(value);
    }
    format!("{}{prefix}", short(value))
}

/// `97.31%`
pub(super) fn percentage(value: f64) -> String {
    format!("{}%", short(value * 100.0))
}

/// `1d 2h 3m 4s`; below a second with an SI prefix.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return plain(value);
    }
    let size = value.abs();
    if size < 1.0 {
        return format!("{}s", humanize(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    if size < 60.0 {
        return format!("{sign}{}s", short(size));
    }
    let whole = size as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else {
        format!("{sign}{minutes}m {seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, humanize, humanize1024, percentage, plain};

    #[test]
    fn numbers_are_short() {
        assert_eq!(plain(1e30), "1e30");
        assert_eq!(plain(-0.5), "-0.5");
        assert_eq!(humanize(0.0), "0");
        assert_eq!(humanize(999.0), "999");
        assert_eq!(humanize(-12_340.0), "-12.34k");
        assert_eq!(humanize(f64::INFINITY), "+Inf");
        assert_eq!(humanize1024(1024.0 * 1024.0 * 2.0), "2Mi");
        assert_eq!(percentage(1.0), "100%");
        assert_eq!(duration(0.0123), "12.3ms");
        assert_eq!(duration(-75.0), "-1m 15s");
        assert_eq!(duration(12.5), "12.5s");
        assert_eq!(duration(7200.0), "2h 0m 0s");
    }
}
