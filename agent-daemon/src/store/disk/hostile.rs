//! A door for the fuzz target: any bytes, read as each of the things that a store reads from a disk.

use std::path::Path;

use super::{
    codec::{agent, block, host, names, process},
    compress::Unsqueeze,
    segment,
};
use crate::model::id::AgentId;

/// Reads bytes as what `kind` says. Whatever they are, it ends, without a panic and in bounded memory.
pub fn decode_anything(kind: u8, bytes: &[u8]) {
    let id = AgentId::new(1, 1);
    match kind % 7 {
        0 => {
            if let Ok(read) = segment::parse(bytes.to_vec(), 1, Path::new("")) {
                assert!(read.frames().count() <= bytes.len() && read.torn() <= bytes.len());
            }
        }
        1 => drop(agent::decode(bytes)),
        2 => drop(process::decode(bytes)),
        3 => drop(names::decode(bytes, &mut Vec::new(), &mut Vec::new())),
        4 => decode_block(bytes, &id),
        5 => drop(host::decode(bytes)),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::store::{
        disk::codec::Kind,
        fixture::{agent_at, at},
    };

    proptest! {
        #[test]
        fn any_bytes_end_in_records_or_errors(kind in 0..7u8, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode_anything(kind, &bytes);
            // Of the version that is known, which goes further.
            decode_anything(kind, &[&[1], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn garbage_in_the_middle_costs_what_comes_after() {
        let folder = tempfile::tempdir().unwrap();
        let mut written = segment::Segment::new(folder.path(), 1);
        (0..9).for_each(|_| written.push(Kind::Agent, &agent::encode(&agent_at(at(0)))));
        written.flush().unwrap();
        let bytes = std::fs::read(segment::path(folder.path(), 1)).unwrap();
        let count = |bytes: Vec<u8>| {
            segment::parse(bytes, 1, Path::new("")).map(|read| read.frames().count()).unwrap()
        };
        assert_eq!(count(bytes.clone()), 9);
        let frame = (bytes.len() - 20) / 9;
        for (place, length) in (20..bytes.len()).flat_map(|place| [1, 7, 64].map(|length| (place, length))) {
            let end = (place + length).min(bytes.len());
            let garbage = bytes[place..end].iter().map(|byte| !byte);
            let damaged = bytes[..place].iter().copied().chain(garbage).chain(bytes[end..].iter().copied());
            assert_eq!(count(damaged.collect()), (place - 20) / frame, "{place} {length}");
        }
    }
}
