//! Records into lines. Lines stand in sections: one begins with every file, and tells each frame and stack once,
//! before the window that first needs it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    data::{
        Kind, SectionData,
        agent::AgentData,
        host::HostData,
        names::{FrameData, NamesData, StackData},
        operation::{OperationData, SumData},
        process::ProcessData,
        window::WindowData,
    },
    line::Line,
};
use crate::model::{
    agent::{Agent, AgentEnd},
    host::HostWindow,
    id::AgentId,
    operation::{Operation, Sums},
    process::{Exit, Process},
    stack::{Frame, Stack},
    time::Timestamp,
    window::Window,
};

/// Makes the lines of one section after the other.
#[derive(Debug, Default)]
pub struct Encoder {
    section: String,
    frames: FxHashMap<Arc<Frame>, u64>,
    stacks: FxHashMap<Arc<Stack>, u64>,
    new_frames: Vec<FrameData>,
    new_stacks: Vec<StackData>,
}

impl Encoder {
    /// Begins a section of this name, which no other may have, at a time. What it writes, like every other call:
    /// lines behind those in `to`.
    pub fn begin(&mut self, section: String, at: Timestamp, to: &mut Vec<Line>) {
        *self = Self { section: section.clone(), ..Self::default() };
        let message = "a section begins".to_owned();
        let agentperf = env!("CARGO_PKG_VERSION").to_owned();
        let data = SectionData { v: Kind::Section.version(), section, agentperf };
        to.extend(Line::new(Kind::Section, (at, ""), message, data));
    }

    /// Stacks and frames that the section has told.
    pub(super) fn told(&self) -> usize {
        self.frames.len() + self.stacks.len()
    }

    /// An agent.
    pub fn agent(&mut self, agent: &Agent, to: &mut Vec<Line>) {
        let (at, what) = match agent.ended {
            None => (agent.attached, "is watched"),
            Some((at, AgentEnd::Exited)) => (at, "has exited"),
            Some((at, AgentEnd::Detached)) => (at, "was detached"),
            Some((at, AgentEnd::Expired)) => (at, "is watched no more: its time is over"),
            Some((at, AgentEnd::Interrupted)) => (at, "is watched no more: agentperf was interrupted"),
        };
        let message = format!("agent {} ({}) {what}", agent.id, agent.name);
        to.extend(Line::new(Kind::Agent, (at, agent.id.as_str()), message, AgentData::from(agent)));
    }

    /// A process of an agent that is watched since `watch`.
    pub fn process(&mut self, agent: &AgentId, watch: Timestamp, process: &Process, to: &mut Vec<Line>) {
        let (pid, comm) = (process.id.pid(), &process.comm);
        let at = process.ended.unwrap_or(process.started);
        let what = match (process.ended, process.exit) {
            (None, _) => "lives".to_owned(),
            (Some(_), None) => "has ended".to_owned(),
            (Some(_), Some(Exit::Code(code))) => format!("has ended with code {code}"),
            (Some(_), Some(Exit::Signal { number, .. })) => format!("was ended by signal {number}"),
        };
        let data = ProcessData::new(agent, watch, process);
        let message = format!("process {pid} ({comm}) {what}");
        to.extend(Line::new(Kind::Process, (at, agent.as_str()), message, data));
    }

    /// A window, after the names that it is the first to need.
    pub fn window(&mut self, window: Window, to: &mut Vec<Line>) {
        let (agent, at) = (window.agent.to_string(), window.end);
        let message = format!(
            "{} stacks of samples, {} kinds of waits, {} kinds of calls",
            window.cpu.len(),
            window.off_cpu.len(),
            window.syscalls.len()
        );
        let first = (self.frames.len() as u64, self.stacks.len() as u64);
        let numbered = window.map_stacks(|stack| self.number(stack));
        self.names(first, at, to);
        let data = WindowData::new(&self.section, numbered);
        to.extend(Line::new(Kind::Window, (at, &agent), message, data));
    }

    /// An operation.
    pub fn operation(&mut self, operation: &Operation, to: &mut Vec<Line>) {
        let agent = operation.agent.as_ref().map_or("", AgentId::as_str);
        let how = if operation.success { "took" } else { "failed after" };
        let (kind, name, ms) = (&operation.kind, &operation.name, operation.duration_ns / 1_000_000);
        let message = format!("{kind} {name} {how} {ms} ms");
        let data = OperationData::from(operation);
        to.extend(Line::new(Kind::Operation, (operation.end(), agent), message, data));
    }

    /// Operations that were added up, a line for each row.
    pub fn sums(&mut self, sums: &Sums, to: &mut Vec<Line>) {
        for (key, sum) in &sums.rows {
            let agent = key.agent.as_ref().map_or("", AgentId::as_str);
            let message = format!("{} times {} {}", sum.count, key.kind, key.name);
            let data = SumData::new((sums.start, sums.end), (key, sum));
            to.extend(Line::new(Kind::OperationSum, (sums.end, agent), message, data));
        }
    }

    /// A window of the host.
    pub fn host(&mut self, window: &HostWindow, to: &mut Vec<Line>) {
        let (cpu, load) = (window.all_cpus(), window.activity.load);
        let busy = 100.0 * cpu.busy() as f64 / cpu.all().max(1) as f64;
        let message = format!("the host: CPUs {busy:.0} % busy, load {:.2}", load[0]);
        to.extend(Line::new(Kind::Host, (window.end, ""), message, HostData::from(window)));
    }

    /// What got a number since the last call; `first` are the first new numbers.
    fn names(&mut self, (first_frame, first_stack): (u64, u64), at: Timestamp, to: &mut Vec<Line>) {
        let (frames, stacks) = (std::mem::take(&mut self.new_frames), std::mem::take(&mut self.new_stacks));
        if stacks.is_empty() {
            return;
        }
        let message = format!("{} new frames, {} new stacks", frames.len(), stacks.len());
        let (v, section) = (Kind::Names.version(), self.section.clone());
        let data = NamesData { v, section, first_frame, frames, first_stack, stacks };
        to.extend(Line::new(Kind::Names, (at, ""), message, data));
    }

    fn number(&mut self, stack: Arc<Stack>) -> u64 {
        if let Some(number) = self.stacks.get(&stack) {
            return *number;
        }
        let frames = stack.frames.iter().map(|frame| self.frame(frame)).collect();
        self.new_stacks.push(StackData { end: stack.end, frames });
        let number = self.stacks.len() as u64;
        self.stacks.insert(stack, number);
        number
    }

    fn frame(&mut self, frame: &Arc<Frame>) -> u64 {
        let next = self.frames.len() as u64;
        if let Some(number) = self.frames.get(frame) {
            return *number;
        }
        self.new_frames.push(FrameData::from(&**frame));
        self.frames.insert(Arc::clone(frame), next);
        next
    }
}
