//! What is said in a document, word by word: texts and values as they stand, for those of whom that is kept.
//!
//! Of a document that says more than may be kept, its end is.

use std::collections::VecDeque;

use super::{tail::Tail, value::Value};
use crate::wire::field::Speech;

/// The most that is found in one document.
const MOST: usize = 8192;

/// What a place of a document says.
#[derive(Clone, PartialEq, Eq)]
pub enum Spoken {
    /// Something begins.
    Begins,
    /// A name or a number.
    Value(Value),
    /// A text, or a value as it stands.
    Text(Tail),
}

/// Gathers what is said; nothing, where nothing is kept.
#[derive(Default)]
pub(super) struct Capture {
    most: usize,
    found: VecDeque<(Speech, Spoken)>,
    bytes: usize,
    left_out: u64,
    text: Option<(Tail, Escape)>,
    /// An object or array that is being taken as it stands: how deep it is, and what it means.
    raw: Option<(usize, Speech, Tail)>,
}

impl Capture {
    /// Keeps so many bytes of a document.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether every byte counts.
    pub(super) fn is_busy(&self) -> bool {
        self.raw.is_some()
    }

    /// A byte of the document comes.
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some((_, _, raw)) = &mut self.raw {
            raw.extend(&[byte]);
        }
        if let Some((text, escape)) = &mut self.text {
            escape.take(byte, text);
        }
    }

    pub(super) fn begin_text(&mut self) {
        if self.most > 0 {
            self.text = Some((Tail::new(self.most), Escape::default()));
        }
    }

    pub(super) fn end_text(&mut self, speech: Speech) {
        if let Some((mut text, mut escape)) = self.text.take() {
            escape.end(&mut text);
            self.push(speech, Spoken::Text(text));
        }
    }

    /// An object or array begins at this depth.
    pub(super) fn begin_raw(&mut self, depth: usize, speech: Speech, byte: u8) {
        if self.most == 0 {
            return;
        }
        let mut raw = Tail::new(self.most);
        raw.extend(&[byte]);
        self.raw = Some((depth, speech, raw));
    }

    /// One ends that began at this depth.
    pub(super) fn end_raw(&mut self, depth: usize) {
        if let Some((_, speech, raw)) = self.raw.take_if(|(at, ..)| *at == depth) {
            self.push(speech, Spoken::Text(raw));
        }
    }

    pub(super) fn push(&mut self, speech: Speech, spoken: Spoken) {
        if self.most == 0 {
            return;
        }
        if let Spoken::Text(text) = &spoken {
            self.bytes += text.bytes().len();
        }
        self.found.push_back((speech, spoken));
        // Seldom, since all that was found is looked at.
        if self.bytes > 2 * self.most || self.found.len() > 2 * MOST {
            self.trim();
        }
    }

    /// Leaves out what came first of what is too much. What tells whose the first text is that stays, stays.
    fn trim(&mut self) {
        let (mut room, mut cut) = (self.most, self.found.len().saturating_sub(MOST));
        for (at, (_, spoken)) in self.found.iter_mut().enumerate().skip(cut).rev() {
            let Spoken::Text(text) = spoken else { continue };
            if room == 0 {
                cut = at + 1;
                break;
            }
            text.trim_front(text.bytes().len().saturating_sub(room));
            room -= text.bytes().len();
        }
        self.bytes = self.most - room;
        let mut marks = Marks::default();
        for (speech, spoken) in self.found.drain(..cut) {
            match spoken {
                Spoken::Text(text) => self.left_out += text.bytes().len() as u64 + text.left_out(),
                mark => marks.take(speech, mark),
            }
        }
        let next = self.found.front().map(|(speech, _)| *speech);
        for mark in marks.before(next).into_iter().rev() {
            self.found.push_front(mark);
        }
    }

    /// What was found, and bytes of texts that are left out as a whole.
    pub(super) fn found(&mut self) -> (&[(Speech, Spoken)], u64) {
        if self.bytes > self.most || self.found.len() > MOST {
            self.trim();
        }
        (self.found.make_contiguous(), self.left_out)
    }

    pub(super) fn clear(&mut self) {
        (self.text, self.raw) = (None, None);
        (self.bytes, self.left_out) = (0, 0);
        self.found.clear();
    }
}

/// What a text belongs to: the last of each that stood before it.
#[derive(Default)]
struct Marks(Vec<(Speech, Spoken)>);

impl Marks {
    fn take(&mut self, speech: Speech, mark: Spoken) {
        match speech {
            Speech::Item | Speech::Choice => self.0.clear(),
            Speech::Call => self.0.retain(|(other, _)| !is_of_call(*other)),
            _ => self.0.retain(|(other, _)| *other != speech),
        }
        self.0.push((speech, mark));
    }

    /// Those that tell of what comes next.
    fn before(mut self, next: Option<Speech>) -> Vec<(Speech, Spoken)> {
        match next {
            Some(Speech::Item | Speech::Choice) => self.0.clear(),
            Some(Speech::Call) => self.0.retain(|(other, _)| !is_of_call(*other)),
            _ => {}
        }
        self.0
    }
}

fn is_of_call(speech: Speech) -> bool {
    matches!(speech, Speech::Call | Speech::CallIndex | Speech::Tool)
}

/// Where in an escape a string stands.
#[derive(Default)]
enum State {
    #[default]
    Plain,
    Backslash,
    /// So many digits, and their value.
    Unicode(u8, u32),
}

/// Resolves escapes of a string.
#[derive(Default)]
struct Escape {
    state: State,
    /// The first half of a character.
    high: Option<u32>,
}

impl Escape {
    fn take(&mut self, byte: u8, text: &mut Tail) {
        match self.state {
            State::Plain => match byte {
                b'\\' => self.state = State::Backslash,
                // It ends the string.
                b'"' => {}
                byte => self.put(&[byte], text),
            },
            State::Backslash => {
                self.state = State::Plain;
                let resolved = match byte {
                    b'u' => return self.state = State::Unicode(0, 0),
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    byte => byte,
                };
                self.put(&[resolved], text);
            }
            State::Unicode(digits, value) => {
                let value = value << 4 | char::from(byte).to_digit(16).unwrap_or(0);
                match digits {
                    0..3 => self.state = State::Unicode(digits + 1, value),
                    _ => {
                        self.state = State::Plain;
                        self.unit(value, text);
                    }
                }
            }
        }
    }

    /// A unit of UTF-16: two of them may be one character.
    fn unit(&mut self, unit: u32, text: &mut Tail) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..0xe000) => {
                let character = 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                self.character(character, text);
            }
            (high, unit) => {
                if high.is_some() {
                    self.character(u32::MAX, text);
                }
                match unit {
                    0xd800..0xdc00 => self.high = Some(unit),
                    unit => self.character(unit, text),
                }
            }
        }
    }

    fn character(&mut self, character: u32, text: &mut Tail) {
        let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn put(&mut self, bytes: &[u8], text: &mut Tail) {
        self.end(text);
        text.extend(bytes);
    }

    /// What is half a character will not become whole.
    fn end(&mut self, text: &mut Tail) {
        if self.high.take().is_some() {
            self.character(u32::MAX, text);
        }
    }
}
