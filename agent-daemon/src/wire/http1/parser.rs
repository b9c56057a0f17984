//! One direction of a connection: heads and bodies one after the other.
//!
//! How a body is framed depends on the other direction (an answer to `HEAD` has none), so whoever owns both says it
//! after each head. A gap within a body whose end is known does no harm; after any other, the direction is lost until a
//! piece begins with what looks like a first line.

use super::chunked::{Chunked, Read};
use crate::wire::{
    Piece,
    head::{Head, method},
};

/// The longest head that is read, bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// The most headers that are read.
const MOST_HEADERS: usize = 128;

/// Which direction this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Requests,
    /// Answers.
    Responses,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Up to the end of the connection.
    UntilClose,
}

/// What comes next.
#[derive(Debug)]
pub enum Step<'a> {
    /// A head, its version of HTTP, and when its first byte came, ns.
    Head(Box<Head>, &'static str, u64),
    /// Of a body.
    Body(Piece<'a>),
    /// The message is over.
    End,
    /// What came cannot be read; `true` if it was too long.
    Lost(bool),
}

enum State {
    /// In a head: its bytes.
    Head(Vec<u8>),
    /// Behind a head: [`Parser::frame`] says how it goes on.
    Unframed,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Lost,
}

/// Takes one direction apart.
pub struct Parser {
    kind: Kind,
    state: State,
    began_ns: u64,
}

impl Parser {
    /// A direction that begins here.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, state: State::Head(Vec::new()), began_ns: 0 }
    }

    /// Says how long the body behind the last head is.
    pub fn frame(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::new()),
            Framing::UntilClose => State::UntilClose,
        };
    }

    /// Whether a body is being read that only the connection ends.
    #[must_use]
    pub fn is_until_close(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Bytes of the body that is being read, where its length is known.
    #[must_use]
    pub fn body_left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Whether nothing of what comes is understood.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// A lost direction goes on if this piece looks like the beginning of a message; whether it does.
    pub fn resume(&mut self, bytes: &[u8]) -> bool {
        let begins = super::super::sniff::begins_http1(bytes, self.kind);
        if self.is_lost() && begins {
            self.state = State::Head(Vec::new());
        }
        !self.is_lost()
    }

    /// Takes from the front of `bytes`, which came at `at_ns`, what makes up the next step; `None` if more is needed.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8], at_ns: u64) -> Option<Step<'a>> {
        match &mut self.state {
            State::Head(_) => self.head(bytes, at_ns),
            State::Length(0) => {
                self.state = State::Head(Vec::new());
                Some(Step::End)
            }
            _ if bytes.is_empty() => None,
            State::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                let (body, rest) = bytes.split_at(length);
                *bytes = rest;
                Some(Step::Body(Piece::Bytes(body)))
            }
            State::Chunked(chunked) => match chunked.read(bytes) {
                Read::Data(data, rest) => {
                    *bytes = rest;
                    Some(Step::Body(Piece::Bytes(data)))
                }
                Read::Nothing => {
                    *bytes = &[];
                    None
                }
                Read::End(rest) => {
                    *bytes = rest;
                    self.state = State::Head(Vec::new());
                    Some(Step::End)
                }
                Read::Broken => Some(self.lose(false)),
            },
            State::UntilClose => Some(Step::Body(Piece::Bytes(std::mem::take(bytes)))),
            State::Unframed | State::Lost => {
                *bytes = &[];
                None
            }
        }
    }

    /// Bytes were lost.
    pub fn gap(&mut self, length: Option<u64>) -> Step<'static> {
        let goes_on = match (&mut self.state, length) {
            (State::Length(left), Some(length)) if length <= *left => {
                *left -= length;
                true
            }
            (State::Chunked(chunked), length) => chunked.gap(Piece::Gap(length)),
            (State::UntilClose, _) => true,
            _ => false,
        };
        match goes_on {
            true => Step::Body(Piece::Gap(length)),
            false => self.lose(false),
        }
    }

    fn lose(&mut self, too_long: bool) -> Step<'static> {
        self.state = State::Lost;
        Step::Lost(too_long)
    }

    fn head<'a>(&mut self, bytes: &mut &'a [u8], at_ns: u64) -> Option<Step<'a>> {
        let State::Head(held) = &mut self.state else { return None };
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            // Empty lines before a request are to be ignored.
            if held.is_empty() {
                if matches!(byte, b'\r' | b'\n') {
                    continue;
                }
                self.began_ns = at_ns;
            }
            held.push(byte);
            if byte == b'\n' && (held.ends_with(b"\r\n\r\n") || held.ends_with(b"\n\n")) {
                let parsed = if self.kind == Kind::Requests { request(held) } else { response(held) };
                self.state = State::Unframed;
                let began_ns = self.began_ns;
                let step = parsed.map(|(head, version)| Step::Head(Box::new(head), version, began_ns));
                return Some(step.unwrap_or_else(|| self.lose(false)));
            }
            if held.len() >= LONGEST_HEAD {
                return Some(self.lose(true));
            }
        }
        None
    }
}

fn version(minor: Option<u8>) -> &'static str {
    if minor == Some(0) { "1.0" } else { "1.1" }
}

fn request(bytes: &[u8]) -> Option<(Head, &'static str)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(bytes).ok()?;
    let mut head = Head { method: Some(method(request.method?.as_bytes())), ..Head::default() };
    head.target(request.path?.as_bytes());
    take_headers(&mut head, request.headers);
    Some((head, version(request.version)))
}

fn response(bytes: &[u8]) -> Option<(Head, &'static str)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(bytes).ok()?;
    let mut head = Head { status: Some(response.code?), ..Head::default() };
    take_headers(&mut head, response.headers);
    Some((head, version(response.version)))
}

fn take_headers(head: &mut Head, headers: &[httparse::Header<'_>]) {
    for header in headers {
        head.header(header.name.to_ascii_lowercase().as_bytes(), header.value);
    }
}
