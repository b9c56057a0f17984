//! Tells the kernel programs what processes turned out to be: helpers, which are found here by what their threads do, the
//! agent itself, and what tools left behind, which whoever knows the processes finds.
//!
//! Limit: between a process's exec and its verdict, some milliseconds, it counts as a tool.

use agent_common::ledger::{ToolThread, verdict};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use rustc_hash::FxHashMap;

use super::{batch, error::KernelError, iterate};
use crate::model::{
    id::{ProcessId, Slot},
    ledger::{Bit, Role, ThreadState, Verdict},
};

/// Verdicts that are told at once; the map has room for twice as many.
const MAX_VERDICTS: usize = 512;

/// Looks for tools of the agent in `slot` that are helpers by now, and has the kernel programs count them for such: at
/// this moment the agent has asked its model, so what merely waits for input is not what it waits for.
pub(super) fn find_helpers(ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
    tools_of(ebpf)?.set(0, slot.0, 0)?;
    let seen = iterate::run(ebpf, "tool_threads")?;
    let threads = seen.chunks_exact(size_of::<ToolThread>()).map(batch::read::<ToolThread>);
    let helpers = helpers(threads);
    carry_out(ebpf, helpers.into_iter().map(|process| (process, verdict::HELPER)))
}

/// Has the kernel programs count processes for what they turned out to be.
pub(super) fn tell(ebpf: &mut Ebpf, found: &[(ProcessId, Verdict)]) -> Result<(), KernelError> {
    let number = |verdict: &Verdict| match verdict {
        Verdict::Own => verdict::OWN,
        Verdict::Left => verdict::LEFT,
        Verdict::Launcher => verdict::LAUNCHER,
    };
    found.chunks(MAX_VERDICTS).try_for_each(|found| {
        carry_out(ebpf, found.iter().map(|(process, verdict)| (process.0, number(verdict))))
    })
}

fn carry_out(ebpf: &mut Ebpf, verdicts: impl Iterator<Item = (u64, u32)>) -> Result<(), KernelError> {
    let verdicts: Vec<_> = verdicts.collect();
    if verdicts.is_empty() {
        return Ok(());
    }
    let told = insert(ebpf, &verdicts).and_then(|()| iterate::run(ebpf, "carry_out_verdicts").map(drop));
    let mut map = verdicts_map(ebpf)?;
    for (process, _) in &verdicts {
        match map.remove(process) {
            // Where an insertion failed, what came after it is not there.
            Ok(()) | Err(MapError::SyscallError(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    told
}

fn insert(ebpf: &mut Ebpf, verdicts: &[(u64, u32)]) -> Result<(), KernelError> {
    let mut map = verdicts_map(ebpf)?;
    verdicts.iter().try_for_each(|(process, verdict)| Ok(map.insert(process, verdict, 0)?))
}

/// What the threads of one process do.
#[derive(Default)]
struct Seen {
    parent: u64,
    /// Some thread waits for input.
    waits: bool,
    /// Some thread waits for a child.
    waits_for_child: bool,
    /// Some thread does something else.
    is_busy: bool,
}

/// The processes of which some thread waits for input, and no thread does anything else; and those that merely wait for
/// such ones, as the shell does that a background job was started in.
fn helpers(threads: impl Iterator<Item = ToolThread>) -> Vec<u64> {
    let mut processes: FxHashMap<u64, Seen> = FxHashMap::default();
    for thread in threads {
        let seen = processes.entry(thread.process).or_default();
        seen.parent = thread.parent;
        let state = u8::try_from(thread.counted).ok().and_then(Bit::new).and_then(Bit::thread);
        match state {
            Some((
                Role::Tool,
                ThreadState::Ipc | ThreadState::Poll | ThreadState::Terminal | ThreadState::Outside,
            )) => seen.waits = true,
            Some((Role::Tool, ThreadState::Child)) => seen.waits_for_child = true,
            Some((Role::Tool, ThreadState::Futex)) => {}
            _ => seen.is_busy = true,
        }
    }
    let mut children: FxHashMap<u64, usize> = FxHashMap::default();
    for seen in processes.values() {
        *children.entry(seen.parent).or_default() += 1;
    }
    // Each process once, when the last of the children that it waits for is known to be one.
    let merely_waits = |seen: &Seen| seen.waits && !seen.waits_for_child && !seen.is_busy;
    let leaves = processes.iter().filter(|(_, seen)| merely_waits(seen));
    let mut helpers: Vec<u64> = leaves.map(|(process, _)| *process).take(MAX_VERDICTS).collect();
    let mut next = 0;
    while let Some(seen) = helpers.get(next).and_then(|helper| processes.get(helper)) {
        next += 1;
        let Some(left) = children.get_mut(&seen.parent) else { continue };
        *left -= 1;
        let parent = processes.get(&seen.parent).filter(|parent| parent.waits_for_child && !parent.is_busy);
        if parent.is_some() && *left == 0 && helpers.len() < MAX_VERDICTS {
            helpers.push(seen.parent);
        }
    }
    helpers
}

fn tools_of(ebpf: &mut Ebpf) -> Result<Array<&mut MapData, u32>, KernelError> {
    Ok(Array::try_from(ebpf.map_mut("TOOLS_OF").ok_or(KernelError::NoMap("TOOLS_OF"))?)?)
}

fn verdicts_map(ebpf: &mut Ebpf) -> Result<HashMap<&mut MapData, u64, u32>, KernelError> {
    Ok(HashMap::try_from(ebpf.map_mut("VERDICTS").ok_or(KernelError::NoMap("VERDICTS"))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(process: u64, parent: u64, state: ThreadState) -> ToolThread {
        ToolThread { process, parent, agent: 1, counted: u32::from(Bit::of(Role::Tool, state).number()) }
    }

    fn found(threads: &[ToolThread]) -> Vec<u64> {
        let mut found = helpers(threads.iter().copied());
        found.sort_unstable();
        found
    }

    #[test]
    fn a_helper_waits_with_all_its_threads() {
        let threads = [
            thread(1, 9, ThreadState::Ipc),
            thread(1, 9, ThreadState::Futex),
            thread(2, 9, ThreadState::Poll),
            thread(2, 9, ThreadState::Cpu),
            thread(3, 9, ThreadState::Futex),
            thread(4, 9, ThreadState::Timer),
        ];
        assert_eq!(found(&threads), [1]);
    }

    #[test]
    fn whoever_waits_for_helpers_alone_is_one() {
        // `npm run dev` in the background: npm waits for a shell, and that for the server.
        let server =
            |state| [thread(1, 9, ThreadState::Poll), thread(2, 1, ThreadState::Child), thread(3, 2, state)];
        assert_eq!(found(&server(ThreadState::Poll)), [1, 2, 3]);
        assert_eq!(found(&server(ThreadState::Cpu)), [1], "it compiles, and its shell waits for that");
        assert_eq!(found(&[thread(2, 9, ThreadState::Child)]), [0u64; 0], "its child is not to be seen");
    }
}
