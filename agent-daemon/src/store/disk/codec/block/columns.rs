//! Columns: one number of every row, together. A row refers to a process or a stack by its place among those of the
//! block.

use rustc_hash::FxHashMap;

use super::super::{
    CodecError,
    bytes::{Decoder, Encoder},
};

/// A column that is read, one number after the other.
#[derive(Debug, Default)]
pub(super) struct Column(std::vec::IntoIter<u64>);

/// Numbers that rows refer to by place.
pub(super) struct Places {
    numbers: Vec<u64>,
    places: FxHashMap<u64, u64>,
}

impl Places {
    pub(super) fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        let places = numbers.iter().copied().zip(0..).collect();
        Self { numbers, places }
    }

    pub(super) fn place(&self, number: u64) -> u64 {
        self.places.get(&number).copied().unwrap_or_default()
    }

    pub(super) fn encode(&self, to: &mut Encoder) {
        to.varint(self.numbers.len() as u64);
        let mut before = 0;
        for number in &self.numbers {
            to.varint(number.wrapping_sub(before));
            before = *number;
        }
    }
}

/// The numbers that [`Places::encode`] wrote.
pub(super) fn decode_places(from: &mut Decoder<'_>) -> Result<Vec<u64>, CodecError> {
    let count = from.count()?;
    let mut number = 0_u64;
    let next = |_| {
        number = number.wrapping_add(from.varint()?);
        Ok(number)
    };
    (0..count).map(next).collect()
}

/// The number at a place.
pub(super) fn at(numbers: &[u64], place: u64) -> Result<u64, CodecError> {
    let number = usize::try_from(place).ok().and_then(|place| numbers.get(place));
    number.copied().ok_or(CodecError::Range("a place"))
}

/// One number of every row.
pub(super) fn column<R>(to: &mut Encoder, rows: &[&R], number: impl Fn(&R) -> u64) {
    rows.iter().for_each(|row| to.varint(number(row)));
}

/// What `number` is more, or less, than `guess`; small in either direction.
pub(super) fn beside(number: u64, guess: u64) -> u64 {
    let difference = number.wrapping_sub(guess) as i64;
    (difference as u64) << 1 ^ (difference >> 63) as u64
}

/// The number of which this is [`beside`] `guess`.
pub(super) fn from_beside(difference: u64, guess: u64) -> u64 {
    guess.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

/// Reads a column of so many rows.
pub(super) fn read_column(from: &mut Decoder<'_>, rows: usize) -> Result<Column, CodecError> {
    // Each row takes a byte at least: a count that is damaged does not take memory.
    if rows > from.remaining() {
        return Err(CodecError::Short);
    }
    let column = (0..rows).map(|_| from.varint()).collect::<Result<Vec<_>, _>>()?;
    Ok(Column(column.into_iter()))
}

/// The next row's number.
pub(super) fn next(column: &mut Column) -> Result<u64, CodecError> {
    column.0.next().ok_or(CodecError::Short)
}

/// The next row's number, if it is one of 32 bits.
pub(super) fn next_u32(column: &mut Column) -> Result<u32, CodecError> {
    u32::try_from(next(column)?).map_err(|_| CodecError::Range("a number"))
}

/// The next row's number, where 0 is none.
pub(super) fn next_option(column: &mut Column) -> Result<Option<u32>, CodecError> {
    let value = next(column)?.checked_sub(1).map(u32::try_from).transpose();
    value.map_err(|_| CodecError::Range("a number"))
}

/// Reads so many columns.
pub(super) fn read_columns<const N: usize>(
    from: &mut Decoder<'_>,
    rows: usize,
) -> Result<[Column; N], CodecError> {
    let mut columns = std::array::from_fn(|_| Column::default());
    for column in &mut columns {
        *column = read_column(from, rows)?;
    }
    Ok(columns)
}

/// As a number: 0 for none, else one more than the value.
pub(super) fn option(value: Option<u32>) -> u64 {
    value.map_or(0, |value| u64::from(value) + 1)
}
