//! Secrets that are known by their looks: well-known keys, private keys of several lines, headers, passwords in URLs, and long
//! random strings.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::pattern;
use crate::collect::argv::secrets::{SHAPES, is_random};

static KNOWN: LazyLock<Regex> = LazyLock::new(|| pattern(SHAPES));
/// Private keys as PEM and PGP have them, whole, or without their end.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    )
});
static BLOCK_END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
/// What is masked are the groups.
static PLACES: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=\-]{4,})",
        r#"(?i)\bauthorization\\*["']?\s*[:=]\s*\\*["']?(\w+[ \t]+[A-Za-z0-9._~+/=\-]+)"#,
        r#"(?i)\b(?:set-)?cookie["']?\s*:\s*["']?([^\r\n"]+)"#,
    ]
    .map(pattern)
});
/// Passwords in URLs, which may have any sign in them.
static URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@"]*:([^\s"]+)@"#));
/// Long runs of what keys are made of, and paths.
static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9_+/\-]{32,}"));

/// How long AWS's secret keys are, which have no prefix.
const AWS: usize = 40;
/// Characters of a key for each slash in it at the least: of base64, every 64th is one.
const BETWEEN_SLASHES: usize = 12;

pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    blocks(text, found);
    found.extend(KNOWN.find_iter(text).map(|secret| secret.range()));
    for place in &*PLACES {
        found.extend(place.captures_iter(text).filter_map(|groups| Some(groups.get(1)?.range())));
    }
    for run in RUN.find_iter(text) {
        let keys = keys(run.as_str()).into_iter();
        found.extend(keys.map(|key| run.start() + key.start..run.start() + key.end));
    }
    found.extend(
        URL.captures_iter(text).filter_map(|groups| groups.get(1)).filter(is_no_port).map(|p| p.range()),
    );
}

/// Private keys. An end alone is the rest of one that begins behind the last, if not before the text.
fn blocks(text: &str, found: &mut Vec<Range<usize>>) {
    let blocks: Vec<_> = BLOCK.find_iter(text).map(|block| block.range()).collect();
    let (mut whole, mut last) = (blocks.iter().peekable(), 0);
    for end in BLOCK_END.find_iter(text) {
        while let Some(block) = whole.next_if(|block| block.end < end.end()) {
            last = last.max(block.end);
        }
        if whole.peek().is_none_or(|block| block.start >= end.end()) {
            found.push(last..end.end());
        }
        last = end.end();
    }
    found.extend(blocks);
}

/// Whether it is more than a port, where a password may stand.
fn is_no_port(text: &regex::Match<'_>) -> bool {
    let first = text.as_str().split('/').next().unwrap_or_default();
    first.len() == text.len() || !first.bytes().all(|byte| byte.is_ascii_digit())
}

/// Keys in a run. With slashes in it, it may be a path, or a key in one.
fn keys(run: &str) -> Vec<Range<usize>> {
    if is_key(run) {
        return std::iter::once(0..run.len()).collect();
    }
    // Names around a key are none of it.
    let core = run.trim_start_matches('/');
    let (mut start, mut end) = (run.len() - core.len(), run.len());
    while let Some((name, rest)) = run.get(start..end).and_then(|core| core.split_once('/'))
        && is_name(name)
    {
        start = end - rest.len();
    }
    while let Some((rest, name)) = run.get(start..end).and_then(|core| core.rsplit_once('/'))
        && is_name(name)
    {
        end = start + rest.len();
    }
    if run.get(start..end).is_some_and(is_key) {
        return std::iter::once(start..end).collect();
    }
    let mut at = 0;
    let mut pieces = Vec::new();
    for piece in run.split('/') {
        if is_key(piece) {
            pieces.push(at..at + piece.len());
        }
        at += piece.len() + 1;
    }
    pieces
}

/// Whether a run, slashes and all, is a key: base64 has a slash in 64 characters, and changes between small letters, capitals
/// and digits at every second one; names do at every fifth or so.
fn is_key(run: &str) -> bool {
    let has_name = || run.split('/').any(|piece| piece.len() >= 4 && is_name(piece));
    match run.matches('/').count() {
        slashes if slashes * BETWEEN_SLASHES > run.len() => false,
        _ if is_aws(run) => true,
        1.. => is_random(run) && !has_name() && mean_word(run) < 3.0,
        0 => is_random(run),
    }
}

/// Whether it is as one of AWS's secret keys.
fn is_aws(run: &str) -> bool {
    let count = |class: fn(&u8) -> bool| run.bytes().filter(class).count();
    run.len() == AWS
        && !run.contains(['_', '-'])
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
        && count(u8::is_ascii_digit) >= 1
        && mean_word(run) < 3.5
}

/// How many characters a word would have, were it all names: a word begins where small letters, capitals and digits change, but
/// for a capital before small letters.
fn mean_word(run: &str) -> f64 {
    let (mut words, mut last) = (0u32, b' ');
    for byte in run.bytes() {
        let kind = match byte {
            b'a'..=b'z' => b'a',
            b'A'..=b'Z' => b'A',
            b'0'..=b'9' => b'0',
            _ => b' ',
        };
        words += u32::from(kind != b' ' && kind != last && (last, kind) != (b'A', b'a'));
        last = kind;
    }
    run.bytes().filter(u8::is_ascii_alphanumeric).count() as f64 / f64::from(words.max(1))
}

/// Whether a piece of a path is a name as people give them, long enough to be told from a part of a key.
fn is_name(piece: &str) -> bool {
    let is_word = |word: &str| {
        let rest = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let rest = rest.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(rest);
        rest.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    piece.len() >= 3 && piece.split(['-', '_']).all(is_word)
}
