//! Ids of traces and spans, made of what they are about: whoever tells of the same agent or process tells the same id,
//! also after a restart.

use crate::model::{agent::Agent, hash, id::ProcessId, operation::Operation};

/// The trace of an agent: one for its lifetime.
pub(super) fn trace(agent: &Agent) -> Vec<u8> {
    let parts = [agent.boot_id.as_bytes(), agent.id.as_str().as_bytes()];
    [hash(1, &parts).to_be_bytes(), hash(2, &parts).to_be_bytes()].concat()
}

/// The span of an agent, which is another one each time that it is watched.
pub(super) fn agent_span(agent: &Agent) -> Vec<u8> {
    let since = agent.attached.as_millisecond().to_be_bytes();
    hash(3, &[agent.boot_id.as_bytes(), agent.id.as_str().as_bytes(), &since]).to_be_bytes().to_vec()
}

/// The span of a process of an agent.
pub(super) fn process_span(agent: &Agent, process: ProcessId) -> Vec<u8> {
    let since = agent.attached.as_millisecond().to_be_bytes();
    hash(4, &[agent.boot_id.as_bytes(), &since, &process.0.to_be_bytes()]).to_be_bytes().to_vec()
}

/// The span of an operation that an agent's process sent.
pub(super) fn operation_span(agent: &Agent, operation: &Operation) -> Vec<u8> {
    let start = operation.start.as_nanosecond().to_be_bytes();
    let id = operation.id.to_be_bytes();
    hash(5, &[agent.boot_id.as_bytes(), agent.id.as_str().as_bytes(), &id, &start]).to_be_bytes().to_vec()
}

/// The span of a turn of an agent, by the first that was done in it.
pub(super) fn turn_span(agent: &Agent, first: &Operation) -> Vec<u8> {
    let (start, id) = (first.start.as_nanosecond().to_be_bytes(), first.id.to_be_bytes());
    hash(6, &[agent.boot_id.as_bytes(), agent.id.as_str().as_bytes(), &id, &start]).to_be_bytes().to_vec()
}

/// A hash of some parts; never 0, which is no id.
fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().copied().chain([0xff]));
    hash::spread(hash::fnv1a(hash::FNV_START ^ seed, bytes)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{agent_at, at, numbered_agent, process_id};

    #[test]
    fn an_id_stays_and_is_nobody_elses() {
        let agent = agent_at(at(0));
        // As it was when it was chosen: a change would tear traces apart that span an update.
        let hex: String = trace(&agent).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        let mut again = agent.clone();
        again.attached = at(60);
        assert_eq!(trace(&agent), trace(&again), "one trace for its lifetime");
        assert_ne!(agent_span(&agent), agent_span(&again));
        assert_ne!(trace(&agent), trace(&numbered_agent(101, at(0))));
        assert_ne!(process_span(&agent, process_id(1)), process_span(&agent, process_id(2)));
        let mut elsewhere = agent.clone();
        elsewhere.boot_id = "1".repeat(36);
        assert_ne!(trace(&agent), trace(&elsewhere), "another host may have the same pid at the same time");
    }

    const GOLDEN: &str = "95b7b6115e3073e3fa3f11d44f37f2eb";
}
