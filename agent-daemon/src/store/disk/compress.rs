//! Bytes made small and whole again, by contexts that are kept: to make one costs more than to use it.

use zstd::bulk::{Compressor, Decompressor};

use super::codec::{
    CodecError,
    bytes::{Decoder, Encoder, MAX_RECORD},
};

/// What blocks are compressed with: most of what there is to gain, at a few microseconds a kilobyte.
const LEVEL: i32 = 3;

/// Makes bytes small.
pub(super) struct Squeeze(Compressor<'static>);

impl Squeeze {
    pub(super) fn new() -> std::io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    /// The length, then the bytes, compressed. What could not be read again is refused.
    pub(super) fn squeeze(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        if bytes.len() > MAX_RECORD {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let mut to = Encoder::default();
        to.varint(bytes.len() as u64);
        to.rest(&self.0.compress(bytes)?);
        Ok(to.finish())
    }
}

/// Makes bytes whole again.
pub(super) struct Unsqueeze(Decompressor<'static>);

impl Unsqueeze {
    pub(super) fn new() -> std::io::Result<Self> {
        Decompressor::new().map(Self)
    }

    pub(super) fn unsqueeze(&mut self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut from = Decoder::bare(bytes);
        let length = usize::try_from(from.varint()?).ok().filter(|length| *length <= MAX_RECORD);
        let length = length.ok_or(CodecError::Range("a length"))?;
        let frame = from.rest();
        // No frame would do for no bytes.
        if frame.is_empty() {
            return Err(CodecError::Compression);
        }
        let whole = self.0.decompress(frame, length).map_err(|_| CodecError::Compression)?;
        if whole.len() == length { Ok(whole) } else { Err(CodecError::Compression) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back_and_damage_ends_in_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<usize>()
        ) {
            let squeezed = Squeeze::new().unwrap().squeeze(&bytes).unwrap();
            let mut back = Unsqueeze::new().unwrap();
            prop_assert_eq!(back.unsqueeze(&squeezed), Ok(bytes));
            prop_assert_eq!(back.unsqueeze(&squeezed[..cut % squeezed.len()]).is_err(), true);
        }
    }

    #[test]
    fn a_length_that_cannot_be_takes_no_memory() {
        let mut huge = Encoder::default();
        huge.varint(u64::MAX / 2);
        assert_eq!(Unsqueeze::new().unwrap().unsqueeze(&huge.finish()), Err(CodecError::Range("a length")));
    }
}
