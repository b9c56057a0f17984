//! What a sender may send: every limit of the doors, and the checks of single values. The text of a refusal is the end
//! of a sentence that says what is wrong with a record, and never holds what was sent.

use std::time::Duration;

use crate::model::{operation::Call, shown::is_shown, time::Timestamp};

/// Bytes of a body, before and after decompression.
pub const MAX_BODY: usize = 1 << 20;
/// Records of one request.
pub const MAX_RECORDS: usize = 1000;
/// Refusals that are told one by one.
pub(super) const TOLD_REFUSALS: usize = 20;
/// Bytes of one record.
pub(super) const MAX_RECORD: usize = 64 << 10;
/// Bytes of a name.
pub(super) const MAX_NAME: usize = 128;
/// Bytes of a label's value, and of any other short text.
pub(super) const MAX_VALUE: usize = 128;
/// Labels of one operation.
pub(super) const MAX_LABELS: usize = 16;
/// Entries of a call tree.
pub(super) const MAX_CALLS: usize = 256;
/// Levels of a call tree.
pub(super) const MAX_DEPTH: u8 = 32;
/// How long one operation may take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long ago it may have begun.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// How far ahead of ours a sender's clock may be.
const SKEW: Duration = Duration::from_secs(300);
/// How long a request waits for its turn to be read.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer waits for the disk.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// A duration from seconds.
pub(super) fn seconds(seconds: f64) -> Result<u64, String> {
    if !seconds.is_finite() || seconds < 0.0 {
        return Err("has a duration that is negative or no number".to_owned());
    }
    if seconds > LONGEST.as_secs_f64() {
        return Err("has a duration of more than 24 h".to_owned());
    }
    Ok((seconds * 1e9).round() as u64)
}

/// A duration in nanoseconds.
pub(super) fn nanoseconds(ns: u64) -> Result<u64, String> {
    if u128::from(ns) > LONGEST.as_nanos() {
        return Err("has a duration of more than 24 h".to_owned());
    }
    Ok(ns)
}

/// A start that is neither long ago nor ahead.
pub(super) fn start(start: Timestamp, now: Timestamp) -> Result<Timestamp, String> {
    if now.checked_sub(OLDEST).is_ok_and(|oldest| start < oldest) {
        return Err("began more than 24 h ago".to_owned());
    }
    if now.checked_add(SKEW).is_ok_and(|latest| start > latest) {
        return Err("begins more than 5 min in the future".to_owned());
    }
    Ok(start)
}

/// A short text without control characters.
pub(super) fn text(what: &str, text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > most || !text.chars().all(is_shown) {
        return Err(format!("has a {what} that is empty, longer than {most} bytes, or not printable"));
    }
    Ok(text.to_owned())
}

/// The kind of an operation: lower case, digits and `_`.
pub(super) fn kind(text: &str) -> Result<String, String> {
    let kind = text.trim().to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=32).contains(&kind.len()) || !kind.bytes().all(plain) {
        return Err("has a kind that is not 1 to 32 letters, digits or _".to_owned());
    }
    Ok(kind)
}

/// A status of HTTP.
pub(super) fn status(status: u64) -> Result<u16, String> {
    let found = u16::try_from(status).ok().filter(|status| (100..600).contains(status));
    found.ok_or_else(|| "has a status that is none of HTTP's".to_owned())
}

/// A call tree that is neither large nor deep.
pub(super) fn calls(calls: &[Call]) -> Result<(), String> {
    if calls.len() > MAX_CALLS {
        return Err(format!("has a call tree of more than {MAX_CALLS} entries"));
    }
    if calls.iter().any(|call| call.depth >= MAX_DEPTH) {
        return Err(format!("has a call tree of more than {MAX_DEPTH} levels"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [f64::NAN, f64::INFINITY, -1.0, -0.001, 86_401.0, f64::MAX] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds(0.25), Ok(250_000_000));
        let now = Timestamp::now();
        let hours = |n: i64| now + Duration::from_secs(3600) * u32::try_from(n).unwrap_or(0);
        assert!(start(hours(1), now).is_err() && start(Timestamp::MAX, now).is_err());
        assert!(start(Timestamp::MIN, now).is_err() && start(now, now).is_ok());
        assert_eq!(kind("HTTP-Server"), Ok("http_server".to_owned()));
        assert!(kind("").is_err() && kind("a/b").is_err() && kind(&"x".repeat(33)).is_err());
        assert!(status(99).is_err() && status(u64::MAX).is_err() && status(404) == Ok(404));
        assert!(text("name", "ab\u{202e}ba", 9).is_err() && text("name", "日本", 9).is_ok());
        assert!(text("name", "a\u{7}", 9).is_err() && text("name", " ", 9).is_err());
    }
}
