//! Bytes to printable text: what is stored and shown can neither move a cursor nor reorder a line.

use std::fmt::Write;

use crate::model::shown::is_shown;

/// Decodes lossily and writes control characters, line and paragraph separators and the characters that
/// reorder or hide text as escapes.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_shown(c) => out.push(c),
            c => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
}

/// Cuts `text` to at most `limit` bytes at a character boundary, marking the cut.
pub(super) fn cap(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

#[cfg(test)]
mod tests {
    use super::{cap, escape};

    #[test]
    fn nothing_reaches_the_terminal_unescaped() {
        let mut out = String::new();
        escape("a\x1b[2J\r\n\u{202e}é", &mut out);
        assert_eq!(out, "a\\u{1b}[2J\\r\\n\\u{202e}é");
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        let mut text = "ééééé".to_owned();
        cap(&mut text, 8);
        assert_eq!(text, "éé…");
    }
}
