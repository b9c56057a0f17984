//! The Huffman code of HPACK (RFC 7541, appendix B).
//!
//! It is canonical: codes of one length are consecutive, in the order of their symbols, so that their lengths say all.

use std::sync::LazyLock;

/// The longest code, bits.
const LONGEST: usize = 30;
/// The symbol that never stands in a string.
const END: u16 = 256;

/// Bits of the code of each byte, and of [`END`].
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

struct Code {
    /// By number of bits: the first code of so many, how many there are, and where their symbols begin.
    lengths: [(u32, u32, usize); LONGEST + 1],
    symbols: Vec<u16>,
}

static CODE: LazyLock<Code> = LazyLock::new(|| {
    let mut lengths = [(0, 0, 0); LONGEST + 1];
    let mut symbols = Vec::new();
    let mut next = 0_u32;
    for (bits, row) in lengths.iter_mut().enumerate() {
        let of_length = || (0..=END).zip(LENGTHS).filter(|(_, length)| usize::from(*length) == bits);
        let count = of_length().count() as u32;
        next <<= 1;
        *row = (next, count, symbols.len());
        symbols.extend(of_length().map(|(symbol, _)| symbol));
        next += count;
    }
    Code { lengths, symbols }
});

/// Decodes a string of at most so many bytes; `None` if it is none, or longer.
pub(super) fn decode(coded: &[u8], longest: usize) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(coded.len().min(longest));
    let (mut code, mut bits) = (0_u32, 0_usize);
    for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        code = code << 1 | u32::from(bit);
        bits += 1;
        let (first, count, at) = *CODE.lengths.get(bits)?;
        let Some(nth) = code.checked_sub(first).filter(|nth| *nth < count) else { continue };
        let symbol = *CODE.symbols.get(at + nth as usize)?;
        text.push(u8::try_from(symbol).ok()?);
        if text.len() > longest {
            return None;
        }
        (code, bits) = (0, 0);
    }
    // What is left is filled up with ones, less than a byte of them.
    (bits < 8 && code == (1 << bits) - 1).then_some(text)
}
