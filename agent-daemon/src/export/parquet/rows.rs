//! Records into rows of the tables.

mod devices;
mod gpu;
mod host;
mod http;
mod operations;

use std::sync::Arc;

use ::parquet::errors::ParquetError;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{column::Cell, table::Tables, table_id::TableId};
use crate::model::{
    agent::{Agent, AgentEnd, AgentSource},
    errno_names::errno_name,
    id::{AgentId, PID_BITS, ProcessId},
    process::{Exit, Process},
    signal::Killer,
    stack::{Frame, Stack},
    syscall::SyscallStat,
    syscall_names::syscall_name,
    window::Window,
};

type Outcome = Result<(), ParquetError>;

/// Puts records into tables.
pub(super) struct Rows {
    tables: Tables,
    stacks: FxHashMap<Arc<Stack>, u64>,
}

impl Rows {
    pub(super) fn new(tables: Tables) -> Self {
        Self { tables, stacks: FxHashMap::default() }
    }

    pub(super) fn finish(self) -> Outcome {
        self.tables.finish()
    }

    pub(super) fn agent(&mut self, agent: &Agent) -> Outcome {
        let rule = match &agent.source {
            AgentSource::Rule(name) => Some(name.as_str()),
            AgentSource::Attach => None,
        };
        let probes: Vec<_> = agent.probes.iter().map(|probe| probe.name()).collect();
        self.tables.push(
            TableId::Agents,
            [
                agent.id.as_str().into(),
                agent.name.as_str().into(),
                agent.root.pid().into(),
                identity(agent.root).into(),
                agent.created.into(),
                agent.attached.into(),
                agent.expires.into(),
                agent.ended.map(|(at, _)| at).into(),
                agent.ended.map(|(_, why)| reason(why)).into(),
                rule.into(),
                probes.join(",").into(),
                agent.boot_id.as_str().into(),
            ],
        )
    }

    pub(super) fn process(&mut self, agent: &AgentId, process: &Process) -> Outcome {
        let (code, signal, core) = match process.exit {
            None => (None, None, false),
            Some(Exit::Code(code)) => (Some(u32::from(code)), None, false),
            Some(Exit::Signal { number, core_dumped }) => (None, Some(u32::from(number)), core_dumped),
        };
        let switches = process.resources.and_then(|resources| resources.context_switches);
        let killer = process.killer.as_ref().and_then(Killer::process);
        self.tables.push(
            TableId::Processes,
            [
                agent.as_str().into(),
                process.id.pid().into(),
                identity(process.id).into(),
                process.parent.map(identity).into(),
                process.parent_pid.into(),
                process.executable.as_deref().into(),
                process.comm.as_str().into(),
                // A list of texts always becomes JSON.
                serde_json::to_string(&process.args).unwrap_or_default().into(),
                process.started.into(),
                process.ended.into(),
                code.into(),
                signal.into(),
                core.into(),
                process.cpu_ns.into(),
                process.cpu_before_ns.into(),
                process.peak_rss_bytes.into(),
                process.resources.map(|resources| resources.rss_bytes).into(),
                process.resources.and_then(|resources| resources.pss_bytes).into(),
                process.resources.map(|resources| resources.threads).into(),
                process.resources.and_then(|resources| resources.descriptors).into(),
                switches.map(|switches| switches.voluntary).into(),
                switches.map(|switches| switches.involuntary).into(),
                process.killer.as_ref().map(Killer::name).into(),
                killer.map(|(pid, _)| pid).into(),
                killer.map(|(_, comm)| comm).into(),
            ],
        )
    }

    pub(super) fn window(&mut self, window: &Window) -> Outcome {
        self.sums(window)?;
        self.cpu(window)?;
        self.off_cpu(window)?;
        window.syscalls.iter().try_for_each(|row| self.syscall(window, row))?;
        self.cuda(window)?;
        self.files(window)?;
        self.devices(window)?;
        self.http(window)?;
        self.ledger(window)?;
        for (process, reason) in &window.unread {
            let [agent, start, end, pid, process] = place(window, *process);
            let row = [agent, start, end, pid, process, reason.as_str().into()];
            self.tables.push(TableId::InterpretersUnread, row)?;
        }
        Ok(())
    }

    fn cuda(&mut self, window: &Window) -> Outcome {
        for row in &window.cuda {
            let [agent, start, end, pid, process] = place(window, row.process);
            let sums = [row.calls, row.errors, row.bytes, row.total_ns, row.max_ns].map(Cell::from);
            let [calls, errors, bytes, total, max] = sums;
            let call = row.call.name().into();
            let cells = [agent, start, end, pid, process, call, calls, errors, bytes, total, max];
            self.tables.push(TableId::Cuda, cells)?;
        }
        Ok(())
    }

    fn files(&mut self, window: &Window) -> Outcome {
        for row in &window.files {
            let [agent, start, end, pid, process] = place(window, row.process);
            let whose = [agent, start, end, pid, process, (&*row.path).into()];
            self.tables.push_both(TableId::Files, whose, row.amounts().map(Cell::from))?;
        }
        Ok(())
    }

    fn ledger(&mut self, window: &Window) -> Outcome {
        let [agent, start, end] = [window.agent.as_str().into(), window.start.into(), window.end.into()];
        for (set, ns) in &window.ledger.sets {
            let [agent, start, end]: [Cell; 3] = [&agent, &start, &end].map(Cell::clone);
            let row = [agent, start, end, set.cause().name().into(), set.to_string().into(), (*ns).into()];
            self.tables.push(TableId::Ledger, row)?;
        }
        for (bit, ns) in &window.ledger.threads {
            let [agent, start, end]: [Cell; 3] = [&agent, &start, &end].map(Cell::clone);
            self.tables
                .push(TableId::ThreadTime, [agent, start, end, bit.to_string().into(), (*ns).into()])?;
        }
        Ok(())
    }

    fn sums(&mut self, window: &Window) -> Outcome {
        fn sum<T>(rows: &[T], number: fn(&T) -> u64) -> Cell {
            rows.iter().fold(0u64, |sum, row| sum.saturating_add(number(row))).into()
        }
        self.tables.push(
            TableId::Windows,
            [
                window.agent.as_str().into(),
                window.start.into(),
                window.end.into(),
                sum(&window.cpu, |row| row.samples),
                sum(&window.cpu, |row| row.cpu_ns),
                sum(&window.off_cpu, |row| row.blocked_ns),
                sum(&window.off_cpu, |row| row.run_queue_ns),
                sum(&window.off_cpu, |row| row.count),
                sum(&window.syscalls, |row| row.count),
                sum(&window.syscalls, |row| row.total_ns),
            ],
        )
    }

    fn cpu(&mut self, window: &Window) -> Outcome {
        for row in &window.cpu {
            let [agent, start, end, pid, process] = place(window, row.process);
            let stack = self.stack(&row.stack)?.into();
            let row = [agent, start, end, pid, process, stack, row.samples.into(), row.cpu_ns.into()];
            self.tables.push(TableId::Cpu, row)?;
        }
        Ok(())
    }

    fn off_cpu(&mut self, window: &Window) -> Outcome {
        for row in &window.off_cpu {
            let [agent, start, end, pid, process] = place(window, row.process);
            let cells = [
                agent,
                start,
                end,
                pid,
                process,
                row.cause.name().into(),
                row.syscall.into(),
                row.syscall.and_then(syscall_name).into(),
                row.descriptor.map(name).into(),
                row.waker.into(),
                self.stack(&row.stack)?.into(),
                row.blocked_ns.into(),
                row.run_queue_ns.into(),
                row.count.into(),
                row.max_ns.into(),
            ];
            self.tables.push(TableId::OffCpu, cells)?;
        }
        Ok(())
    }

    fn syscall(&mut self, window: &Window, row: &SyscallStat) -> Outcome {
        let [agent, start, end, pid, process] = place(window, row.process);
        let number = Cell::from(row.number);
        let key = [agent, start, end, pid, process, number];
        let errors = row.errors.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        let [a, b, c, d, e, f] = key.clone();
        let call = syscall_name(row.number).into();
        let sums = [row.count, errors, row.total_ns, row.max_ns].map(Cell::from);
        let [count, errors, total, max] = sums;
        self.tables.push(TableId::Syscalls, [a, b, c, d, e, f, call, count, errors, total, max])?;
        for (errno, count) in &row.errors {
            let [a, b, c, d, e, f] = key.clone();
            let row = [a, b, c, d, e, f, (*errno).into(), errno_name(*errno).into(), (*count).into()];
            self.tables.push(TableId::SyscallErrors, row)?;
        }
        for (log2, count) in row.histogram.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let [a, b, c, d, e, f] = key.clone();
            let row = [a, b, c, d, e, f, (log2 as u64).into(), (*count).into()];
            self.tables.push(TableId::SyscallLatencies, row)?;
        }
        Ok(())
    }

    /// The stack's number; its frames are written when it gets one.
    fn stack(&mut self, stack: &Arc<Stack>) -> Result<u64, ParquetError> {
        if let Some(number) = self.stacks.get(stack) {
            return Ok(*number);
        }
        let number = self.stacks.len() as u64;
        let row = [number.into(), name(stack.end).into(), (stack.frames.len() as u64).into()];
        self.tables.push(TableId::Stacks, row)?;
        for (position, frame) in (0u64..).zip(&stack.frames) {
            self.frame(number, position, frame)?;
        }
        self.stacks.insert(Arc::clone(stack), number);
        Ok(number)
    }

    fn frame(&mut self, stack: u64, position: u64, frame: &Frame) -> Outcome {
        let binary = frame.binary.as_deref();
        self.tables.push(
            TableId::Frames,
            [
                stack.into(),
                position.into(),
                name(frame.kind).into(),
                frame.function.as_str().into(),
                frame.file.as_deref().into(),
                frame.line.into(),
                binary.map(|b| b.path.as_str()).into(),
                binary.and_then(|b| b.build_id.as_deref()).into(),
                // All 64 bits, as the column says.
                Cell::Int(frame.address.cast_signed()),
            ],
        )
    }
}

/// What every row of a process in a window begins with.
fn place(window: &Window, process: ProcessId) -> [Cell; 5] {
    [
        window.agent.as_str().into(),
        window.start.into(),
        window.end.into(),
        process.pid().into(),
        identity(process).into(),
    ]
}

/// A process's identity, as the journal writes it.
fn identity(process: ProcessId) -> String {
    format!("{}-{}", process.pid(), process.0 >> PID_BITS)
}

fn reason(why: AgentEnd) -> &'static str {
    match why {
        AgentEnd::Exited => "exited",
        AgentEnd::Detached => "detached",
        AgentEnd::Expired => "expired",
        AgentEnd::Interrupted => "interrupted",
    }
}

/// The name that the API has for it, too.
fn name(value: impl Serialize) -> Option<String> {
    let json = serde_json::to_value(value).ok()?;
    json.as_str().map(str::to_owned)
}
