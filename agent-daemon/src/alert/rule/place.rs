//! Where in a file a byte of one of its values stands.
//!
//! The YAML reader tells where a value begins, but quotes, indentation and folding lie between a value and its text.
//! So the two are walked together, character by character, past everything that is white space; where they differ,
//! which escapes make them, the place of the value itself is the answer.

use serde_saphyr::Location;

use crate::alert::error::FileError;

/// An error at a place.
pub(in crate::alert) fn error(place: Location, message: impl Into<String>) -> FileError {
    FileError { line: place.line(), column: place.column(), message: message.into() }
}

/// An error at a byte of a value that begins at `place` of `file`.
pub(in crate::alert) fn error_within(
    file: &str,
    place: Location,
    value: &str,
    byte: usize,
    message: impl Into<String>,
) -> FileError {
    let (line, column) = find(file, place, value, byte).unwrap_or((place.line(), place.column()));
    FileError { line, column, message: message.into() }
}

fn find(file: &str, place: Location, value: &str, byte: usize) -> Option<(u64, u64)> {
    let mut there = Walk::to(file, place)?;
    match there.chars.peek() {
        // A block begins on the next line.
        Some('|' | '>') => there.skip_line(),
        Some('"' | '\'') => drop(there.next()),
        _ => {}
    }
    for (at, wanted) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        there.skip_space();
        if at >= byte {
            return Some((there.line, there.column));
        }
        if there.next()? != wanted {
            return None;
        }
    }
    Some((there.line, there.column))
}

struct Walk<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn to(file: &'a str, place: Location) -> Option<Self> {
        let mut walk = Self { chars: file.chars().peekable(), line: 1, column: 1 };
        while (walk.line, walk.column) != (place.line(), place.column()) {
            walk.next()?;
        }
        Some(walk)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    fn skip_space(&mut self) {
        while self.chars.peek().is_some_and(|c| c.is_whitespace()) {
            self.next();
        }
    }
}
