//! Content codings: bodies are decompressed as they come, in bounded memory, and what comes out goes straight on.
//!
//! A window is at most 16 MiB (brotli), 8 MiB (zstd), 32 KiB (gzip), and of the large ones there are 64 at once in the
//! whole daemon; of one body 64 MiB come out at most. After a gap nothing more can be decompressed.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicUsize, Ordering},
};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use zstd::stream::write::Decoder as ZstdDecoder;

/// log2 of the largest window of zstd.
const ZSTD_WINDOW: u32 = 23;
/// Buffer of brotli's decoder, bytes.
const BROTLI_BUFFER: usize = 4096;
/// Decoders with large windows at once.
const MOST_LARGE: usize = 64;
/// What may come out of one compressed body, bytes.
const MOST: u64 = 64 << 20;

/// How a body is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// gzip.
    Gzip,
    /// zlib, or raw deflate as some servers have it.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
    /// One that is not known, or several.
    Unknown,
}

impl Coding {
    /// From the value of `Content-Encoding`.
    #[must_use]
    pub fn named(value: &[u8]) -> Self {
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Self::Identity,
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => Self::Unknown,
        }
    }
}

/// Why nothing more comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodingError {
    /// It is not what it was said to be.
    #[error("the body cannot be decompressed")]
    Undecodable,
    /// More would come out than is read of one body, or too many are read at once.
    #[error("the body is larger than is read")]
    TooLong,
}

/// How many decoders with large windows there are.
static LARGE: AtomicUsize = AtomicUsize::new(0);

/// The right to have a large window, given back when it is dropped.
struct Large(());

impl Large {
    /// `None` if there are too many.
    fn claim() -> Option<Self> {
        let claimed =
            LARGE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < MOST_LARGE).then_some(n + 1));
        claimed.ok().map(|_| Self(()))
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        LARGE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands on to what reads the body, up to the bound.
struct Bounded<W> {
    inner: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum State<W: Write> {
    Identity(W),
    /// Which of the two it is shows at the first byte.
    Undecided(Bounded<W>),
    Gzip(GzDecoder<Bounded<W>>),
    Zlib(ZlibDecoder<Bounded<W>>),
    Deflate(DeflateDecoder<Bounded<W>>),
    Brotli(Box<DecompressorWriter<Bounded<W>>>, Large),
    Zstd(ZstdDecoder<'static, Bounded<W>>, Large),
    /// There are too many decoders already.
    Crowded(W),
    /// Nothing comes out.
    Ended(W),
}

/// A body on its way out of its coding and into `W`.
pub(super) struct Decoded<W: Write>(Option<State<W>>);

impl<W: Write> Decoded<W> {
    pub(super) fn new(coding: Coding, inner: W) -> Self {
        let bounded = |inner| Bounded { inner, left: MOST };
        let is_large = matches!(coding, Coding::Brotli | Coding::Zstd);
        let state = match (coding, is_large.then(Large::claim).flatten()) {
            (Coding::Identity, _) => State::Identity(inner),
            (Coding::Gzip, _) => State::Gzip(GzDecoder::new(bounded(inner))),
            (Coding::Deflate, _) => State::Undecided(bounded(inner)),
            (Coding::Brotli, Some(large)) => {
                State::Brotli(Box::new(DecompressorWriter::new(bounded(inner), BROTLI_BUFFER)), large)
            }
            (Coding::Zstd, Some(large)) => return Self::zstd(bounded(inner), large),
            (Coding::Brotli | Coding::Zstd, None) => State::Crowded(inner),
            (Coding::Unknown, _) => State::Ended(inner),
        };
        Self(Some(state))
    }

    fn zstd(inner: Bounded<W>, large: Large) -> Self {
        // It fails only where memory is missing; the inner writer is lost then, and with it this body.
        let decoder = ZstdDecoder::new(inner).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW)?;
            Ok(decoder)
        });
        Self(decoder.ok().map(|decoder| State::Zstd(decoder, large)))
    }

    /// Where the bytes go.
    pub(super) fn inner(&mut self) -> Option<&mut W> {
        Some(match self.0.as_mut()? {
            State::Identity(inner) | State::Crowded(inner) | State::Ended(inner) => inner,
            State::Undecided(bounded) => &mut bounded.inner,
            State::Gzip(decoder) => &mut decoder.get_mut().inner,
            State::Zlib(decoder) => &mut decoder.get_mut().inner,
            State::Deflate(decoder) => &mut decoder.get_mut().inner,
            State::Brotli(decoder, _) => &mut decoder.get_mut().inner,
            State::Zstd(decoder, _) => &mut decoder.get_mut().inner,
        })
    }

    /// Whether bytes go through as they are, so that what follows a gap can be read.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.0, Some(State::Identity(_)))
    }

    /// Takes bytes and hands on all that comes out of them so far.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), CodingError> {
        if let (Some(State::Undecided(_)), Some(first)) = (&self.0, bytes.first()) {
            self.decide(*first);
        }
        let result = match self.0.as_mut() {
            Some(State::Identity(inner)) => inner.write_all(bytes),
            Some(State::Gzip(decoder)) => write(decoder, bytes),
            Some(State::Zlib(decoder)) => write(decoder, bytes),
            Some(State::Deflate(decoder)) => write(decoder, bytes),
            Some(State::Brotli(decoder, _)) => write(decoder.as_mut(), bytes),
            Some(State::Zstd(decoder, _)) => write(decoder, bytes),
            Some(State::Crowded(_)) => return Err(CodingError::TooLong),
            Some(State::Undecided(_) | State::Ended(_)) | None => Ok(()),
        };
        result.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => CodingError::TooLong,
            _ => CodingError::Undecodable,
        })
    }

    fn decide(&mut self, first: u8) {
        self.0 = match self.0.take() {
            Some(State::Undecided(inner)) if first & 0xf == 8 => Some(State::Zlib(ZlibDecoder::new(inner))),
            Some(State::Undecided(inner)) => Some(State::Deflate(DeflateDecoder::new(inner))),
            other => other,
        };
    }
}

/// Everything that is known by now comes out: a stream's events are not held back for the next.
fn write(decoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    decoder.write_all(bytes)?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn through(coding: Coding, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), CodingError>) {
        let mut decoded = Decoded::new(coding, Vec::new());
        let result = pieces.iter().try_for_each(|piece| decoded.feed(piece));
        (std::mem::take(decoded.inner().unwrap()), result)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_gives_the_text_back_byte_by_byte() {
        let text = b"data: {\"a\":1}\n\n".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        raw.write_all(&text).unwrap();
        for (coding, coded) in [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
            (Coding::Zstd, zstd::encode_all(text.as_slice(), 3).unwrap()),
        ] {
            let pieces: Vec<&[u8]> = coded.chunks(1).collect();
            assert_eq!(through(coding, &pieces), (text.clone(), Ok(())), "{coding:?}");
        }
    }

    #[test]
    fn what_was_flushed_comes_out_at_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"data: first\n\n").unwrap();
        encoder.flush().unwrap();
        assert_eq!(through(Coding::Gzip, &[encoder.get_ref()]).0, b"data: first\n\n");
    }

    #[test]
    fn a_bomb_and_noise_are_errors() {
        let bomb = zstd::encode_all(io::repeat(b'x').take(MOST + 1), 1).unwrap();
        let mut decoded = Decoded::new(Coding::Zstd, io::sink());
        assert_eq!(decoded.feed(&bomb), Err(CodingError::TooLong));
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            assert_eq!(through(coding, &[&[0x55; 64]]).1, Err(CodingError::Undecodable), "{coding:?}");
        }
        // A window of 2 GiB.
        let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert_eq!(through(Coding::Zstd, &[&wide]).1, Err(CodingError::Undecodable));
    }

    use std::io::Read;
}
