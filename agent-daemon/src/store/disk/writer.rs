//! What is put: into the segment, then into the part that grows.
//!
//! A record that does not get onto the disk is in memory all the same, and waits; what is in memory is bounded, and
//! beyond the bound the oldest windows go, counted.

use std::{collections::VecDeque, path::Path, sync::Arc};

use super::{
    Disk,
    codec::{Kind, agent, block, bytes::Encoder, process},
    compress::Squeeze,
    head::{HeadWindow, Part},
    numbering::Numbering,
    roster::Put,
    segment::Segment,
};
use crate::{
    model::{agent::Agent, id::AgentId, process::Process, stack::Stack, time::Timestamp, window::Window},
    store::{StoreError, summary::Summary},
    telemetry::Loss,
};

/// Bytes of the head in memory; beyond, its oldest windows go. Reached only while nothing can be sealed.
const MAX_HEAD: usize = 16 << 20;

/// What the writing side needs. The database is the housekeeping's, so that no record waits for it.
pub(super) struct Writer {
    squeeze: Squeeze,
    pub(super) segment: Segment,
    pub(super) numbering: Numbering,
    /// The newest part that is not sealed, and whose segment is not whole.
    pub(super) undurable: Option<u64>,
    /// When the part that grows was first seen to hold something.
    pub(super) began: Option<Timestamp>,
}

impl Writer {
    /// Writes into the segment of this number from now on.
    pub(super) fn new(folder: &Path, number: u64) -> Result<Self, StoreError> {
        Ok(Self {
            squeeze: Squeeze::new().map_err(StoreError::io("compressing for", folder))?,
            segment: Segment::new(folder, number),
            numbering: Numbering::default(),
            undurable: None,
            began: None,
        })
    }

    /// Makes all records durable, or says why they are not.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.segment.flush()?;
        match self.undurable {
            // Its records are in memory alone until they are sealed.
            Some(number) => Err(StoreError::Unsealed(number)),
            None => Ok(()),
        }
    }

    fn push_owned(&mut self, kind: Kind, agent: &AgentId, record: &[u8]) {
        let mut to = Encoder::default();
        to.text(agent.as_str());
        to.rest(record);
        self.segment.push(kind, &to.finish());
    }

    /// Writes down the stacks that got a number by the last window: their names' length, and the stacks.
    fn push_names(&mut self) -> (usize, Vec<Arc<Stack>>) {
        let Some((record, stacks)) = self.numbering.take_new() else { return (0, Vec::new()) };
        match self.squeeze.squeeze(&record) {
            Ok(squeezed) => self.segment.push(Kind::Names, &squeezed),
            // Without memory there is no going on; the windows still come back, without these stacks.
            Err(error) => tracing::error!(%error, "names could not be compressed"),
        }
        (record.len(), stacks)
    }
}

impl Disk {
    pub(super) fn write_agent(&self, agent: Agent) {
        let mut writer = self.lock_writer();
        let record = agent::encode(&agent);
        let mut head = self.write_head();
        let Some(part) = head.back_mut() else { return };
        let put = self.write_roster().put(agent, part);
        drop(head);
        if put != Put::Refused {
            writer.segment.push(Kind::Agent, &record);
        }
        if put != Put::Kept {
            self.telemetry.losses.count(Loss::AgentForgotten);
        }
    }

    pub(super) fn write_process(&self, agent: &AgentId, process: Process) {
        let mut writer = self.lock_writer();
        let owned = self.read_roster().get(agent).is_some();
        if !owned || !self.make_room() {
            self.telemetry.losses.count(Loss::ProcessForgotten);
            return;
        }
        writer.push_owned(Kind::Process, agent, &process::encode(&process));
        if let Some(part) = self.write_head().back_mut() {
            part.put_process(agent, process);
        }
    }

    pub(super) fn write_window(&self, window: Window) {
        let mut writer = self.lock_writer();
        let owned = self.read_roster().get(&window.agent).is_some();
        if !owned || !self.make_room() {
            self.telemetry.losses.count(Loss::WindowDropped);
            return;
        }
        let (agent, start, end) = (window.agent.clone(), window.start, window.end);
        let summary = Arc::new(Summary::of(&window));
        let numbered = window.map_stacks(|stack| writer.numbering.number(&stack));
        let block: Arc<[u8]> = block::encode(&[numbered]).into();
        let (names, stacks) = writer.push_names();
        writer.push_owned(Kind::Window, &agent, &block);
        if let Some(part) = self.write_head().back_mut() {
            part.bytes += names;
            // Copies only while somebody reads.
            Arc::make_mut(&mut part.stacks).extend(stacks);
            part.push_window(HeadWindow { agent, start, end, block, summary });
        }
    }

    /// Drops the oldest windows of a head that is too large; counted, even if they are being sealed just now. Whether
    /// there is room now: what else the head holds, for want of a disk to seal it to, may be too much by itself.
    fn make_room(&self) -> bool {
        let mut head = self.write_head();
        // Operations, and the host, have room of their own.
        let windows = |part: &Part| part.bytes.saturating_sub(part.operations.bytes() + part.host.bytes());
        let bytes = |head: &VecDeque<Part>| head.iter().map(windows).sum::<usize>();
        let mut dropped = 0;
        while bytes(&head) > MAX_HEAD && head.iter_mut().any(Part::drop_oldest) {
            dropped += 1;
        }
        self.telemetry.losses.add(Loss::WindowDropped, dropped);
        bytes(&head) <= MAX_HEAD
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::time::TimeRange,
        store::{
            Options, Store,
            fixture::{agent_at, at, cpu, process_at, window_at, windows},
        },
    };

    #[test]
    fn a_head_that_cannot_be_sealed_is_bounded_whatever_comes() {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Arc::new(crate::telemetry::Telemetry::default());
        let options = Options { seal_after: Duration::from_secs(1 << 30), ..Options::default() };
        let store = Disk::open(folder.path(), options, telemetry.clone()).unwrap();
        let agent = agent_at(at(0));
        store.put_agent(agent.clone());
        let lost = |name| telemetry.losses.all()[name];
        let bytes = || store.read_head().iter().map(|part| part.bytes).sum::<usize>();
        // Housekeeping, which would seal, never runs here.
        for n in 0..400 {
            let mut window = window_at(&agent.id, at(n), 0);
            let row = |row: u32| cpu(row, &["main"], (n as u64 + 1) * 65_537 * u64::from(row));
            window.cpu = (0..10_000).map(row).collect();
            store.append(window);
        }
        assert!(bytes() < MAX_HEAD + (1 << 20) && lost("window_dropped") > 0);
        let kept = windows(&store, &agent.id, TimeRange::ALL);
        assert_eq!(kept.len() as u64 + lost("window_dropped"), 400);
        assert_eq!(kept.last().map(|w| w.start), Some(at(399)), "the newest stay");
        for pid in 0..200_000 {
            store.put_process(&agent.id, process_at(pid, at(0)));
        }
        assert!(bytes() < MAX_HEAD + (1 << 20) && lost("process_forgotten") > 0);
        let name = "a function's name, as long as some are, ".repeat(100);
        for n in 0..1_000 {
            let mut window = window_at(&agent.id, at(n), 0);
            window.cpu = vec![cpu(1, &[&format!("{name}{n}")], 1)];
            store.append(window);
        }
        assert!(bytes() < MAX_HEAD + (1 << 20));
    }
}
