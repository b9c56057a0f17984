//! Strings in quotes, as code, configuration and JSON within JSON have them.

use std::ops::Range;

/// Whether it is a quote.
pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// A string that begins here: what is in it, and where it is over.
///
/// JSON within JSON has its quotes behind backslashes: as many as the first has, the last has too, beside pairs of those that
/// are escaped themselves. One in single quotes ends with its line, since an apostrophe may be no quote, and a shell's goes on
/// behind `'\''`.
pub(super) fn quoted(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let depth = bytes.get(at..)?.iter().take_while(|byte| **byte == b'\\').count();
    let quote = *bytes.get(at + depth).filter(|byte| is_quote(**byte))?;
    let begin = at + depth + 1;
    if depth == 0 && bytes.get(begin..begin + 2) == Some(&[quote; 2]) {
        return Some(tripled(text, begin + 2, quote));
    }
    let (mut escapes, mut goes_on) = (0, begin);
    for (place, byte) in bytes.iter().enumerate().skip(begin) {
        match *byte {
            _ if place < goes_on => continue,
            b'\\' => {
                escapes += 1;
                continue;
            }
            byte if byte == quote && closes(escapes, depth) => {
                if let Some(length) = apostrophe(bytes.get(place..).unwrap_or_default()) {
                    goes_on = place + length;
                    continue;
                }
                return Some((begin..place - escapes.min(depth), place + 1));
            }
            b'\r' | b'\n' if quote == b'\'' => return Some((begin..place, place)),
            _ => {}
        }
        escapes = 0;
    }
    Some((begin..bytes.len(), bytes.len()))
}

/// How long `'\''` is, whatever it is in.
fn apostrophe(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"'")?;
    let escapes = rest.iter().take_while(|byte| **byte == b'\\').count();
    (escapes > 0 && rest.get(escapes..)?.starts_with(b"''")).then_some(escapes + 3)
}

/// Whether a quote behind so many backslashes ends a string that began behind `depth`.
fn closes(escapes: usize, depth: usize) -> bool {
    escapes.checked_sub(depth).is_none_or(|more| (more / (depth + 1)).is_multiple_of(2))
}

/// One that ends with three quotes.
fn tripled(text: &str, begin: usize, quote: u8) -> (Range<usize>, usize) {
    let end = match quote {
        b'"' => "\"\"\"",
        b'\'' => "'''",
        _ => "```",
    };
    let length = text.get(begin..).and_then(|rest| rest.find(end));
    length.map_or((begin..text.len(), text.len()), |length| (begin..begin + length, begin + length + 3))
}

/// Whether a quote here ends a string: it stands behind something and before nothing.
pub(super) fn looks_closing(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let next = bytes.get(at + 1).copied().unwrap_or(b' ');
    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied().unwrap_or(b' ');
    let opens = |byte: u8| byte.is_ascii_whitespace() || b"=:([{,<".contains(&byte);
    let goes_on = next.is_ascii_alphanumeric() || matches!(next, b'$' | b'_');
    !opens(before) && !goes_on
}
