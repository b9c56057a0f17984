//! The head as it was, out of its segments: what happens when a store is opened.
//!
//! Segments up to the newest that is sealed are leftovers and deleted. The others are read in order and applied as they
//! were written; a torn end is cut off, counted, and no reason to stop.

use std::{collections::VecDeque, path::Path, sync::Arc};

use rusqlite::Connection;

use super::{
    codec::{CodecError, Kind, agent, bytes::Decoder, names, process},
    compress::Unsqueeze,
    database,
    head::{HeadWindow, Part, named},
    host, operations,
    roster::Roster,
    segment,
};
use crate::{
    model::{
        id::AgentId,
        stack::{Frame, Stack},
    },
    store::{StoreError, summary::Summary},
    telemetry::{Loss, Telemetry},
};

/// What was found.
pub(super) struct Recovered {
    /// The parts that are not sealed, and an empty one for what comes.
    pub(super) parts: VecDeque<Part>,
    pub(super) roster: Roster,
}

/// Reads what was not sealed.
pub(super) fn recover(
    folder: &Path,
    db: &Connection,
    max_agents: usize,
    telemetry: &Telemetry,
) -> Result<Recovered, StoreError> {
    let path = folder.join(database::FILE);
    let sealed = database::state(db, "sealed_segment").map_err(StoreError::database(&path))?;
    let sealed = u64::try_from(sealed).unwrap_or(0);
    let (agents, unread) = Roster::read(db, max_agents).map_err(StoreError::database(&path))?;
    telemetry.losses.add(Loss::StoreRecordUnread, unread);
    let mut unsqueeze = Unsqueeze::new().map_err(StoreError::io("decompressing", folder))?;
    let mut found = Recovered { parts: VecDeque::new(), roster: agents };
    let mut last = sealed;
    for number in segment::list(folder)? {
        let path = segment::path(folder, number);
        if number <= sealed {
            std::fs::remove_file(&path).map_err(StoreError::io("deleting", &path))?;
            continue;
        }
        let read = segment::read(folder, number)?;
        if read.torn() > 0 {
            tracing::warn!(path = %path.display(), bytes = read.torn(), "a torn end is cut off");
            telemetry.losses.count(Loss::StoreTailCut);
            read.cut(&path).map_err(StoreError::io("cutting", &path))?;
        }
        let unread = found.replay(number, &read, &mut unsqueeze);
        telemetry.losses.add(Loss::StoreRecordUnread, unread);
        last = last.max(number);
    }
    found.parts.push_back(Part::new(last + 1));
    Ok(found)
}

impl Recovered {
    /// Applies a segment; how many of its records were damaged.
    fn replay(&mut self, number: u64, read: &segment::Read, unsqueeze: &mut Unsqueeze) -> u64 {
        let mut replay = Replay { part: Part::new(number), frames: Vec::new(), roster: &mut self.roster };
        let mut unread = 0;
        for (kind, record) in read.frames() {
            unread += u64::from(replay.apply(kind, record, unsqueeze).is_err());
        }
        self.parts.push_back(replay.part);
        unread
    }
}

struct Replay<'a> {
    part: Part,
    frames: Vec<Arc<Frame>>,
    roster: &'a mut Roster,
}

impl Replay<'_> {
    fn apply(&mut self, kind: Kind, record: &[u8], unsqueeze: &mut Unsqueeze) -> Result<(), CodecError> {
        match kind {
            Kind::Names => {
                let record = unsqueeze.unsqueeze(record)?;
                self.part.bytes += record.len();
                names::decode(&record, &mut self.frames, Arc::make_mut(&mut self.part.stacks))
            }
            Kind::Agent => {
                self.roster.put(agent::decode(record)?, &mut self.part);
                Ok(())
            }
            Kind::Process => {
                let (agent, record) = owned(record)?;
                self.part.put_process(&agent, process::decode(record)?);
                Ok(())
            }
            Kind::Window => {
                let (agent, block) = owned(record)?;
                let window = window(agent, block, &self.part.stacks)?;
                self.part.push_window(window);
                Ok(())
            }
            Kind::Operations => {
                operations::read(record)?.into_iter().for_each(|item| self.part.push_operations(item));
                Ok(())
            }
            Kind::Host => {
                host::read(record)?.into_iter().for_each(|item| self.part.push_host(item));
                Ok(())
            }
        }
    }
}

/// Splits a record of an agent's into whose it is and what it is.
fn owned(record: &[u8]) -> Result<(AgentId, &[u8]), CodecError> {
    let mut from = Decoder::bare(record);
    let agent = from.text()?.parse().map_err(|_| CodecError::Range("an agent's id"))?;
    Ok((agent, from.rest()))
}

fn window(agent: AgentId, block: &[u8], stacks: &[Arc<Stack>]) -> Result<HeadWindow, CodecError> {
    // One that lacks stacks is sealed without them: its sums stay.
    let (window, _) = named(&agent, block, stacks)?;
    let (start, end, summary) = (window.start, window.end, Arc::new(Summary::of(&window)));
    Ok(HeadWindow { agent, start, end, block: block.into(), summary })
}
