//! One direction of HTTP/2 taken apart: data go on as they come, blocks of headers are collected.
//!
//! A gap within data, or within a frame that nobody reads, does no harm if its length is known. After any other the
//! direction is lost until a piece begins with what looks like frames.

use crate::wire::{Piece, sniff};

/// The header of a frame, bytes.
const HEADER: usize = 9;
/// The longest frame that is read, bytes; sides may agree on up to 16 MiB, and none is known that does.
const LONGEST_FRAME: usize = 1 << 20;
/// The longest block of headers, bytes.
const LONGEST_BLOCK: usize = 128 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What comes next.
#[derive(Debug)]
pub enum Step<'a> {
    /// A block of headers; of a promised stream if `pushed`. `ends` the stream's direction.
    Block {
        /// The stream.
        stream: u32,
        /// The block.
        block: Vec<u8>,
        /// Whether nothing follows on the stream.
        ends: bool,
        /// Whether it is of another stream, which nobody asked for.
        pushed: bool,
        /// When its frame began, ns.
        began_ns: u64,
    },
    /// Data of a stream.
    Data(u32, Piece<'a>),
    /// Nothing more comes on a stream in this direction.
    End(u32),
    /// A stream was given up, with HTTP/2's error code.
    Reset(u32, u32),
    /// Streams beyond this one were not looked at.
    GoAway(u32),
    /// A block was lost, or what came cannot be read.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

enum State {
    Header,
    /// The byte that says how much padding there is.
    PadLength(Frame),
    /// Data, of which so many are left before so much padding.
    Data {
        left: usize,
        padding: usize,
        frame: Frame,
    },
    /// A frame that is read as a whole.
    Collect(Frame),
    Skip(usize),
    Lost,
}

/// Takes one direction apart.
pub struct Frames {
    state: State,
    held: Vec<u8>,
    /// The stream, flags and bytes of a block that goes on.
    block: Option<(Frame, Vec<u8>)>,
    began_ns: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self { state: State::Header, held: Vec::new(), block: None, began_ns: 0 }
    }
}

impl Frames {
    /// A lost direction goes on if this piece looks like frames; whether it does.
    pub fn resume(&mut self, bytes: &[u8]) -> bool {
        if matches!(self.state, State::Lost) && sniff::is_frames(bytes) {
            *self = Self::default();
        }
        !matches!(self.state, State::Lost)
    }

    /// Takes from the front of `bytes`, which came at `at_ns`, what makes up the next step; `None` if more is needed.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8], at_ns: u64) -> Option<Step<'a>> {
        loop {
            match self.state {
                State::Data { left: 0, padding, frame } => {
                    self.state = if padding == 0 { State::Header } else { State::Skip(padding) };
                    if frame.flags & END_STREAM != 0 {
                        return Some(Step::End(frame.stream));
                    }
                }
                State::Skip(0) => self.state = State::Header,
                State::Collect(frame) if self.held.len() >= frame.length => {
                    if let Some(step) = self.collected(frame) {
                        return Some(step);
                    }
                }
                _ if bytes.is_empty() => return None,
                State::Header => {
                    if self.held.is_empty() && self.block.is_none() {
                        self.began_ns = at_ns;
                    }
                    self.hold(bytes, HEADER);
                    if let Some(header) = self.held.first_chunk::<HEADER>() {
                        let frame = Frame::read(*header);
                        self.held.clear();
                        self.state = self.enter(frame);
                        if matches!(self.state, State::Lost) {
                            return Some(Step::Lost);
                        }
                    }
                }
                State::PadLength(frame) => {
                    let (&padding, rest) = bytes.split_first()?;
                    *bytes = rest;
                    let padding = usize::from(padding);
                    self.state = match frame.length.checked_sub(1 + padding) {
                        Some(left) => State::Data { left, padding, frame },
                        None => State::Lost,
                    };
                    if matches!(self.state, State::Lost) {
                        return Some(Step::Lost);
                    }
                }
                State::Data { left, padding, frame } => {
                    let data = take(bytes, left);
                    self.state = State::Data { left: left - data.len(), padding, frame };
                    return Some(Step::Data(frame.stream, Piece::Bytes(data)));
                }
                State::Collect(frame) => self.hold(bytes, frame.length),
                State::Skip(left) => self.state = State::Skip(left - take(bytes, left).len()),
                State::Lost => {
                    *bytes = &[];
                    return None;
                }
            }
        }
    }

    /// Bytes were lost.
    pub fn gap(&mut self, length: Option<u64>) -> Step<'static> {
        let within = |left: usize| length.and_then(|gap| left.checked_sub(usize::try_from(gap).ok()?));
        match self.state {
            State::Data { left, padding, frame } => {
                if let Some(left) = within(left) {
                    self.state = State::Data { left, padding, frame };
                    return Step::Data(frame.stream, Piece::Gap(length));
                }
            }
            State::Skip(left) => {
                if let Some(left) = within(left) {
                    self.state = State::Skip(left);
                    return Step::Data(0, Piece::Gap(length));
                }
            }
            _ => {}
        }
        self.state = State::Lost;
        self.held.clear();
        self.block = None;
        Step::Lost
    }

    fn hold(&mut self, bytes: &mut &[u8], length: usize) {
        let held = take(bytes, length.saturating_sub(self.held.len()));
        self.held.extend_from_slice(held);
    }

    /// How a frame is read.
    fn enter(&self, frame: Frame) -> State {
        // Nothing may come between the frames of a block.
        let broken = self.block.is_some() && frame.kind != CONTINUATION;
        match frame.kind {
            _ if broken || frame.length > LONGEST_FRAME => State::Lost,
            DATA if frame.flags & PADDED != 0 => State::PadLength(frame),
            DATA => State::Data { left: frame.length, padding: 0, frame },
            HEADERS | PUSH_PROMISE | CONTINUATION if frame.length > LONGEST_BLOCK => State::Lost,
            HEADERS | PUSH_PROMISE | CONTINUATION | RST_STREAM | GOAWAY => State::Collect(frame),
            _ => State::Skip(frame.length),
        }
    }

    /// A frame that was read as a whole.
    fn collected(&mut self, frame: Frame) -> Option<Step<'static>> {
        let payload = std::mem::take(&mut self.held);
        self.state = State::Header;
        let number = |at: usize| {
            payload.get(at..at + 4).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)))
        };
        match frame.kind {
            RST_STREAM => Some(Step::Reset(frame.stream, number(0).unwrap_or(0))),
            GOAWAY => Some(Step::GoAway(number(0).unwrap_or(0) & !(1 << 31))),
            CONTINUATION => match self.block.take() {
                Some((first, mut block)) if first.stream == frame.stream => {
                    block.extend_from_slice(&payload);
                    self.block(first, block, frame.flags & END_HEADERS != 0)
                }
                _ => Some(self.lose()),
            },
            _ => match block_of(frame, &payload) {
                Some(block) => {
                    let block = block.to_vec();
                    self.block(frame, block, frame.flags & END_HEADERS != 0)
                }
                None => Some(self.lose()),
            },
        }
    }

    fn block(&mut self, frame: Frame, block: Vec<u8>, whole: bool) -> Option<Step<'static>> {
        if block.len() > LONGEST_BLOCK {
            return Some(self.lose());
        }
        if !whole {
            self.block = Some((frame, block));
            return None;
        }
        let pushed = frame.kind == PUSH_PROMISE;
        let ends = !pushed && frame.flags & END_STREAM != 0;
        Some(Step::Block { stream: frame.stream, block, ends, pushed, began_ns: self.began_ns })
    }

    fn lose(&mut self) -> Step<'static> {
        self.state = State::Lost;
        Step::Lost
    }
}

impl Frame {
    fn read(header: [u8; HEADER]) -> Self {
        let [a, b, c, kind, flags, w, x, y, z] = header;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([w & 0x7f, x, y, z]),
        }
    }
}

/// The block within a frame: without padding, priority and the number of a promised stream.
fn block_of(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let mut block = payload;
    if frame.flags & PADDED != 0 {
        let (&padding, rest) = payload.split_first()?;
        block = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
    }
    let before = match frame.kind {
        PUSH_PROMISE => 4,
        _ if frame.flags & PRIORITY != 0 => 5,
        _ => 0,
    };
    block.get(before..)
}

/// Takes at most so many bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    taken
}
