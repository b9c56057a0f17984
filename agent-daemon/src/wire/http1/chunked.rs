//! The chunked coding: sizes, data, and trailers, which nobody reads.

use crate::wire::Piece;

/// The longest line of a size with its extensions, or of a trailer.
const LONGEST_LINE: usize = 8192;

#[derive(Debug)]
enum State {
    /// In the line of a size: what was read of it, and whether only digits came so far.
    Size {
        size: u64,
        digits: usize,
        extension: bool,
        length: usize,
    },
    Data(u64),
    /// In the line end behind the data.
    AfterData,
    /// In a line of the trailers, of which so many bytes came.
    Trailer(usize),
}

/// What comes of some bytes.
#[derive(Debug)]
pub(super) enum Read<'a> {
    /// Data, and what is behind them.
    Data(&'a [u8], &'a [u8]),
    /// More is needed.
    Nothing,
    /// The body is over; what is behind it.
    End(&'a [u8]),
    /// This is not the chunked coding.
    Broken,
}

#[derive(Debug)]
pub(super) struct Chunked(State);

const SIZE: State = State::Size { size: 0, digits: 0, extension: false, length: 0 };

impl Chunked {
    pub(super) fn new() -> Self {
        Self(SIZE)
    }

    pub(super) fn read<'a>(&mut self, mut bytes: &'a [u8]) -> Read<'a> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let State::Data(left) = &mut self.0 {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                let (data, rest) = bytes.split_at(length);
                if *left == 0 {
                    self.0 = State::AfterData;
                }
                return Read::Data(data, rest);
            }
            match self.line(byte) {
                Some(true) => return Read::End(rest),
                Some(false) => bytes = rest,
                None => return Read::Broken,
            }
        }
        Read::Nothing
    }

    /// Takes a byte that is no data; whether it was the last of the body, `None` if it should not be there.
    fn line(&mut self, byte: u8) -> Option<bool> {
        match (&mut self.0, byte) {
            (State::Size { size, digits: 1.., .. }, b'\n') => {
                self.0 = if *size == 0 { State::Trailer(0) } else { State::Data(*size) };
            }
            (State::Size { length, .. }, _) if *length > LONGEST_LINE => return None,
            (State::Size { extension, length, .. }, b';' | b' ' | b'\t' | b'\r') => {
                *extension = true;
                *length += 1;
            }
            (State::Size { extension: true, length, .. }, _) => *length += 1,
            (State::Size { size, digits, .. }, byte) => {
                let digit = char::from(byte).to_digit(16)?;
                *size = size.checked_mul(16)?.checked_add(u64::from(digit))?;
                *digits += 1;
            }
            (State::AfterData, b'\r') => {}
            (State::AfterData, b'\n') => self.0 = SIZE,
            (State::Trailer(0), b'\n') => return Some(true),
            (State::Trailer(length), b'\n') => *length = 0,
            (State::Trailer(_), b'\r') => {}
            (State::Trailer(length), _) if *length > LONGEST_LINE => return None,
            (State::Trailer(length), _) => *length += 1,
            (State::AfterData | State::Data(_), _) => return None,
        }
        Some(false)
    }

    /// Bytes were lost; whether they were all data, so that the body goes on.
    pub(super) fn gap(&mut self, gap: Piece<'_>) -> bool {
        let (State::Data(left), Piece::Gap(Some(length))) = (&mut self.0, gap) else { return false };
        // If the data end with the gap, so does what is known.
        let goes_on = length <= *left;
        *left = left.saturating_sub(length);
        if *left == 0 {
            self.0 = State::AfterData;
        }
        goes_on
    }
}
