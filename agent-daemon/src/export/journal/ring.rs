//! The flight recorder's memory: the newest lines, compressed, bounded in bytes. They lie in chunks; each is a section that
//! stands alone, so that the oldest can go and the rest is whole, and a dump is the chunks one after the other.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::line::Line;
use crate::model::time::Timestamp;

/// The longest time of one chunk.
const MAX_AGE: Duration = Duration::from_secs(15);
/// What share of all bytes the chunk that is written may take before it is compressed, and beyond which it takes nothing.
const CHUNK: u64 = 8;
const MOST: u64 = 4;
/// zstd's level: fast.
const LEVEL: i32 = 1;

/// The ring, for who writes it and who reads it.
#[derive(Clone, Debug)]
pub(super) struct Ring(Arc<Mutex<Chunks>>);

#[derive(Debug)]
struct Chunks {
    max_bytes: u64,
    /// The oldest first.
    over: VecDeque<Chunk>,
    /// Bytes of these.
    bytes: u64,
    open: Option<Open>,
}

/// A chunk that is over.
#[derive(Debug)]
struct Chunk {
    ended: Timestamp,
    /// One frame of zstd's.
    frame: Vec<u8>,
}

/// The chunk that is written.
#[derive(Debug)]
struct Open {
    began: Timestamp,
    lines: Vec<u8>,
}

impl Ring {
    /// One of so many bytes.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Chunks { max_bytes, over: VecDeque::new(), bytes: 0, open: None })))
    }

    /// Whether the next chunk should begin.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let chunks = self.lock();
        let large = |open: &Open| open.lines.len() as u64 >= chunks.max_bytes / CHUNK;
        let old =
            |open: &Open| Duration::try_from(now.duration_since(open.began)).is_ok_and(|age| age >= MAX_AGE);
        chunks.open.as_ref().is_none_or(|open| large(open) || old(open))
    }

    /// The next chunk begins; the one before is compressed, and the oldest go.
    ///
    /// # Errors
    /// It cannot be compressed, and is lost.
    pub(super) fn rotate(&self, now: Timestamp) -> io::Result<()> {
        let open = self.lock().open.replace(Open { began: now, lines: Vec::new() });
        let Some(open) = open.filter(|open| !open.lines.is_empty()) else { return Ok(()) };
        let frame = zstd::encode_all(open.lines.as_slice(), LEVEL)?;
        self.lock().add(Chunk { ended: now, frame });
        Ok(())
    }

    /// Adds lines, all or none.
    ///
    /// # Errors
    /// They are more than a ring of this size takes at once.
    pub(super) fn write(&self, lines: &[Line]) -> io::Result<()> {
        let mut chunks = self.lock();
        let most = chunks.max_bytes / MOST;
        let Some(open) = &mut chunks.open else { return Ok(()) };
        let more: usize = lines.iter().map(|line| line.json.len() + 1).sum();
        if (open.lines.len() + more) as u64 > most {
            return Err(io::Error::other("a record is too large for alerts.reactions.recorder"));
        }
        for line in lines {
            open.lines.extend_from_slice(line.json.as_bytes());
            open.lines.push(b'\n');
        }
        Ok(())
    }

    /// Writes all chunks that ended since then, compressed. How many bytes that were.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn dump(&self, since: Timestamp, to: &mut dyn Write) -> io::Result<u64> {
        let (frames, open) = {
            let chunks = self.lock();
            let wanted = chunks.over.iter().filter(|chunk| chunk.ended >= since);
            let frames: Vec<Vec<u8>> = wanted.map(|chunk| chunk.frame.clone()).collect();
            (frames, chunks.open.as_ref().map(|open| open.lines.clone()).unwrap_or_default())
        };
        let open = zstd::encode_all(open.as_slice(), LEVEL)?;
        let mut bytes = 0;
        for frame in frames.iter().chain([&open]) {
            to.write_all(frame)?;
            bytes += frame.len() as u64;
        }
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Chunks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chunks {
    fn add(&mut self, chunk: Chunk) {
        self.bytes += chunk.frame.len() as u64;
        self.over.push_back(chunk);
        // What is left is for the chunk that is written.
        let most = self.max_bytes - self.max_bytes / MOST;
        while self.bytes > most
            && let Some(oldest) = self.over.pop_front()
        {
            self.bytes -= oldest.frame.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Ring, Timestamp};
    use crate::export::journal::{data::Kind, reader::Reader};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Lines that compress badly.
    fn line(second: i64) -> Line {
        let mixed = |n: u64| ((n * n * 2_654_435_761) ^ (second as u64 * 97)) >> 7;
        let letter = |n| char::from(b'a' + u8::try_from(mixed(n) & 15).unwrap());
        let noise: String = (0..2000_u64).map(letter).collect();
        Line::new(Kind::Agent, (at(second), "1-1"), noise, second).unwrap()
    }

    fn seconds(ring: &Ring, since: i64) -> Vec<i64> {
        let mut bytes = Vec::new();
        assert_eq!(ring.dump(at(since), &mut bytes).unwrap(), bytes.len() as u64);
        assert!(bytes.len() <= 100_000);
        let lines = Reader::new(bytes.as_slice()).unwrap().map(|line| line.unwrap().1.unwrap());
        let data =
            |line: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&line).unwrap()["data"].as_i64();
        lines.filter_map(data).collect()
    }

    #[test]
    fn the_newest_stay_within_its_bytes() {
        let ring = Ring::new(100_000);
        assert!(ring.is_due(at(0)), "there is no chunk yet");
        for second in 0..1000 {
            if ring.is_due(at(second)) {
                ring.rotate(at(second)).unwrap();
            }
            ring.write(&[line(second)]).unwrap();
        }
        let all = seconds(&ring, 0);
        assert_eq!(all.last(), Some(&999));
        assert!(all[0] > 0 && all.len() > 20, "{} from {}", all.len(), all[0]);
        assert!(all.windows(2).all(|two| two[0] + 1 == two[1]), "without a gap");
        let last = seconds(&ring, 990);
        assert!(last.len() < all.len() && last[0] <= 990, "{last:?}");
    }

    #[test]
    fn what_is_too_large_is_refused_and_age_begins_a_chunk() {
        let ring = Ring::new(4000);
        ring.rotate(at(0)).unwrap();
        assert!(ring.write(&[line(1)]).is_err());
        assert!(!ring.is_due(at(14)) && ring.is_due(at(15)));
    }
}
