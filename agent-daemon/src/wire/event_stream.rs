//! The event stream of AWS: binary messages with headers, as Bedrock's streams have them.
//!
//! Of the headers only the type of an exception is read; the payload goes on as it comes. The checksum of a message's
//! first bytes is verified: if it is wrong nothing more is read. After a gap whose length is known, within a payload,
//! the stream goes on; after any other it does not.

use flate2::Crc;

/// Lengths of a message and of its headers, and a checksum of both.
const PRELUDE: usize = 12;
/// A checksum behind the payload.
const TRAILER: u64 = 4;
/// The longest headers that the format allows, bytes.
const LONGEST_HEADERS: usize = 128 << 10;
/// A header's value that is a string.
const STRING: u8 = 7;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The message that begins tells of an exception of this type.
    Exception(&'a str),
    /// Bytes of a payload.
    Payload(&'a [u8]),
    /// The message is over.
    End,
}

/// A message that breaks the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no message of an event stream")]
pub struct Malformed;

enum State {
    Prelude,
    Headers { length: usize, payload: u64 },
    Payload(u64),
    Trailer(u64),
    Lost,
}

/// Takes a stream apart.
pub struct Messages {
    state: State,
    /// The prelude or the headers so far.
    held: Vec<u8>,
}

impl Default for Messages {
    fn default() -> Self {
        Self { state: State::Prelude, held: Vec::new() }
    }
}

impl Messages {
    /// Bytes were lost, so many if it is known; whether the stream goes on behind them.
    pub fn gap(&mut self, length: Option<u64>) -> bool {
        self.state = match (&self.state, length) {
            (State::Payload(left), Some(length)) if length < *left => State::Payload(left - length),
            _ => State::Lost,
        };
        self.held.clear();
        !matches!(self.state, State::Lost)
    }

    /// Takes bytes apart.
    ///
    /// # Errors
    /// They are no event stream; nothing more is read.
    pub fn feed(&mut self, mut bytes: &[u8], part: &mut dyn FnMut(Part<'_>)) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Prelude => self.prelude(bytes),
                State::Headers { length, payload } => self.headers(bytes, length, payload, part),
                State::Payload(left) => {
                    let (payload, rest) = split(bytes, left);
                    part(Part::Payload(payload));
                    self.after_payload(left - payload.len() as u64);
                    Some(rest)
                }
                State::Trailer(left) => {
                    let (trailer, rest) = split(bytes, left);
                    self.state = State::Trailer(left - trailer.len() as u64);
                    if left == trailer.len() as u64 {
                        part(Part::End);
                        self.state = State::Prelude;
                    }
                    Some(rest)
                }
                State::Lost => return Ok(()),
            }
            .ok_or(Malformed)
            .inspect_err(|_| self.state = State::Lost)?;
        }
        Ok(())
    }

    fn prelude<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let rest = self.hold(bytes, PRELUDE);
        if self.held.len() < PRELUDE {
            return Some(rest);
        }
        let mut crc = Crc::new();
        crc.update(self.held.get(..8)?);
        let number = |at: usize| Some(u32::from_be_bytes(self.held.get(at..at + 4)?.try_into().ok()?));
        let (total, headers, sum) = (u64::from(number(0)?), number(4)? as usize, number(8)?);
        let payload = total.checked_sub(PRELUDE as u64 + headers as u64 + TRAILER)?;
        if sum != crc.sum() || headers > LONGEST_HEADERS {
            return None;
        }
        self.held.clear();
        self.state = State::Headers { length: headers, payload };
        if headers == 0 {
            self.after_payload(payload);
        }
        Some(rest)
    }

    fn headers<'a>(
        &mut self,
        bytes: &'a [u8],
        length: usize,
        payload: u64,
        part: &mut dyn FnMut(Part<'_>),
    ) -> Option<&'a [u8]> {
        let rest = self.hold(bytes, length);
        if self.held.len() < length {
            return Some(rest);
        }
        if let Some(exception) = exception(&self.held) {
            part(Part::Exception(exception));
        }
        self.held.clear();
        self.after_payload(payload);
        Some(rest)
    }

    fn after_payload(&mut self, left: u64) {
        self.state = if left == 0 { State::Trailer(TRAILER) } else { State::Payload(left) };
    }

    /// Keeps bytes until so many are there; what is left.
    fn hold<'a>(&mut self, bytes: &'a [u8], length: usize) -> &'a [u8] {
        let (held, rest) = split(bytes, length.saturating_sub(self.held.len()) as u64);
        self.held.extend_from_slice(held);
        rest
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len()))
}

/// The value of `:exception-type` or `:error-code`.
fn exception(mut headers: &[u8]) -> Option<&str> {
    while let Some((&length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, rest) = rest.split_first()?;
        let fixed = [0, 0, 1, 2, 4, 8, 0, 0, 8, 16];
        let (value, rest) = match kind {
            6 | STRING => {
                let (length, rest) = rest.split_at_checked(2)?;
                rest.split_at_checked(usize::from(u16::from_be_bytes(length.try_into().ok()?)))?
            }
            kind => rest.split_at_checked(*fixed.get(usize::from(kind))?)?,
        };
        if kind == STRING && (name == b":exception-type" || name == b":error-code") {
            return std::str::from_utf8(value).ok();
        }
        headers = rest;
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    /// A message with string headers, as AWS writes it.
    pub(in crate::wire) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).unwrap());
            block.extend_from_slice(name.as_bytes());
            block.push(STRING);
            block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let sum = |bytes: &[u8]| {
            let mut crc = Crc::new();
            crc.update(bytes);
            crc.sum().to_be_bytes()
        };
        let total = u32::try_from(PRELUDE + block.len() + payload.len() + 4).unwrap();
        let mut message = total.to_be_bytes().to_vec();
        message.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        message.extend_from_slice(&sum(&message));
        message.extend_from_slice(&block);
        message.extend_from_slice(payload);
        message.extend_from_slice(&sum(&message));
        message
    }

    fn stream() -> Vec<u8> {
        let event = [(":event-type", "chunk"), (":message-type", "event")];
        let exception = [(":message-type", "exception"), (":exception-type", "throttlingException")];
        [message(&event, b"{\"a\":1}"), message(&[], b""), message(&exception, b"{}")].concat()
    }

    fn parts(pieces: &[&[u8]]) -> String {
        let mut messages = Messages::default();
        let mut text = String::new();
        for piece in pieces {
            let result = messages.feed(piece, &mut |part| match part {
                Part::Exception(name) => text.push_str(&format!("!{name} ")),
                Part::Payload(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
                Part::End => text.push('|'),
            });
            if result.is_err() {
                text.push_str("malformed");
            }
        }
        text
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(cut in 0..150usize, second in 0..150usize) {
            let stream = stream();
            let (a, b) = (cut.min(second).min(stream.len()), cut.max(second).min(stream.len()));
            let pieces = [&stream[..a], &stream[a..b], &stream[b..]];
            prop_assert_eq!(parts(&pieces), "{\"a\":1}||!throttlingException {}|");
        }

        #[test]
        fn noise_is_survived(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            parts(&[&noise]);
        }
    }

    #[test]
    fn a_wrong_checksum_ends_it() {
        let mut stream = stream();
        stream[9] ^= 1;
        assert_eq!(parts(&[&stream, b"more"]), "malformed");
    }
}
