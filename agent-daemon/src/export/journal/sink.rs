//! Where lines go.

use std::io;

use super::{file::Files, journald::Journald, line::Line, ring::Ring};
use crate::model::time::Timestamp;

/// Where lines go.
#[derive(Debug)]
pub(super) enum Sink {
    /// A file that is followed by the next.
    Files(Files),
    /// The system's journal.
    Journald(Journald),
    /// The flight recorder's memory.
    Ring(Ring),
}

impl Sink {
    /// Whether a section should begin, that is so large already and tells so many names.
    pub(super) fn is_due(&self, now: Timestamp, told: usize) -> bool {
        match self {
            Self::Files(files) => files.is_due(now),
            Self::Journald(journald) => journald.is_due(now, told),
            Self::Ring(ring) => ring.is_due(now),
        }
    }

    /// Whether what is written would be lost, until the next section begins.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Files(files) => files.is_gone(),
            Self::Journald(_) | Self::Ring(_) => false,
        }
    }

    /// A section begins: for a file, in the next file.
    pub(super) fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        match self {
            Self::Files(files) => files.rotate(now),
            Self::Journald(journald) => {
                journald.begin(now);
                Ok(())
            }
            Self::Ring(ring) => ring.rotate(now),
        }
    }

    /// Writes lines. Where that fails, none of them may be taken for written.
    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        match self {
            Self::Files(files) => files.write(lines),
            Self::Journald(journald) => lines.iter().try_for_each(|line| journald.send(line)),
            Self::Ring(ring) => ring.write(lines),
        }
    }
}
