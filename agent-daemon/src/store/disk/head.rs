//! What is not sealed yet, in memory: a part for every segment, the last of them still growing.
//!
//! Windows are kept as bytes, a tenth of what they would take otherwise, and made whole for each reader. Readers copy
//! handles and let go: they hold the writer up for no longer than that.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use super::codec::{CodecError, block, bytes::nanoseconds};
use crate::{
    model::{
        agent::Agent,
        id::{AgentId, ProcessId},
        process::Process,
        stack::Stack,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    store::summary::Summary,
};

/// About what a summary takes, bytes; its functions' names are the stacks'.
const SUMMARY: usize = 900;

/// A window as bytes; its stacks are the part's.
#[derive(Clone, Debug)]
pub(super) struct HeadWindow {
    pub(super) agent: AgentId,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) block: Arc<[u8]>,
    /// What it comes to, so that answers which need no more need not make it whole.
    pub(super) summary: Arc<Summary>,
}

/// What is nobody's, as bytes: operations, or a window of the host.
#[derive(Clone, Debug)]
pub(super) struct HeadBlock {
    /// When the first thing in it begins, nanoseconds.
    pub(super) first: i64,
    /// A moment after the last, nanoseconds.
    pub(super) last: i64,
    /// How much there is.
    pub(super) count: u64,
    pub(super) block: Arc<[u8]>,
}

/// Blocks of one kind, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadBlocks(Vec<HeadBlock>);

impl HeadBlocks {
    /// Every block.
    pub(super) fn all(&self) -> &[HeadBlock] {
        &self.0
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|item| item.block.len()).sum()
    }

    /// Handles of those that may lie in the range.
    pub(super) fn within(&self, range: TimeRange) -> Vec<Arc<[u8]>> {
        let (from, to) = (nanoseconds(range.from), nanoseconds(range.to));
        let wanted = self.0.iter().filter(|item| item.last > from && item.first < to);
        wanted.map(|item| Arc::clone(&item.block)).collect()
    }
}

/// What one segment holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// The segment's number.
    pub(super) number: u64,
    /// By their numbers in the segment.
    pub(super) stacks: Arc<Vec<Arc<Stack>>>,
    pub(super) windows: VecDeque<HeadWindow>,
    pub(super) operations: HeadBlocks,
    /// Windows of the host.
    pub(super) host: HeadBlocks,
    /// New and changed processes.
    pub(super) processes: FxHashMap<(AgentId, ProcessId), Arc<Process>>,
    /// New and changed agents.
    pub(super) agents: FxHashMap<AgentId, Agent>,
    /// Agents that are watched anew: when the watch before ended, and with it each process known from before this
    /// part that was not seen to end.
    pub(super) rewatched: FxHashMap<AgentId, Timestamp>,
    /// Agents there was no more room for.
    pub(super) forgotten: Vec<AgentId>,
    /// About the memory it takes.
    pub(super) bytes: usize,
}

impl Part {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty()
            && self.operations.all().is_empty()
            && self.host.all().is_empty()
            && self.processes.is_empty()
            && self.agents.is_empty()
            && self.forgotten.is_empty()
    }

    pub(super) fn put_process(&mut self, agent: &AgentId, process: Process) {
        let bytes = 200 + process.args.iter().map(|arg| arg.len() + 24).sum::<usize>();
        if self.processes.insert((agent.clone(), process.id), Arc::new(process)).is_none() {
            self.bytes += bytes;
        }
    }

    /// Takes a newer version of the agent, of which `before` was known.
    pub(super) fn put_agent(&mut self, agent: Agent, before: Option<&Agent>) {
        let again = before.filter(|before| before.attached != agent.attached).and_then(|before| before.ended);
        if let Some((end, _)) = again {
            let own = self.processes.iter_mut().filter(|((of, _), p)| *of == agent.id && p.ended.is_none());
            own.for_each(|(_, process)| Arc::make_mut(process).ended = Some(end));
            self.rewatched.entry(agent.id.clone()).or_insert(end);
        }
        if self.agents.insert(agent.id.clone(), agent).is_none() {
            self.bytes += 400;
        }
    }

    /// Forgets everything of an agent.
    pub(super) fn forget(&mut self, agent: &AgentId) {
        self.windows.retain(|w| w.agent != *agent);
        self.processes.retain(|(of, _), _| of != agent);
        self.agents.remove(agent);
        self.rewatched.remove(agent);
    }

    pub(super) fn push_window(&mut self, window: HeadWindow) {
        self.bytes += cost(&window);
        self.windows.push_back(window);
    }

    pub(super) fn push_operations(&mut self, item: HeadBlock) {
        self.bytes += item.block.len() + 80;
        self.operations.0.push(item);
    }

    pub(super) fn push_host(&mut self, item: HeadBlock) {
        self.bytes += item.block.len() + 80;
        self.host.0.push(item);
    }

    /// Drops the window that came first; whether there was one.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some(window) = self.windows.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(cost(&window));
        true
    }

    /// The part's windows of an agent in a range.
    pub(super) fn view(&self, agent: &AgentId, range: TimeRange) -> View {
        let wanted = |w: &&HeadWindow| w.agent == *agent && range.overlaps(w.start, w.end);
        View {
            number: self.number,
            stacks: Arc::clone(&self.stacks),
            windows: self.windows.iter().filter(wanted).cloned().collect(),
        }
    }
}

/// What a window counts for: its bytes, what it comes to, and what holds them.
fn cost(window: &HeadWindow) -> usize {
    window.block.len() + SUMMARY + 160
}

/// Some windows of a part.
#[derive(Debug)]
pub(super) struct View {
    /// The part's number.
    pub(super) number: u64,
    stacks: Arc<Vec<Arc<Stack>>>,
    windows: Vec<HeadWindow>,
}

impl View {
    /// Shows each window, made whole.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Window)) -> Result<(), CodecError> {
        for window in self.windows.iter().map(|w| whole(&w.agent, &w.block, &self.stacks)) {
            visit(&window?);
        }
        Ok(())
    }
}

/// The window of these bytes.
fn whole(agent: &AgentId, block: &[u8], stacks: &[Arc<Stack>]) -> Result<Window, CodecError> {
    let (whole, dangling) = named(agent, block, stacks)?;
    if dangling { Err(CodecError::Range("a stack's number")) } else { Ok(whole) }
}

/// The window of these bytes, and whether it lacks some of its stacks.
pub(super) fn named(
    agent: &AgentId,
    block: &[u8],
    stacks: &[Arc<Stack>],
) -> Result<(Window, bool), CodecError> {
    let numbered = block::decode(block, agent)?.into_iter().next().ok_or(CodecError::Short)?;
    let mut dangling = false;
    let whole = numbered.map_stacks(|number| {
        let stack = usize::try_from(number).ok().and_then(|n| stacks.get(n)).cloned();
        dangling |= stack.is_none();
        stack.unwrap_or_else(super::stacks::lost)
    });
    Ok((whole, dangling))
}
