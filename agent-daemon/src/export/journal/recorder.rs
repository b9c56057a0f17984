//! The flight recorder: every record that is stored, in full detail, for the last minutes, in memory. Nothing of it is
//! written before somebody asks. It is a journal that writes into a [`Ring`].

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{Journal, JournalThread, ring::Ring, sink::Sink};
use crate::{
    model::time::Timestamp,
    telemetry::{Loss, Telemetry},
};

/// The flight recorder, as who asks knows it.
#[derive(Clone, Debug)]
pub struct Recorder(Ring);

impl Recorder {
    /// Starts one that keeps so many bytes: itself, who follows the writer for it, and its thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(max_bytes: u64, telemetry: &Arc<Telemetry>) -> io::Result<(Self, Journal, JournalThread)> {
        let ring = Ring::new(max_bytes);
        let sink = Sink::Ring(ring.clone());
        let (journal, thread) = Journal::over(sink, ("recorder", Loss::RecorderDropped), telemetry)?;
        Ok((Self(ring), journal, thread))
    }

    /// Writes what it has of the time since then: lines, compressed by zstd, as `agentperf store import` reads them. They
    /// may begin some seconds before. How many bytes that were.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn dump(&self, since: Timestamp, to: &mut dyn Write) -> io::Result<u64> {
        self.0.dump(since, to)
    }
}
