//! Secrets in command lines, by their place: `curl -u admin:X`, `sshpass -p X`, `redis-cli -a X`.
//!
//! Command lines are found by the names of programs that take such, wherever these stand in a text: in a shell's code, in
//! JSON, in prose. They are taken apart here, as roughly as quotes of several levels demand, and judged as those of processes
//! are ([`argv`](crate::collect::argv)). A simple command ends with its line, with what separates commands, or with a quote
//! that closes what is around it.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    pattern,
    quoted::{is_quote, looks_closing, quoted},
};
use crate::collect::argv::{programs::names_with_secrets, secrets::REDACTED, walk::redact_line};

static PROGRAM: LazyLock<Regex> = LazyLock::new(|| {
    // A word of prose, and of paths; the password is asked for.
    let names = names_with_secrets().filter(|name| *name != "passwd");
    let names: Vec<String> = names.map(regex::escape).collect();
    pattern(&format!(r#"\b(?:{})(?:\.exe)?(?:[ \t]|\\*["'`]\s*,)"#, names.join("|")))
});

/// Words of a command that are looked at.
const WORDS: usize = 256;
/// How deep commands in the words of commands are looked for.
const DEEPEST: u8 = 3;
/// Bytes in which a string has to end.
const LONGEST: usize = 4096;

pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    find_in(text, 0, 0, found);
}

/// Those of a part of a text that begins at `offset`.
fn find_in(text: &str, offset: usize, depth: u8, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(program) = PROGRAM.find_at(text, at) {
        let (words, end) = match program.as_str().ends_with(',') {
            true => listed(text, program.start()),
            false => words(text, program.start()),
        };
        judge(text, offset, &words, found);
        // There may be others in what is quoted.
        for word in words.iter().filter(|word| depth < DEEPEST && word.text.contains(' ')) {
            let inner = text.get(word.place.clone()).unwrap_or_default();
            find_in(inner, offset + word.place.start, depth + 1, found);
        }
        at = end.max(program.end());
    }
}

/// What stands between words.
const BLANKS: [&str; 9] = [" ", "\t", "\\\n", "\\\r\n", ">&", "<&", "&>", ">", "<"];

/// A word, its quotes taken away, and where it stands.
struct Word {
    place: Range<usize>,
    text: String,
}

/// The words of a simple command, and where it is over.
fn words(text: &str, from: usize) -> (Vec<Word>, usize) {
    let (mut words, mut at) = (Vec::new(), from);
    while words.len() < WORDS {
        at += blanks(text.get(at..).unwrap_or_default());
        let (word, end, is_last) = word(text, at);
        if end > at {
            words.push(Word { place: at..end, text: word });
        }
        at = end;
        if is_last || words.last().is_none_or(|word| word.place.end != at) {
            break;
        }
    }
    (words, at)
}

/// The words of a command that stand in a list of strings, and where that is over.
fn listed(text: &str, from: usize) -> (Vec<Word>, usize) {
    let bytes = text.as_bytes();
    let skip = |at: usize, is: fn(u8) -> bool| {
        at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| is(**byte)).count()
    };
    let mut at = skip(from, |byte| !is_quote(byte) && byte != b'\\');
    let name = from..at;
    let mut words = vec![Word { text: text.get(name.clone()).unwrap_or_default().to_owned(), place: name }];
    at = skip(at, |byte| is_quote(byte) || byte == b'\\');
    while words.len() < WORDS && bytes.get(skip(at, |byte| byte.is_ascii_whitespace())) == Some(&b',') {
        at = skip(at, |byte| byte.is_ascii_whitespace() || byte == b',');
        let Some((place, end)) = whole(text, at) else { break };
        words.push(Word { text: text.get(place.clone()).unwrap_or_default().to_owned(), place });
        at = end;
    }
    (words, at)
}

/// How many bytes of blanks, continued lines and signs of redirections a text begins with.
fn blanks(text: &str) -> usize {
    let mut rest = text;
    while let Some(after) = BLANKS.iter().find_map(|blank| rest.strip_prefix(blank)) {
        rest = after;
    }
    text.len() - rest.len()
}

/// The word that begins here, where it ends, and whether the command ends with it.
fn word(text: &str, from: usize) -> (String, usize, bool) {
    let (mut word, mut at) = (String::new(), from);
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    while let Some(next) = rest(at).chars().next() {
        let escapes = rest(at).bytes().take_while(|byte| *byte == b'\\').count();
        let behind = text.as_bytes().get(at + escapes).copied();
        match (next, behind) {
            (' ' | '\t' | '<' | '>', _) => return (word, at, false),
            ('&', _) if rest(at).starts_with("&>") => return (word, at, false),
            ('\n' | '\r' | ';' | '|' | '&' | '(' | ')', _) => return (word, at, true),
            // A line that is continued, and one that ends in a string of JSON.
            ('\\', Some(b'\n' | b'\r')) if escapes == 1 => return (word, at, false),
            ('\\', Some(b'n' | b'r')) => return (word, at, true),
            (_, Some(quote)) if is_quote(quote) => {
                let Some((content, end)) = string(text, at, at + escapes) else { return (word, at, true) };
                word.push_str(text.get(content).unwrap_or_default());
                at = end;
            }
            (next, _) => {
                word.push(next);
                at += next.len_utf8();
            }
        }
    }
    (word, at, true)
}

/// A string that begins here; none, if the quote closes one that is around the command.
fn string(text: &str, at: usize, quote: usize) -> Option<(Range<usize>, usize)> {
    let is_empty = text.as_bytes().get(quote) == text.as_bytes().get(quote + 1);
    if looks_closing(text, quote) && !is_empty {
        return None;
    }
    whole(text, at)
}

/// A string that begins here, if it ends.
fn whole(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let looked = text.get(..text.floor_char_boundary(at.saturating_add(LONGEST)))?;
    let (content, end) = quoted(looked, at)?;
    (end > content.end).then_some((content, end))
}

/// The secrets among the words of a command.
fn judge(text: &str, offset: usize, words: &[Word], found: &mut Vec<Range<usize>>) {
    let line: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    for (word, shown) in words.iter().zip(redact_line(&line)) {
        // A header is judged by its name, like all that has one.
        let Some((before, _)) = shown.split_once(REDACTED).filter(|(before, _)| !before.ends_with(": "))
        else {
            continue;
        };
        let after = shown.rsplit_once(REDACTED).map_or("", |(_, after)| after);
        let secret = word.text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let raw = text.get(word.place.clone()).unwrap_or_default();
        let place = secret.filter(|secret| !secret.is_empty()).and_then(|secret| {
            let start = raw.rfind(secret)?;
            Some(start..start + secret.len())
        });
        let place = place.unwrap_or(0..raw.len());
        found.push(offset + word.place.start + place.start..offset + word.place.start + place.end);
    }
}
