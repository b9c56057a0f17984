//! Which characters show as themselves. Names come from programs, which may be hostile: what is stored and shown can neither
//! move a cursor nor hide or reorder a line.

use std::borrow::Cow;

/// Whether a character shows as itself: it is no control, neither invisible nor a separator of lines, and does not turn the
/// order of others around.
#[must_use]
pub fn is_shown(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !is_invisible
}

/// The text with a replacement character in each place of one that does not show as itself.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_shown(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_moves_hides_or_turns_is_replaced() {
        assert_eq!(shown("py\x1b[2J\n\u{202e}é"), "py\u{fffd}[2J\u{fffd}\u{fffd}é");
        assert_eq!(shown("python3.12"), "python3.12");
    }
}
