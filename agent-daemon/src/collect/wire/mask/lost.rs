//! What may be the rest of a secret whose beginning was lost, or the beginning of one whose rest was.

use std::ops::Range;

use super::quoted::{is_quote, looks_closing, quoted};
use crate::model::content::{LOST, is_of_word};

/// Words behind a gap that are masked: a name or a scheme may have been lost, or half of it (`…ization: Bearer X`).
const WORDS: usize = 3;
/// Bytes behind a gap that are looked at.
const LOOKED: usize = 1024;

/// Where in a text that may stand: at its beginning, if something is left out of it; behind each gap and at its end, if it is
/// broken.
pub(super) fn beside(text: &str, is_cut: bool, is_broken: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if is_cut {
        found.push(0..rest(text, 0));
    }
    if is_broken {
        let mut over = 0;
        for at in text.match_indices(LOST).map(|(at, gap)| at + gap.len()) {
            if at >= over {
                over = rest(text, at);
                found.push(at..over);
            }
        }
        let last = text.bytes().rev().take_while(|byte| is_of_word(*byte)).count();
        found.push(text.len() - last..text.len());
    }
    found
}

/// Where what may belong to something lost before `at` is over.
fn rest(text: &str, at: usize) -> usize {
    let looked = text.get(at..text.floor_char_boundary(at.saturating_add(LOOKED))).unwrap_or_default();
    at + quote(looked.lines().next().unwrap_or_default()).unwrap_or_else(|| words(looked))
}

/// The first quote of a line, if it closes what was opened before.
fn quote(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let is_letter =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let is_apostrophe =
        |at: usize| bytes.get(at) == Some(&b'\'') && is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
    let is_first = |at: &usize| bytes.get(*at).is_some_and(|byte| is_quote(*byte)) && !is_apostrophe(*at);
    let closes = |at: &usize| if *at == 0 { !is_letter(Some(1)) } else { looks_closing(line, *at) };
    (0..bytes.len()).find(is_first).filter(closes)
}

/// Behind the first words and strings.
fn words(text: &str) -> usize {
    let bytes = text.as_bytes();
    let skip = |at: usize, is: fn(u8) -> bool| {
        at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| is(**byte)).count()
    };
    let is_of_one = |byte| is_of_word(byte) || byte == b'\'';
    // The first may be half a word, or none.
    let mut at = if quoted(text, 0).is_some() { 0 } else { skip(0, is_of_one) };
    for _ in 1..WORDS {
        let next = skip(at, |byte| byte == b' ' || byte == b'\t');
        let end = match quoted(text, next) {
            Some((_, end)) => end,
            None => skip(next, is_of_one),
        };
        if end == next {
            break;
        }
        at = end;
    }
    at
}
