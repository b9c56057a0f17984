//! How far a spool was sent: one place, written over and over. Where it is damaged, as by a power cut, the spool is sent
//! from its oldest message on: receivers refuse what they have.

use std::{
    cmp::Ordering,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::segment::{Place, START};

/// Two numbers and their checksum.
const LENGTH: usize = 20;

/// The file `sent`.
#[derive(Debug)]
pub(super) struct Sent {
    file: File,
    place: Place,
}

impl Sent {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(folder.join("sent"))?;
        let mut bytes = [0; LENGTH];
        let read = file.read_exact_at(&mut bytes, 0);
        let place = read.ok().and_then(|()| decode(&bytes)).unwrap_or_default();
        Ok(Self { file, place })
    }

    /// Behind the last message that was sent.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// How far the segment of this number was sent.
    pub(super) fn within(&self, segment: u64) -> u64 {
        match segment.cmp(&self.place.segment) {
            Ordering::Less => u64::MAX,
            Ordering::Equal => self.place.offset,
            Ordering::Greater => START,
        }
    }

    pub(super) fn remember(&mut self, place: Place) -> io::Result<()> {
        self.place = place;
        self.file.write_all_at(&encode(place), 0)
    }
}

fn encode(place: Place) -> Vec<u8> {
    let mut bytes = [place.segment.to_le_bytes(), place.offset.to_le_bytes()].concat();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<Place> {
    let number = |part: &[u8]| Some(u64::from_le_bytes(part.try_into().ok()?));
    let place = Place { segment: number(bytes.get(..8)?)?, offset: number(bytes.get(8..16)?)? };
    (encode(place) == bytes).then_some(place)
}
