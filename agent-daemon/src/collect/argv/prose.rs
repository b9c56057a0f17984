//! Tells text meant for a reader or a model from words meant for a program.
//!
//! The rule: an argument is text if it has three words or more, or white space and more than
//! [`SHOWN_BYTES`] bytes, or several characters of a script written without spaces, or if it looks like
//! JSON. Text is replaced by its length, since prompts, messages and code are of no use to a profile and
//! hold what people would not want stored.

/// The longest argument with white space that is still shown.
const SHOWN_BYTES: usize = 32;

/// The most characters of a script without spaces that are still shown.
const SHOWN_IDEOGRAPHS: usize = 4;

/// What stands for text: its length in bytes.
pub(super) fn placeholder(text: &str) -> String {
    format!("[{} bytes]", text.len())
}

/// Whether an argument is text rather than a word.
pub(super) fn is_prose(arg: &str) -> bool {
    let spaced = arg.contains(char::is_whitespace);
    (spaced && (arg.len() > SHOWN_BYTES || arg.split_whitespace().nth(2).is_some()))
        || arg.chars().filter(|c| is_ideograph(*c)).nth(SHOWN_IDEOGRAPHS).is_some()
        || is_structured(arg)
}

/// Scripts written without spaces: Thai to Khmer, and all of East Asia.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_structured(arg: &str) -> bool {
    let arg = arg.trim_start();
    (arg.starts_with('{') || arg.starts_with('[')) && arg.contains(['"', ':'])
}

#[cfg(test)]
mod tests {
    use super::is_prose;

    #[test]
    fn tells_text_from_words() {
        for text in ["fix the bug", "please summarise/this-very-long-file", "请帮我修复错误", "{\"a\":1}"]
        {
            assert!(is_prose(text), "{text}");
        }
        for word in ["npm test", "src/main.rs", "--flag=value", "*.rs", "naïve", "[unknown]"] {
            assert!(!is_prose(word), "{word}");
        }
    }
}
