//! One direction of a WebSocket (RFC 6455): the bytes of messages, unmasked and decompressed as they come.
//!
//! Messages may be compressed with what came before as dictionary (RFC 7692), so a gap in one is the end of all. A gap
//! within an uncompressed payload does no harm if its length is known; after any other nothing more is read, since
//! frames cannot be told from what is in them.

use flate2::{Decompress, FlushDecompress, Status};

use crate::wire::Piece;

/// What may come out of one compressed message, bytes.
const MOST: u64 = 16 << 20;
/// What is decompressed at once, bytes.
const OUTPUT: usize = 8192;
/// What a sender leaves away at the end of a compressed message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The longest header of a frame: two bytes, eight of length, four of mask.
const LONGEST_HEADER: usize = 14;

/// What comes next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Of a message.
    Data(Piece<'a>),
    /// The message is over.
    End,
    /// Nothing more is read.
    Lost,
}

#[derive(Clone, Copy)]
struct Frame {
    fin: bool,
    control: bool,
    left: u64,
    mask: [u8; 4],
    at: usize,
}

enum State {
    Header,
    Payload(Frame),
    Lost,
}

/// Takes one direction apart.
pub struct Frames {
    state: State,
    held: Vec<u8>,
    /// Whether the message that goes on is compressed.
    compressed: bool,
    inflate: Option<Decompress>,
    inflated: u64,
}

impl Frames {
    /// A direction from its beginning; whether messages may be compressed.
    #[must_use]
    pub fn new(deflate: bool) -> Self {
        let inflate = deflate.then(|| Decompress::new(false));
        Self { state: State::Header, held: Vec::new(), compressed: false, inflate, inflated: 0 }
    }

    /// Takes bytes apart.
    pub fn feed(&mut self, mut bytes: &[u8], step: &mut dyn FnMut(Step<'_>)) {
        while !bytes.is_empty() {
            match self.state {
                State::Header => bytes = self.header(bytes, step),
                State::Payload(frame) => bytes = self.payload(frame, bytes, step),
                State::Lost => return,
            }
        }
    }

    /// Bytes were lost.
    pub fn gap(&mut self, length: Option<u64>, step: &mut dyn FnMut(Step<'_>)) {
        let (&State::Payload(frame), Some(gap), false) = (&self.state, length, self.compressed) else {
            return self.lose(step);
        };
        let Some(left) = frame.left.checked_sub(gap) else { return self.lose(step) };
        // Only the last two bits count.
        let frame = Frame { left, at: frame.at.wrapping_add((gap % 4) as usize), ..frame };
        if !frame.control {
            step(Step::Data(Piece::Gap(length)));
        }
        self.enter(frame, step);
    }

    fn lose(&mut self, step: &mut dyn FnMut(Step<'_>)) {
        if !matches!(self.state, State::Lost) {
            self.state = State::Lost;
            self.inflate = None;
            step(Step::Lost);
        }
    }

    fn header<'a>(&mut self, bytes: &'a [u8], step: &mut dyn FnMut(Step<'_>)) -> &'a [u8] {
        let (&byte, rest) = bytes.split_first().unwrap_or((&0, &[]));
        self.held.push(byte);
        let Some(header) = Header::read(&self.held) else {
            if self.held.len() > LONGEST_HEADER {
                self.lose(step);
            }
            return rest;
        };
        self.held.clear();
        if !header.is_valid(self.inflate.is_some()) {
            self.lose(step);
            return rest;
        }
        if header.opcode == 1 || header.opcode == 2 {
            self.compressed = header.compressed;
            self.inflated = 0;
        }
        self.enter(header.frame, step);
        rest
    }

    /// Goes on in a frame, or behind it if nothing of it is left.
    fn enter(&mut self, frame: Frame, step: &mut dyn FnMut(Step<'_>)) {
        if frame.left > 0 {
            self.state = State::Payload(frame);
            return;
        }
        self.state = State::Header;
        if frame.control || !frame.fin {
            return;
        }
        if self.compressed {
            self.inflate(&TAIL, step);
        }
        if !matches!(self.state, State::Lost) {
            step(Step::End);
        }
        self.compressed = false;
    }

    fn payload<'a>(&mut self, mut frame: Frame, bytes: &'a [u8], step: &mut dyn FnMut(Step<'_>)) -> &'a [u8] {
        let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at(length);
        frame.left -= length as u64;
        for part in payload.chunks(OUTPUT) {
            if !frame.control {
                self.data(&frame.unmasked(part), step);
            }
            frame.at = frame.at.wrapping_add(part.len());
        }
        if !matches!(self.state, State::Lost) {
            self.enter(frame, step);
        }
        rest
    }

    fn data(&mut self, bytes: &[u8], step: &mut dyn FnMut(Step<'_>)) {
        match self.compressed {
            true => self.inflate(bytes, step),
            false => step(Step::Data(Piece::Bytes(bytes))),
        }
    }

    fn inflate(&mut self, mut bytes: &[u8], step: &mut dyn FnMut(Step<'_>)) {
        let mut output = [0; OUTPUT];
        loop {
            let Some(inflate) = &mut self.inflate else { return };
            let (before, out) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(bytes, &mut output, FlushDecompress::Sync);
            // Both are at most the length of a slice.
            let (taken, given) =
                ((inflate.total_in() - before) as usize, (inflate.total_out() - out) as usize);
            bytes = bytes.get(taken..).unwrap_or_default();
            self.inflated += given as u64;
            if status.is_err() || self.inflated > MOST {
                return self.lose(step);
            }
            step(Step::Data(Piece::Bytes(output.get(..given).unwrap_or_default())));
            let over = given < output.len() && bytes.is_empty();
            if over || matches!(status, Ok(Status::StreamEnd)) || taken + given == 0 {
                return;
            }
        }
    }
}

impl Frame {
    fn unmasked(&self, part: &[u8]) -> Vec<u8> {
        let mask = self.mask.iter().cycle().skip(self.at % 4);
        part.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
    }
}

struct Header {
    opcode: u8,
    compressed: bool,
    reserved: bool,
    frame: Frame,
}

impl Header {
    /// `None` if more bytes are needed.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let mask = if second & 0x80 == 0 { [0; 4] } else { *rest.first_chunk::<4>()? };
        let opcode = first & 0xf;
        let frame = Frame { fin: first & 0x80 != 0, control: opcode >= 8, left: length, mask, at: 0 };
        Some(Self { opcode, compressed: first & 0x40 != 0, reserved: first & 0x30 != 0, frame })
    }

    fn is_valid(&self, deflate: bool) -> bool {
        let known = matches!(self.opcode, 0..=2 | 8..=10);
        let short = !self.frame.control || self.frame.left < 126;
        known && short && !self.reserved && (deflate || !self.compressed) && self.frame.left >> 63 == 0
    }
}
