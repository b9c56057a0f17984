//! The scanner: a state machine over bytes that come in pieces of any size.

use super::{
    capture::{Capture, Spoken},
    hunt::Hunt,
    paths::{Paths, Take, Watch},
    token::Token,
    value::{Document, Hit, Value},
};
use crate::wire::field::Field;

/// Containers in each other; a document that is deeper is not read further.
const DEEPEST: usize = 256;
/// Values found in one document.
const MOST_HITS: usize = 256;

/// How documents follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One, or elements of one array, or several without anything between.
    Body,
    /// One in each line.
    Lines,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a document.
    Start,
    Value,
    KeyOrEnd,
    Colon,
    Text,
    Escape,
    Bare,
    CommaOrEnd,
    /// After bytes were lost.
    Hunting,
    /// After the end of what may be the whole document, whose beginning was lost.
    TailEnd,
    /// No more is read of this document.
    Broken,
}

#[derive(Clone, Copy)]
struct Level {
    /// Paths that may match in here.
    alive: u64,
    /// How many segments of them have matched.
    depth: usize,
    array: bool,
    /// The array around documents.
    around: bool,
}

/// Reads documents and finds values at watched paths.
pub struct Scanner {
    paths: &'static Paths,
    shape: Shape,
    state: State,
    levels: Vec<Level>,
    /// Paths that have matched up to the value that comes, and how many segments.
    next: (u64, usize),
    /// Paths that end at the value that is being read.
    wanted: u64,
    in_key: bool,
    token: Token,
    hunt: Hunt,
    tail: bool,
    hits: Vec<Hit>,
    too_long: bool,
    capture: Capture,
}

impl Scanner {
    /// A scanner for documents that follow each other in this shape.
    #[must_use]
    pub fn new(paths: &'static Paths, shape: Shape) -> Self {
        Self {
            paths,
            shape,
            state: State::Start,
            levels: Vec::new(),
            next: (0, 0),
            wanted: 0,
            in_key: false,
            token: Token::default(),
            hunt: Hunt::new(),
            tail: false,
            hits: Vec::new(),
            too_long: false,
            capture: Capture::default(),
        }
    }

    /// The same which gathers what is said, so many bytes of a document.
    #[must_use]
    pub fn with_spoken(self, most: usize) -> Self {
        Self { capture: Capture::new(most), ..self }
    }

    /// Whether more was found in a document than is kept, or it was too deep.
    #[must_use]
    pub fn too_long(&self) -> bool {
        self.too_long
    }

    /// Reads bytes; `found` gets each document that ends in them.
    pub fn feed(&mut self, mut bytes: &[u8], found: &mut dyn FnMut(&Document<'_>)) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Some(after) = self.skip_text(bytes) {
                bytes = after;
                continue;
            }
            bytes = rest;
            self.capture.byte(byte);
            if byte == b'\n' && self.shape == Shape::Lines {
                self.finish(found);
                continue;
            }
            self.take(byte, found);
        }
    }

    /// Bytes were lost.
    pub fn gap(&mut self, found: &mut dyn FnMut(&Document<'_>)) {
        // In the middle of a tail, what was found may not be of the root.
        if !self.tail {
            self.deliver(false, found);
        }
        self.restart();
        self.tail = true;
        self.state = if self.shape == Shape::Lines { State::Broken } else { State::Hunting };
    }

    /// Nothing more comes: of a body, an event or a line.
    pub fn finish(&mut self, found: &mut dyn FnMut(&Document<'_>)) {
        let open = !matches!(self.state, State::Start | State::TailEnd);
        if self.state == State::TailEnd || open && !self.tail {
            self.deliver(false, found);
        }
        self.restart();
        self.tail = false;
    }

    /// Text of which nothing is wanted is skipped as far as it goes.
    fn skip_text<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if self.state != State::Text || self.in_key || self.wanted != 0 || self.capture.is_busy() {
            return None;
        }
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n');
        let length = bytes.iter().position(ends).unwrap_or(bytes.len());
        (length > 0).then(|| bytes.get(length..)).flatten()
    }

    fn take(&mut self, byte: u8, found: &mut dyn FnMut(&Document<'_>)) {
        match self.state {
            State::Hunting => self.hunt(byte),
            State::Text => self.text(byte),
            State::Escape => self.escape(byte),
            State::Bare => self.bare(byte, found),
            State::Broken => {}
            _ if byte.is_ascii_whitespace() => {}
            State::TailEnd => {
                self.restart();
                self.state = State::Hunting;
                self.hunt(byte);
            }
            State::Start => self.start(byte),
            State::Value => self.value(byte, found),
            State::KeyOrEnd => self.key_or_end(byte, found),
            State::Colon if byte == b':' => self.state = State::Value,
            State::Colon => self.state = State::Broken,
            State::CommaOrEnd => self.comma_or_end(byte, found),
        }
    }

    fn start(&mut self, byte: u8) {
        match byte {
            b'[' => self.levels.push(Level { alive: self.paths.all(), depth: 0, array: true, around: true }),
            b'{' => {
                self.levels.push(Level { alive: self.paths.all(), depth: 0, array: false, around: false })
            }
            // Other roots have nothing in them.
            _ => return self.state = State::Broken,
        }
        self.state = if byte == b'[' { State::Value } else { State::KeyOrEnd };
        if byte == b'[' {
            self.expect_element();
        }
    }

    fn hunt(&mut self, byte: u8) {
        let Some(key) = self.hunt.take(byte) else { return };
        // As if this object were the root: whether it is shows at its end.
        self.levels.push(Level { alive: self.paths.all(), depth: 0, array: false, around: false });
        self.next = (self.paths.at_key(self.paths.all(), 0, &key), 1);
        self.state = State::Value;
    }

    fn value(&mut self, byte: u8, found: &mut dyn FnMut(&Document<'_>)) {
        let (alive, depth) = self.next;
        self.wanted = self.paths.ending(alive, depth);
        match byte {
            b'"' => self.begin_text(false),
            b'{' | b'[' => self.open(byte == b'['),
            b']' => self.close(true, found),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.begin_token();
                self.state = State::Bare;
                self.token.keep(byte);
            }
            _ => self.state = State::Broken,
        }
    }

    fn open(&mut self, array: bool) {
        let (alive, depth) = self.next;
        if self.levels.len() >= DEEPEST {
            self.too_long = true;
            return self.state = State::Broken;
        }
        for (take, field) in self.wanted() {
            match (take, field) {
                (Take::Presence, _) => self.hit(field, Value::Present),
                (Take::Begin, Field::Said(speech)) => self.capture.push(speech, Spoken::Begins),
                (Take::Raw, Field::Said(speech)) => {
                    self.capture.begin_raw(self.levels.len(), speech, if array { b'[' } else { b'{' });
                }
                _ => {}
            }
        }
        self.levels.push(Level { alive, depth, array, around: false });
        match array {
            true => self.expect_element(),
            false => self.state = State::KeyOrEnd,
        }
    }

    fn expect_element(&mut self) {
        self.state = State::Value;
        let Some(level) = self.levels.last() else { return };
        self.next = match level.around {
            true => (level.alive, 0),
            false => (self.paths.at_element(level.alive, level.depth), level.depth + 1),
        };
    }

    fn key_or_end(&mut self, byte: u8, found: &mut dyn FnMut(&Document<'_>)) {
        match byte {
            b'"' => self.begin_text(true),
            b'}' => self.close(false, found),
            _ => self.state = State::Broken,
        }
    }

    fn comma_or_end(&mut self, byte: u8, found: &mut dyn FnMut(&Document<'_>)) {
        match (byte, self.levels.last()) {
            (b',', Some(level)) if level.array => self.expect_element(),
            (b',', Some(_)) => self.state = State::KeyOrEnd,
            (b'}', Some(_)) => self.close(false, found),
            (b']', Some(_)) => self.close(true, found),
            _ => self.state = State::Broken,
        }
    }

    fn close(&mut self, array: bool, found: &mut dyn FnMut(&Document<'_>)) {
        match self.levels.pop() {
            Some(level) if level.array == array => {}
            _ => return self.state = State::Broken,
        }
        self.capture.end_raw(self.levels.len());
        self.state = State::CommaOrEnd;
        match self.levels.last() {
            None if self.tail => self.state = State::TailEnd,
            None => {
                self.deliver(true, found);
                self.restart();
            }
            Some(level) if level.around => self.deliver(true, found),
            Some(_) => {}
        }
    }

    fn begin_text(&mut self, in_key: bool) {
        match in_key {
            true => self.token.begin(false),
            false => {
                self.begin_token();
                self.begin_spoken();
            }
        }
        self.in_key = in_key;
        self.state = State::Text;
    }

    fn begin_token(&mut self) {
        self.in_key = false;
        self.token.begin(self.paths.watches(self.wanted).any(|watch| watch.take == Take::Bytes));
    }

    fn begin_spoken(&mut self) {
        let is_spoken = |watch: &Watch| matches!(watch.take, Take::Text | Take::Raw);
        if self.paths.watches(self.wanted).any(is_spoken) {
            self.capture.begin_text();
        }
    }

    fn text(&mut self, byte: u8) {
        match byte {
            b'"' => self.end_text(),
            b'\\' => self.state = State::Escape,
            _ => self.token.keep(byte),
        }
    }

    fn escape(&mut self, byte: u8) {
        self.state = State::Text;
        match byte {
            b'/' => self.token.keep(b'/'),
            _ => self.token.escape(byte),
        }
    }

    fn end_text(&mut self) {
        if self.in_key {
            self.state = State::Colon;
            self.next = match self.levels.last() {
                Some(level) => match self.token.whole() {
                    Some(key) => (self.paths.at_key(level.alive, level.depth, key), level.depth + 1),
                    None => (0, 0),
                },
                _ => (0, 0),
            };
            return;
        }
        self.state = State::CommaOrEnd;
        for (take, field) in self.wanted() {
            if let (Take::Text | Take::Raw, Field::Said(speech)) = (take, field) {
                self.capture.end_text(speech);
            } else if let Some(value) = self.token.text(take) {
                self.hit(field, value);
            }
        }
        self.too_long |= self.token.is_too_long();
        self.token.begin(false);
    }

    fn bare(&mut self, byte: u8, found: &mut dyn FnMut(&Document<'_>)) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') {
            return self.token.keep(byte);
        }
        self.state = State::CommaOrEnd;
        for (take, field) in self.wanted() {
            if let Some(value) = self.token.bare(take) {
                self.hit(field, value);
            }
        }
        self.take(byte, found);
    }

    fn wanted(&self) -> Vec<(Take, Field)> {
        self.paths.watches(self.wanted).map(|watch| (watch.take, watch.field)).collect()
    }

    fn hit(&mut self, field: Field, value: Value) {
        if let Field::Said(speech) = field {
            return self.capture.push(speech, Spoken::Value(value));
        }
        let hit = Hit { field, value };
        // Once is enough to know that there is something.
        if hit.value == Value::Present && self.hits.contains(&hit) {
            return;
        }
        match self.hits.len() < MOST_HITS {
            true => self.hits.push(hit),
            false => self.too_long = true,
        }
    }

    fn deliver(&mut self, whole: bool, found: &mut dyn FnMut(&Document<'_>)) {
        let (spoken, unspoken) = self.capture.found();
        if whole || !self.hits.is_empty() || !spoken.is_empty() {
            found(&Document { hits: &self.hits, spoken, unspoken, whole });
        }
        self.hits.clear();
        self.capture.clear();
    }

    fn restart(&mut self) {
        self.state = State::Start;
        self.levels.clear();
        self.token.begin(false);
        self.hits.clear();
        self.capture.clear();
        self.wanted = 0;
        self.hunt = Hunt::new();
    }
}
