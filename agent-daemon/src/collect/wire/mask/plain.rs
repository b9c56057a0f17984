//! A text without the escapes that no character in it needs: no secret may hide behind them.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use regex::Regex;

use super::pattern;

/// Characters that JSON may write by their numbers, and slashes, however deep in strings within strings.
static ESCAPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\+(?:u00([2-7][0-9A-Fa-f])|/)"));

/// A text as it is searched, and where in it what stood in the original.
pub(super) struct Plain<'a> {
    text: Cow<'a, str>,
    /// Where escapes end, here and there.
    ends: Vec<(usize, usize)>,
}

impl<'a> Plain<'a> {
    pub(super) fn new(original: &'a str) -> Self {
        let (mut text, mut ends, mut at) = (String::new(), Vec::new(), 0);
        for groups in ESCAPED.captures_iter(original) {
            let (Some(all), Some(character)) = (groups.get(0), character(groups.get(1))) else { continue };
            text.push_str(original.get(at..all.start()).unwrap_or_default());
            text.push(character);
            at = all.end();
            ends.push((text.len(), at));
        }
        if ends.is_empty() {
            return Self { text: Cow::Borrowed(original), ends };
        }
        text.push_str(original.get(at..).unwrap_or_default());
        Self { text: Cow::Owned(text), ends }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where in the original this range stands.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            let before = self.ends.partition_point(|(here, _)| *here <= at).checked_sub(1);
            let (here, there) = before.and_then(|last| self.ends.get(last)).copied().unwrap_or_default();
            there + (at - here)
        };
        place(range.start)..place(range.end)
    }
}

/// The character of these digits, a slash without; none, where it has to stay escaped.
fn character(digits: Option<regex::Match<'_>>) -> Option<char> {
    let Some(digits) = digits else { return Some('/') };
    let code = u8::from_str_radix(digits.as_str(), 16).ok().map(char::from)?;
    (!matches!(code, '"' | '\\' | '\u{7f}')).then_some(code)
}
