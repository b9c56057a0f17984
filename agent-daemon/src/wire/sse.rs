//! Server-sent events: what stands after `data:`, event by event.
//!
//! Only the data go on, as they come; names, ids and comments of events are skipped. An event ends at an empty line,
//! which cannot be in any JSON, so that after a gap the next one tells where to go on.

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Bytes of the event's data.
    Data(&'a [u8]),
    /// The event is over.
    End,
    /// An event is over that was only `[DONE]`: the mark by which OpenAI and others end a stream.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the field's name, of which so many bytes are those of `data`.
    Name(usize),
    /// Behind `data:`, where one space may come.
    Space,
    Data,
    /// In the rest of a line that is no data.
    Skip,
    /// After a gap: up to an empty line.
    Lost,
}

const DATA: &[u8] = b"data";
const DONE: &[u8] = b"[DONE]";

/// Takes a stream apart.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    state: State,
    /// Whether the last byte was a carriage return that ended a line.
    carriage: bool,
    /// Whether the line so far is empty.
    empty: bool,
    /// Whether this event has data.
    some: bool,
    /// How many bytes of [`DONE`] its data are so far; `None` if they are others.
    done: Option<usize>,
}

impl Default for Events {
    fn default() -> Self {
        Self { state: State::Name(0), carriage: false, empty: true, some: false, done: Some(0) }
    }
}

impl Events {
    /// Bytes were lost.
    pub fn gap(&mut self) {
        *self = Self { state: State::Lost, carriage: false, empty: false, some: false, done: None };
    }

    /// Takes bytes apart.
    pub fn feed(&mut self, mut bytes: &[u8], part: &mut dyn FnMut(Part<'_>)) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if byte == b'\n' && std::mem::take(&mut self.carriage) {
                bytes = rest;
                continue;
            }
            self.carriage = byte == b'\r';
            if matches!(byte, b'\r' | b'\n') {
                self.end_line(part);
                bytes = rest;
                continue;
            }
            self.empty = false;
            bytes = self.within_line(byte, bytes, part);
        }
    }

    /// What is left of the bytes after those that are alike were taken.
    fn within_line<'a>(&mut self, byte: u8, bytes: &'a [u8], part: &mut dyn FnMut(Part<'_>)) -> &'a [u8] {
        let (run, after) = line(bytes);
        match self.state {
            State::Space if byte == b' ' => self.state = State::Data,
            State::Space | State::Data => {
                self.state = State::Data;
                self.some = true;
                self.done = self
                    .done
                    .filter(|at| DONE.get(*at..at + run.len()) == Some(run))
                    .map(|at| at + run.len());
                part(Part::Data(run));
                return after;
            }
            State::Name(n) if n == DATA.len() && byte == b':' => self.state = State::Space,
            State::Name(n) if DATA.get(n) == Some(&byte) => self.state = State::Name(n + 1),
            State::Name(_) => self.state = State::Skip,
            State::Skip | State::Lost => return after,
        }
        bytes.get(1..).unwrap_or_default()
    }

    fn end_line(&mut self, part: &mut dyn FnMut(Part<'_>)) {
        if std::mem::replace(&mut self.empty, true) {
            let done = self.done.replace(0) == Some(DONE.len());
            if std::mem::take(&mut self.some) {
                part(if done { Part::Done } else { Part::End });
            }
            self.state = State::Name(0);
        } else if self.state != State::Lost {
            // Lines of data are joined by a line feed.
            if self.state == State::Data {
                part(Part::Data(b"\n"));
            }
            self.state = State::Name(0);
        }
    }
}

/// Up to the line's end, and from there.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    bytes.split_at(end.unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn events(pieces: &[Option<&[u8]>]) -> Vec<String> {
        let mut stream = Events::default();
        let mut done = Vec::new();
        let mut data = Vec::new();
        for piece in pieces {
            let Some(bytes) = piece else {
                stream.gap();
                data.clear();
                continue;
            };
            stream.feed(bytes, &mut |part| match part {
                Part::Data(bytes) => data.extend_from_slice(bytes),
                Part::End | Part::Done => done.push(String::from_utf8(std::mem::take(&mut data)).unwrap()),
            });
        }
        done
    }

    const STREAM: &[u8] =
        b": hello\n\nevent: a\ndata: {\"x\":1}\nid: 3\n\ndata:b\r\ndata:  c\r\n\r\ndatax: no\n\ndata\n\n\
        retry: 5\rdata: d\r\r";
    const EXPECTED: [&str; 3] = ["{\"x\":1}\n", "b\n c\n", "d\n"];

    #[test]
    fn a_gap_loses_the_event_and_no_other() {
        let pieces = [Some(&b"data: a\n\ndata: b"[..]), None, Some(b"data: x\ndata: y\n\ndata: c\n\n")];
        assert_eq!(events(&pieces), ["a\n", "c\n"]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(mut cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|w| Some(&STREAM[w[0]..w[1]])).collect();
            prop_assert_eq!(events(&pieces), EXPECTED);
        }
    }
}
