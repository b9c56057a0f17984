//! Lines out of a file or a stream, plain or compressed, each with its number. Bounded: a line that is too long is
//! skipped, not read into memory.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// The longest line that is read, bytes: longer than any that agentperf writes.
pub(super) const MAX_LINE: usize = 64 << 20;

/// How zstd and gzip begin.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The lines of a file or a stream.
pub struct Reader<'a> {
    from: Box<dyn BufRead + 'a>,
    number: u64,
    over: bool,
}

/// A line's number, counted from 1, and the line without its end; `None` where it is longer than any line.
pub type Numbered = (u64, Option<Vec<u8>>);

impl<'a> Reader<'a> {
    /// Reads these bytes, whether they are compressed or not.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(mut from: impl Read + 'a) -> io::Result<Self> {
        let mut start = Vec::new();
        from.by_ref().take(4).read_to_end(&mut start)?;
        let (zstd, gzip) = (start.starts_with(&ZSTD), start.starts_with(&GZIP));
        let all: Chain<Cursor<Vec<u8>>, _> = Cursor::new(start).chain(from);
        let from: Box<dyn BufRead + 'a> = match (zstd, gzip) {
            (true, _) => Box::new(BufReader::new(zstd::Decoder::new(all)?)),
            (_, true) => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(all))),
            _ => Box::new(BufReader::new(all)),
        };
        Ok(Self { from, number: 0, over: false })
    }

    fn read_line(&mut self) -> io::Result<Option<Numbered>> {
        let mut line = Vec::new();
        let read = self.from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > MAX_LINE {
            self.skip_line()?;
            return Ok(Some((self.number, None)));
        }
        Ok(Some((self.number, Some(line))))
    }

    /// Reads to the end of a line that is too long.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.from.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = io::Result<Numbered>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let line = self.read_line().transpose();
        // What cannot be decompressed any further never can be.
        self.over = !matches!(line, Some(Ok(_)));
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<io::Result<Numbered>> {
        Reader::new(bytes).unwrap().collect()
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        lines(bytes).into_iter().map(|l| String::from_utf8(l.unwrap().1.unwrap()).unwrap()).collect()
    }

    #[test]
    fn lines_come_plain_and_compressed_and_from_files_one_after_the_other() {
        let gzip = |text: &[u8]| {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(text).unwrap();
            to.finish().unwrap()
        };
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        assert_eq!(texts(b"a\n\nb"), ["a", "", "b"]);
        assert_eq!(texts(&[gzip(b"a\n"), gzip(b"b\n")].concat()), ["a", "b"]);
        assert_eq!(texts(&[zstd(b"a\n"), zstd(b"b\n")].concat()), ["a", "b"]);
        assert!(texts(b"").is_empty() && texts(b"x") == ["x"]);
    }

    #[test]
    fn a_stream_that_breaks_off_gives_its_lines_and_then_one_error() {
        let text: String = (0..10_000).map(|n| format!("line {}\n", n * 7919)).collect();
        let whole = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let lines = lines(&whole[..whole.len() - 1]);
        let (last, before) = lines.split_last().unwrap();
        assert!(last.is_err() && before.iter().all(Result::is_ok));
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let mut bytes = vec![b'x'; MAX_LINE + 100];
        bytes.extend(b"\nnext\n");
        let lines: Vec<_> = lines(&bytes).into_iter().map(Result::unwrap).collect();
        assert_eq!(lines, [(1, None), (2, Some(b"next".to_vec()))]);
    }
}
