//! Integers, texts and times as bytes: LEB128 varints, so that small numbers are short.

use super::CodecError;
use crate::model::time::Timestamp;

/// The largest record, bytes, before compression: a damaged length must not eat all memory.
pub(in crate::store::disk) const MAX_RECORD: usize = 64 << 20;

/// Bytes that grow.
#[derive(Debug, Default)]
pub(in crate::store::disk) struct Encoder(Vec<u8>);

impl Encoder {
    /// Begins with the version of what follows.
    pub(in crate::store::disk) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(in crate::store::disk) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(in crate::store::disk) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Seven bits a byte, the lowest first; the last byte's high bit is clear.
    pub(in crate::store::disk) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number that is as likely below zero as above.
    pub(in crate::store::disk) fn signed(&mut self, value: i64) {
        self.varint((value as u64) << 1 ^ (value >> 63) as u64);
    }

    pub(in crate::store::disk) fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Bytes up to the end of the record.
    pub(in crate::store::disk) fn rest(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(in crate::store::disk) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// 0 for none, else one more than the value.
    pub(in crate::store::disk) fn option(&mut self, value: Option<u64>) {
        self.varint(value.map_or(0, |value| value.saturating_add(1)));
    }

    pub(in crate::store::disk) fn option_text(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(in crate::store::disk) fn time(&mut self, time: Timestamp) {
        self.signed(nanoseconds(time));
    }

    pub(in crate::store::disk) fn option_time(&mut self, time: Option<Timestamp>) {
        self.u8(u8::from(time.is_some()));
        if let Some(time) = time {
            self.time(time);
        }
    }
}

/// A time as nanoseconds since the epoch; what lies outside 1677–2262 becomes the nearest that does not.
pub(in crate::store::disk) fn nanoseconds(time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// The time so many nanoseconds after the epoch.
pub(in crate::store::disk) fn time_of(ns: i64) -> Timestamp {
    // Every i64 of nanoseconds is a time.
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::disk) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Over bytes that begin with a version, which is `known` at most.
    pub(in crate::store::disk) fn new(bytes: &'a [u8], known: u8) -> Result<Self, CodecError> {
        let mut decoder = Self(bytes);
        match decoder.u8()? {
            version if (1..=known).contains(&version) => Ok(decoder),
            version => Err(CodecError::Unknown("version", version)),
        }
    }

    /// As `new`; tells the version.
    pub(in crate::store::disk) fn versioned(bytes: &'a [u8], known: u8) -> Result<(Self, u8), CodecError> {
        let decoder = Self::new(bytes, known)?;
        Ok((decoder, bytes.first().copied().unwrap_or_default()))
    }

    /// Over bytes without a version.
    pub(in crate::store::disk) fn bare(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::store::disk) fn remaining(&self) -> usize {
        self.0.len()
    }

    /// All is read.
    pub(in crate::store::disk) fn end(self) -> Result<(), CodecError> {
        if self.0.is_empty() { Ok(()) } else { Err(CodecError::Long) }
    }

    pub(in crate::store::disk) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(in crate::store::disk) fn u8(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(in crate::store::disk) fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Range("a number"))
    }

    pub(in crate::store::disk) fn signed(&mut self) -> Result<i64, CodecError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(in crate::store::disk) fn u32(&mut self) -> Result<u32, CodecError> {
        u32::try_from(self.varint()?).map_err(|_| CodecError::Range("a number"))
    }

    /// How many things of at least a byte each follow.
    pub(in crate::store::disk) fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.varint()?).ok().filter(|count| *count <= self.0.len());
        count.ok_or(CodecError::Short)
    }

    pub(in crate::store::disk) fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(CodecError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// So many bytes as they are.
    pub(in crate::store::disk) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(CodecError::Short)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(in crate::store::disk) fn text(&mut self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| CodecError::Range("a text"))
    }

    pub(in crate::store::disk) fn option(&mut self) -> Result<Option<u64>, CodecError> {
        Ok(self.varint()?.checked_sub(1))
    }

    pub(in crate::store::disk) fn option_u32(&mut self) -> Result<Option<u32>, CodecError> {
        let value = self.option()?.map(u32::try_from).transpose();
        value.map_err(|_| CodecError::Range("a number"))
    }

    pub(in crate::store::disk) fn flag(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Range("a flag")),
        }
    }

    pub(in crate::store::disk) fn option_text(&mut self) -> Result<Option<&'a str>, CodecError> {
        if self.flag()? { self.text().map(Some) } else { Ok(None) }
    }

    pub(in crate::store::disk) fn time(&mut self) -> Result<Timestamp, CodecError> {
        self.signed().map(time_of)
    }

    pub(in crate::store::disk) fn option_time(&mut self) -> Result<Option<Timestamp>, CodecError> {
        if self.flag()? { self.time().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(value in any::<u64>(), shift in 0..64u32, signed in any::<i64>()) {
            let value = value >> shift;
            let mut encoder = Encoder::default();
            encoder.varint(value);
            encoder.signed(signed >> shift);
            encoder.time(time_of(signed));
            let bytes = encoder.finish();
            let mut decoder = Decoder::bare(&bytes);
            prop_assert_eq!(decoder.varint(), Ok(value));
            prop_assert_eq!(decoder.signed(), Ok(signed >> shift));
            prop_assert_eq!(decoder.time().map(nanoseconds), Ok(signed));
            prop_assert_eq!(decoder.end(), Ok(()));
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut decoder = Decoder::bare(&bytes);
            while decoder.varint().is_ok() && decoder.bytes().is_ok() && decoder.option_text().is_ok() {}
        }
    }

    #[test]
    fn what_is_cut_or_too_large_is_refused() {
        assert_eq!(Decoder::bare(&[0x80]).varint(), Err(CodecError::Short));
        assert_eq!(Decoder::bare(&[0xff; 10]).varint(), Err(CodecError::Range("a number")));
        assert_eq!(Decoder::bare(&[5, 1, 2]).bytes(), Err(CodecError::Short));
        assert_eq!(Decoder::new(&[2, 0], 1).map(|_| ()), Err(CodecError::Unknown("version", 2)));
        assert_eq!(Decoder::new(&[0, 0], 1).map(|_| ()), Err(CodecError::Unknown("version", 0)));
    }
}
