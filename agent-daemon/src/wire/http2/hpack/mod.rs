//! HPACK, as an onlooker needs it: one who comes late, or misses a block, lacks entries of the dynamic table and goes on
//! with those that he has. Decoders of endpoints give up there, which is why this is our own.
//!
//! Entries are counted from the newest, so whatever was added since is found under its right number; an older one is
//! a header that is not known. Of the table's values only those of headers that are read at all are kept.

mod huffman;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

use table::{Entry, Table};

/// The longest name or value, bytes.
const LONGEST: usize = 32 << 10;
/// The most headers of one block.
const MOST: usize = 512;

/// Headers that somebody reads; of no other is the value kept.
const READ: [&[u8]; 12] = [
    b":method",
    b":path",
    b":authority",
    b":status",
    b"content-type",
    b"content-encoding",
    b"content-length",
    b"server",
    b"grpc-status",
    b"host",
    b"x-amzn-bedrock-input-token-count",
    b"x-amzn-bedrock-output-token-count",
];

/// One header.
pub enum Header<'a> {
    /// Name and value; the value is empty where nobody reads it.
    Known(&'a [u8], &'a [u8]),
    /// One by an entry that was not seen.
    Unknown,
}

/// A block that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no block of headers")]
pub struct Malformed;

/// Unpacks the headers of one direction.
#[derive(Default)]
pub struct Decoder {
    table: Table,
}

impl Decoder {
    /// A decoder that sees a connection from somewhere in its middle.
    #[must_use]
    pub fn late() -> Self {
        let mut decoder = Self::default();
        decoder.lose();
        decoder
    }

    /// A block was lost: nothing that was added before can be counted to any more.
    pub fn lose(&mut self) {
        self.table.lose();
    }

    /// Unpacks a block.
    ///
    /// # Errors
    /// It breaks the rules. What was found before counts; the table is lost.
    pub fn decode(&mut self, block: &[u8], found: &mut dyn FnMut(Header<'_>)) -> Result<(), Malformed> {
        self.block(block, found).ok_or(Malformed).inspect_err(|_| self.lose())
    }

    fn block(&mut self, mut block: &[u8], found: &mut dyn FnMut(Header<'_>)) -> Option<()> {
        for _ in 0..MOST {
            let Some(&first) = block.first() else { return Some(()) };
            block = match first {
                0x80.. => self.indexed(block, found)?,
                0x40..0x80 => self.literal(block, 6, true, found)?,
                0x20..0x40 => {
                    let (size, rest) = integer(block, 5)?;
                    self.table.resize(size);
                    rest
                }
                ..0x20 => self.literal(block, 4, false, found)?,
            };
        }
        None
    }

    fn indexed<'a>(&self, block: &'a [u8], found: &mut dyn FnMut(Header<'_>)) -> Option<&'a [u8]> {
        let (index, rest) = integer(block, 7)?;
        match self.table.get(index)? {
            Entry::Seen(name, value) => found(Header::Known(name, value)),
            Entry::Missed => found(Header::Unknown),
        }
        Some(rest)
    }

    fn literal<'a>(
        &mut self,
        block: &'a [u8],
        bits: u32,
        add: bool,
        found: &mut dyn FnMut(Header<'_>),
    ) -> Option<&'a [u8]> {
        let (index, rest) = integer(block, bits)?;
        let (name, rest) = match index {
            0 => {
                let (name, rest) = string(rest)?;
                (Some(name), rest)
            }
            index => match self.table.get(index)? {
                Entry::Seen(name, _) => (Some(name.to_vec()), rest),
                Entry::Missed => (None, rest),
            },
        };
        let (mut value, rest) = string(rest)?;
        let length = value.len();
        if !name.as_deref().is_some_and(|name| READ.contains(&name)) {
            value.clear();
        }
        match &name {
            Some(name) => found(Header::Known(name, &value)),
            None => found(Header::Unknown),
        }
        if add {
            self.table.add(name, value, length);
        }
        Some(rest)
    }
}

/// An integer whose prefix has so many bits, and what is behind it.
fn integer(bytes: &[u8], bits: u32) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(first) & mask;
    if value < mask {
        return Some((value, rest));
    }
    // Nothing that is counted here needs more than 28 bits.
    for shift in [0, 7, 14, 21] {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// A string, and what is behind it.
fn string(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let coded = bytes.first()? & 0x80 != 0;
    let (length, rest) = integer(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(length)?;
    let text = match coded {
        true => huffman::decode(text, LONGEST)?,
        false => text.to_vec(),
    };
    (text.len() <= LONGEST).then_some((text, rest))
}
