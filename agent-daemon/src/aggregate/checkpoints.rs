//! Checkpoints that processes of agents saved and loaded, made into operations.

use super::roster::Roster;
use crate::model::{
    file::{Checkpoint, Way},
    hash,
    id::{AgentId, Slot},
    operation::{CHECKPOINT_LOAD, CHECKPOINT_SAVE, Operation, Source},
    record::{Arrived, Record},
};

/// The checkpoints of a window, of agents that are still watched.
pub(super) fn record(checkpoints: Vec<(Slot, Checkpoint)>, roster: &Roster) -> Option<Record> {
    let of_agent = |(slot, checkpoint)| Some(operation(roster.agent_in(slot)?, checkpoint));
    let operations: Vec<_> = checkpoints.into_iter().filter_map(of_agent).collect();
    let arrived = Arrived { operations, sums: Vec::new(), place: None };
    (!arrived.operations.is_empty()).then(|| Record::Operations(Box::new(arrived)))
}

fn operation(agent: AgentId, checkpoint: Checkpoint) -> Operation {
    let kind = match checkpoint.way {
        Way::Save => CHECKPOINT_SAVE,
        Way::Load => CHECKPOINT_LOAD,
    };
    Operation {
        id: id(&checkpoint, kind),
        project: "".into(),
        source: Source::Kernel,
        kind: kind.to_owned(),
        // Not the path: names are grouped by, and paths have no end.
        name: checkpoint.pattern.to_string(),
        start: checkpoint.start,
        duration_ns: checkpoint.duration_ns,
        bytes: Some(checkpoint.bytes),
        success: checkpoint.error.is_none(),
        error_type: checkpoint.error.map(str::to_owned),
        method: None,
        status: None,
        model: None,
        user: None,
        session: None,
        trace: None,
        labels: labels(&checkpoint),
        calls: Vec::new(),
        agent: Some(agent),
        process: Some(checkpoint.process),
        tool: None,
        llm: None,
    }
}

/// Sorted by key.
fn labels(checkpoint: &Checkpoint) -> Vec<(String, String)> {
    let bytes_of = if checkpoint.by_size { "size" } else { "calls" };
    let labels = [
        ("file.bytes_of", bytes_of.to_owned()),
        ("file.path", checkpoint.path.to_string()),
        ("file.sync_ns", checkpoint.sync_ns.to_string()),
    ];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

/// One process saves one file once at a time.
fn id(checkpoint: &Checkpoint, kind: &str) -> u64 {
    let start = checkpoint.start.as_nanosecond().to_le_bytes();
    let process = checkpoint.process.0.to_le_bytes();
    let bytes = process.into_iter().chain(start).chain(kind.bytes()).chain(checkpoint.path.bytes());
    hash::spread(hash::fnv1a(hash::FNV_START, bytes))
}
