//! Values that belong to the name of a secret: in configuration, JSON, command lines, queries of URLs, and code of any language.
//!
//! Names are looked at first, and what follows only where a name is a secret's: so each byte of a text is looked at a few times,
//! however many names are in it.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    pattern,
    quoted::{is_quote, quoted},
};
use crate::collect::argv::names::is_secret_with;

/// A name and its value as an entry of a list, a name and the first of the signs behind it with what some languages put in
/// between, or a flag, which may be an argument of its own.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"\b[Nn]ame\\*["']?[ \t]*:[ \t]*\\*["']?(?P<entry>[A-Za-z][A-Za-z0-9_.\-]{0,100})\\*["']?,?\s{0,40}"#,
        r#"\\*["']?[Vv]alue\\*["']?[ \t]*:"#,
        r#"|(?P<name>[A-Za-z][A-Za-z0-9_.\-]*)(?:\\*["'`])?(?:\[[0-9]{0,8})?\]?[?!]?"#,
        r"(?:[ \t]+[*&\[\]]{0,4}(?:string|String|str|char|byte|bytes|any)[?\[\]]{0,4})?",
        r"[ \t]*[+|?!&~^*.<>\-]{0,2}(?:[:=]|<-)",
        r#"|--(?P<flag>[A-Za-z][A-Za-z0-9_\-]*)(?:[ \t]+|\\*["']\s{0,40},\s{0,40})"#,
    ))
});

/// Types that may stand between a name and its value, and values that say nothing, in small letters.
const TYPES: &str = "str string char bytes byte text any object unknown mixed int integer long float double number bool boolean \
    i8 i16 i32 i64 u8 u16 u32 u64 usize varchar dict list map record array vec slice tuple set option optional nullable maybe \
    union some box arc rc cow readonly partial promise future secretstr secretstring secretbox zeroizing mut const static \
    static final dyn impl ref void auto null none nil undefined true false std typing alloc borrow collections pathbuf path url \
    buffer uint8array";

/// Values of one name that are looked at behind each other: its type, and what it is set to.
const ROUNDS: usize = 8;
/// Signs at the end of a value that may close something around it.
const CLOSERS: usize = 8;
/// A value that is longer is more than a count or a path, whatever it begins with.
const LONG: usize = 1024;

pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(groups) = NAMED.captures_at(text, at) {
        let name = ["entry", "name", "flag"].iter().find_map(|kind| groups.name(kind));
        let (Some(all), Some(name)) = (groups.get(0), name) else { return };
        at = name.end();
        let is_flag = groups.name("flag").is_some();
        if !is_secret_with(name.as_str(), "") {
            continue;
        }
        let rest = text.get(all.end()..).unwrap_or_default();
        let is_none = match is_flag {
            true => rest.trim_start_matches(['\\', '"', '\'']).starts_with("--"),
            // A URL's scheme, or a path of names.
            false => rest.starts_with("//") || all.as_str().ends_with(':') && is_path(rest),
        };
        if !is_none {
            let before = name.start().checked_sub(1).and_then(|before| text.as_bytes().get(before));
            let in_query = matches!(before, Some(b'?' | b'&'));
            let mut values = Values { text, name: name.as_str(), in_query, at: all.end(), found };
            values.find();
            at = values.at;
        }
    }
}

/// Whether behind a colon a name goes on: `secret::Kind`.
fn is_path(rest: &str) -> bool {
    rest.strip_prefix(':').is_some_and(|rest| !rest.starts_with(['=', ' ', '"', '\'', ':']))
}

/// What follows a secret's name.
struct Values<'a> {
    text: &'a str,
    name: &'a str,
    /// An ampersand ends a value.
    in_query: bool,
    at: usize,
    found: &'a mut Vec<Range<usize>>,
}

impl Values<'_> {
    fn find(&mut self) {
        for round in 0..ROUNDS {
            let is_set = self.skip(|byte| matches!(byte, b'=' | b':' | b'>' | b'~')) || round == 0;
            self.skip(|byte| matches!(byte, b' ' | b'\t'));
            let here = self.at;
            // The line may be broken behind a sign, if a string comes.
            if is_set {
                self.skip(|byte| byte.is_ascii_whitespace());
            }
            if self.strings(false) {
                return;
            }
            self.at = here;
            match self.bare() {
                Bare::Nothing => {}
                Bare::Value if self.is_assigned() => {}
                Bare::Value | Bare::End => return,
                Bare::Opens => {
                    self.skip(|byte| byte.is_ascii_whitespace());
                    self.strings(true);
                    return;
                }
            }
        }
    }

    /// Whether something was skipped.
    fn skip(&mut self, is: fn(u8) -> bool) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is(**byte)).count();
        self.at += length;
        length > 0
    }

    /// Whether another sign comes, as behind a type that is not known for one.
    fn is_assigned(&self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.trim_start_matches([' ', '\t']).starts_with('=')
    }

    /// The strings that stand here: one, or those that are added to it; in a list, all. Whether there is any.
    fn strings(&mut self, in_list: bool) -> bool {
        let mut any = false;
        while let Some((content, end)) = quoted(self.text, self.at).filter(|_| self.lifetime().is_none()) {
            any = true;
            let value = self.text.get(content.clone()).unwrap_or_default();
            if in_list && is_variable(value) {
                self.at = end;
            } else if self.is_secret(value) {
                self.found.push(content);
                self.at = end;
            } else {
                // What is in it may be one all the same.
                self.at = content.start;
                return true;
            }
            let here = self.at;
            self.skip(|byte| byte.is_ascii_whitespace());
            let joins = if in_list { self.skip(|byte| byte == b',') } else { self.skip(|byte| byte == b'+') };
            self.skip(|byte| byte.is_ascii_whitespace());
            if !joins {
                self.at = here;
                break;
            }
        }
        any
    }

    /// How long `'a` in a type of Rust is, that stands here.
    fn lifetime(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).and_then(|before| self.text.as_bytes().get(before));
        let name = self.text.get(self.at..)?.strip_prefix('\'')?;
        let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_one = matches!(before, Some(b'&' | b'<')) && !rest.starts_with('\'');
        is_one.then_some(1 + name.len() - rest.len())
    }

    /// A value without quotes, to the next blank or quote.
    fn bare(&mut self) -> Bare {
        if let Some(length) = self.lifetime() {
            self.at += length;
            return Bare::Nothing;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends =
            |c: char| c.is_whitespace() || c.is_ascii() && is_quote(c as u8) || self.in_query && c == '&';
        let run = rest.split(ends).next().unwrap_or_default();
        let is_before_string = rest.as_bytes().get(run.len()).is_some_and(|byte| is_quote(*byte));
        let run = if is_before_string { run.trim_end_matches('\\') } else { run };
        let begin = self.at;
        let kind = kind(run, is_before_string, is_before_string || self.is_string_at(begin + run.len()));
        if !matches!(kind, Bare::Value) {
            self.at += run.len();
            return kind;
        }
        let value = trimmed(run);
        if !self.is_secret(value) {
            // What is in it may be one all the same.
            return Bare::End;
        }
        self.at += run.len();
        self.found.push(begin..begin + value.len());
        if is_before_string && value.len() == run.len() && self.opens_here() {
            self.strings(false);
        }
        Bare::Value
    }

    /// Whether the next that comes is a string.
    fn is_string_at(&self, at: usize) -> bool {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.trim_ascii_start().bytes().next().is_some_and(is_quote)
    }

    /// Whether a quote here goes on with the value, as in a shell, and ends none around it.
    fn opens_here(&self) -> bool {
        let next = self.text.as_bytes().get(self.at + 1);
        next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'$')
    }

    fn is_secret(&self, value: &str) -> bool {
        !value.is_empty() && (value.len() > LONG || is_secret_with(self.name, value))
    }
}

/// What a value without quotes was.
enum Bare {
    /// A value.
    Value,
    /// A type, or a sign: what it is set to may follow.
    Nothing,
    /// What stands before a string, or a list of them.
    Opens,
    /// There is none.
    End,
}

/// A value without what closes something around it, or separates it from the next.
fn trimmed(run: &str) -> &str {
    let mut value = run;
    for _ in 0..CLOSERS {
        let Some(last) = value.chars().next_back() else { break };
        let opens = match last {
            ',' | ';' => None,
            ')' => Some('('),
            ']' => Some('['),
            '}' => Some('{'),
            _ => break,
        };
        if opens.is_some_and(|opens| value.matches(last).count() <= value.matches(opens).count()) {
            break;
        }
        value = value.strip_suffix(last).unwrap_or_default();
    }
    value
}

/// What this is, to the next blank or quote, right before a string, or with blanks in between.
fn kind(run: &str, is_before_string: bool, string_comes: bool) -> Bare {
    let count = |signs: &[char]| run.matches(signs).count();
    let calls = run.ends_with(['(', '[']);
    let opens = calls || run.ends_with(',') && run.contains(['(', '[']);
    let inner = run.trim_start_matches(['(', '[', '{']).trim_end_matches([',', ';', ')', ']', '}', '>', '/']);
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let is_of_count = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-');
    if run.is_empty() || run.bytes().all(|byte| matches!(byte, b'(' | b'[' | b'{')) && run.ends_with('{') {
        Bare::End
    } else if run.starts_with('{')
        && run.trim_end_matches(['>', '/', ',', ';', ')']).ends_with('}')
        && inner.chars().all(is_of_path)
        || run.starts_with('[') && !inner.is_empty() && inner.chars().all(is_of_count)
    {
        // An expression in a template, and numbers.
        Bare::End
    } else if string_comes && opens || is_before_string && is_prefix(run) || calls && says_nothing(run) {
        Bare::Opens
    } else if !says_nothing(run) {
        Bare::Value
    } else if run.ends_with([',', ';']) && count(&['[', '<']) == count(&[']', '>'])
        || count(&[')']) > count(&['('])
    {
        // A parameter without a value.
        Bare::End
    } else {
        Bare::Nothing
    }
}

/// Whether it is signs or the name of a type.
fn says_nothing(run: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_punctuation() && !matches!(c, '$' | '%' | '#' | '@' | '\\' | '/');
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_type = |word: &str| TYPES.split_ascii_whitespace().any(|name| name.eq_ignore_ascii_case(word));
    let mut words = run.split(|c| !is_word(c)).filter(|word| !word.is_empty()).peekable();
    match run.len() {
        0..=2 if words.peek().is_none() => run.is_ascii(),
        0..=LONG => {
            run.chars().all(|c| is_word(c) || is_sign(c)) && words.peek().is_some() && words.all(is_type)
        }
        _ => false,
    }
}

/// What stands before a quote and says how the string is written.
fn is_prefix(run: &str) -> bool {
    run.len() <= 3 && run.trim_end_matches('#').bytes().all(|byte| b"bBrRuUfFL@$".contains(&byte))
}

/// The name of a variable, as it is asked of the environment.
fn is_variable(value: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    value.contains('_') && value.bytes().all(is_of_name)
}
