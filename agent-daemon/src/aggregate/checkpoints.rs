//! Checkpoints and other files of note that processes of agents saved and loaded, made into operations.

use super::{roster::Roster, seen};
use crate::model::{
    file::{Checkpoint, Way},
    id::{AgentId, Slot},
    operation::{CHECKPOINT_LOAD, CHECKPOINT_SAVE, Operation},
    record::Record,
};
use crate::telemetry::{Loss, Losses};

/// The checkpoints of a window, of agents that are still watched.
pub(super) fn record(
    checkpoints: Vec<(Slot, Checkpoint)>,
    roster: &Roster,
    losses: &Losses,
) -> Option<Record> {
    let of_agent = |(slot, checkpoint): (Slot, Checkpoint)| {
        let defined = checkpoint.defined.clone();
        let operation = operation(roster.agent_in(slot)?, checkpoint);
        let is_kept = defined.is_none_or(|defined| defined.keeps(operation.id));
        if !is_kept {
            losses.count(Loss::OperationUnsampled);
        }
        is_kept.then_some(operation)
    };
    let operations = checkpoints.into_iter().filter_map(of_agent).collect();
    seen::record(operations, Vec::new())
}

fn operation(agent: AgentId, checkpoint: Checkpoint) -> Operation {
    let kind = match (&checkpoint.defined, checkpoint.way) {
        (Some(defined), _) => defined.kind.as_str(),
        (None, Way::Save) => CHECKPOINT_SAVE,
        (None, Way::Load) => CHECKPOINT_LOAD,
    };
    Operation {
        id: id(&checkpoint, kind),
        kind: kind.to_owned(),
        // Not the path: names are grouped by, and paths have no end.
        name: checkpoint.pattern.to_string(),
        duration_ns: checkpoint.duration_ns,
        bytes: Some(checkpoint.bytes),
        success: checkpoint.error.is_none(),
        error_type: checkpoint.error.map(str::to_owned),
        labels: labels(&checkpoint),
        ..Operation::seen(agent, checkpoint.process, checkpoint.start)
    }
}

/// Sorted by key.
fn labels(checkpoint: &Checkpoint) -> Vec<(String, String)> {
    let bytes_of = if checkpoint.by_size { "size" } else { "calls" };
    let way = match checkpoint.way {
        Way::Save => "save",
        Way::Load => "load",
    };
    let own = [
        ("file.bytes_of", bytes_of.to_owned()),
        ("file.path", checkpoint.path.to_string()),
        ("file.sync_ns", checkpoint.sync_ns.to_string()),
        ("file.way", way.to_owned()),
    ];
    let mut labels = own.map(|(key, value)| (key.to_owned(), value)).to_vec();
    if let Some(defined) = &checkpoint.defined {
        labels.extend(defined.labels.iter().cloned());
        labels.sort();
        labels.dedup_by(|later, first| later.0 == first.0);
    }
    labels
}

/// One process saves one file once at a time.
fn id(checkpoint: &Checkpoint, kind: &str) -> u64 {
    let start = checkpoint.start.as_nanosecond().to_le_bytes();
    let process = checkpoint.process.0.to_le_bytes();
    let bytes = process.into_iter().chain(start).chain(kind.bytes()).chain(checkpoint.path.bytes());
    seen::id(bytes)
}
