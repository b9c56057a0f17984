//! A door for the fuzz target: any bytes, read as each of the things that a store reads from a disk.

use std::path::Path;

use super::{
    codec::{agent, block, names, process},
    compress::Unsqueeze,
    segment,
};
use crate::model::id::AgentId;

/// Reads bytes as what `kind` says. Whatever they are, it ends, without a panic and in bounded memory.
pub fn decode_anything(kind: u8, bytes: &[u8]) {
    let id = AgentId::new(1, 1);
    match kind % 6 {
        0 => {
            if let Ok(read) = segment::parse(bytes.to_vec(), 1, Path::new("")) {
                assert!(read.frames().count() <= bytes.len() && read.torn() <= bytes.len());
            }
        }
        1 => drop(agent::decode(bytes)),
        2 => drop(process::decode(bytes)),
        3 => drop(names::decode(bytes, &mut Vec::new(), &mut Vec::new())),
        4 => decode_block(bytes, &id),
        _ => {
            let whole = Unsqueeze::new().map(|mut unsqueeze| unsqueeze.unsqueeze(bytes));
            if let Ok(Ok(whole)) = whole {
                decode_block(&whole, &id);
            }
        }
    }
}

/// What could be read is written so that it reads back the same.
fn decode_block(bytes: &[u8], id: &AgentId) {
    let Ok(windows) = block::decode(bytes, id) else { return };
    let again = block::decode(&block::encode(&windows), id);
    assert!(again.is_ok_and(|again| again.len() == windows.len()), "windows are lost");
}
