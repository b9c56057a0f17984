//! Masks secrets in what is kept of what agents say, before it leaves the thread that read it.
//!
//! Secrets are looked for in texts that are put together, so that none hides between two pieces of a stream, and in more of
//! a text than is kept, so that none is cut in two by the bound. What they are known by: their looks ([`shapes`]), the name
//! that they are given ([`assigned`]), their place in the command line of a program that takes one ([`commands`]), and the
//! operator's own patterns. Next to what was lost, words are masked whatever they are ([`lost`]). What this cannot do: know
//! a secret that is an ordinary word in an ordinary place.
//!
//! All of it takes time in proportion to the text's length.

mod assigned;
mod commands;
mod lost;
mod plain;
mod quoted;
mod shapes;
#[cfg(test)]
mod tests;

use std::ops::Range;

use regex::Regex;

use self::plain::Plain;
use crate::{
    config::{self, Content as Rules},
    model::content::{Content, Part, Text, Unmasked},
};

/// What stands in a secret's place.
const MASKED: &str = "[masked]";

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// Masks what was said in a call, by the rule by which it is kept, and leaves out what is more than that keeps. Nothing, if
/// there is no such rule.
pub(super) fn mask(said: Unmasked, rules: &Rules) -> Option<Content> {
    let rule = rules.agents.get(said.keep.rule())?;
    let Unmasked { keep, mut texts, mut left_out, held } = said;
    for part in Part::ALL {
        let mut room = keep.max_bytes();
        for text in texts.iter_mut().rev().filter(|text| text.part == part) {
            let length = text.text.len();
            mask_text(text, room, &rule.mask);
            room = room.saturating_sub(length);
        }
    }
    texts.retain(|text| {
        let is_kept = keep.has(text.part) && (!text.text.is_empty() || text.tool.is_some());
        left_out += if is_kept { 0 } else { text.left_out };
        is_kept
    });
    Some(Content { keep, texts, left_out, held })
}

/// Masks a text, and keeps so many bytes of its end.
fn mask_text(text: &mut Text, room: usize, patterns: &[config::Regex]) {
    let whole = std::mem::take(&mut text.text);
    for name in [&mut text.role, &mut text.tool].into_iter().flatten() {
        if !secrets(name, patterns).is_empty() {
            MASKED.clone_into(name);
        }
    }
    let plain = Plain::new(&whole);
    let mut found = secrets(plain.text(), patterns);
    found.extend(lost::beside(plain.text(), text.left_out > 0, text.is_broken));
    let secrets = merged(found).into_iter().map(|range| plain.original(range)).collect();
    let least = whole.len().saturating_sub(room);
    let from = (least..=whole.len()).find(|at| whole.is_char_boundary(*at)).unwrap_or(whole.len());
    text.left_out += from as u64;
    (text.text, text.masked) = masked(&whole, from, secrets);
}

/// A text from there on with these ranges masked, and how many there are.
fn masked(text: &str, from: usize, ranges: Vec<Range<usize>>) -> (String, u32) {
    let (mut shown, mut at, mut count) = (String::new(), from, 0);
    for range in ranges.into_iter().filter(|range| range.end > from && !range.is_empty()) {
        shown.push_str(text.get(at..range.start.max(at)).unwrap_or_default());
        shown.push_str(MASKED);
        (at, count) = (range.end, count + 1);
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    (shown, count)
}

/// Where secrets stand in a text, in no order.
fn secrets(text: &str, patterns: &[config::Regex]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    shapes::find(text, &mut found);
    assigned::find(text, &mut found);
    commands::find(text, &mut found);
    found.extend(patterns.iter().flat_map(|pattern| pattern.ranges(text)));
    found
}

/// The same ranges in their order, those that overlap or touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
