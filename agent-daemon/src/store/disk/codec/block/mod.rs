//! Some windows of one agent as bytes, column by column: what is alike stands together, for the compressor.
//!
//! Processes and stacks stand once, sorted, and rows refer to their places. A number that is mostly told by another
//! is written as the difference: calls by the latencies counted, the longest by the sum, CPU time by the samples.
//! Differences wrap, so that whatever the numbers are, they come back.

mod columns;
mod cpu;
mod cuda;
mod disk;
mod files;
mod http;
mod latencies;
mod ledger;
mod network;
mod off_cpu;
mod syscalls;

use columns::{Places, at, decode_places};
pub(in crate::store::disk) use off_cpu::{cause_of, cause_tag};

use super::{
    CodecError,
    bytes::{Decoder, Encoder, nanoseconds, time_of},
};
use crate::model::{
    id::{AgentId, ProcessId},
    off_cpu::OffCpuStat,
    syscall::SyscallStat,
    window::{CpuStat, Window},
};

/// Since 2 with ledgers, since 3 with calls of CUDA, since 4 with files, traffic and block I/O, since 5 with exchanges over
/// HTTP.
const VERSION: u8 = 5;
/// Windows had no ledgers.
const WITHOUT_LEDGERS: u8 = 1;
/// Windows had no calls of CUDA.
const WITHOUT_CUDA: u8 = 2;
/// Windows had neither files nor traffic and block I/O.
const WITHOUT_FILES: u8 = 3;
/// Windows had no exchanges over HTTP.
const WITHOUT_HTTP: u8 = 4;

/// A window whose stacks are numbers.
pub(in crate::store::disk) type Numbered = Window<u64>;

/// The windows' bytes. The rows of a window come back sorted.
pub(in crate::store::disk) fn encode(windows: &[Numbered]) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    let rows = Rows::of(windows);
    let processes = Places::of(rows.processes(windows));
    let stacks = Places::of(rows.stacks());
    to.varint(windows.len() as u64);
    let mut before = 0;
    for start in windows.iter().map(|w| nanoseconds(w.start)) {
        to.signed(start.wrapping_sub(before));
        before = start;
    }
    for window in windows {
        to.signed(nanoseconds(window.end).wrapping_sub(nanoseconds(window.start)));
    }
    processes.encode(&mut to);
    stacks.encode(&mut to);
    for window in windows {
        to.varint(window.unread.len() as u64);
        for (process, reason) in &window.unread {
            to.varint(processes.place(process.0));
            to.text(reason);
        }
    }
    windows.iter().for_each(|w| to.varint(w.syscalls.len() as u64));
    windows.iter().for_each(|w| to.varint(w.off_cpu.len() as u64));
    windows.iter().for_each(|w| to.varint(w.cpu.len() as u64));
    syscalls::encode(&mut to, &rows.syscalls, &processes);
    off_cpu::encode(&mut to, &rows.off_cpu, &processes, &stacks);
    cpu::encode(&mut to, &rows.cpu, &processes, &stacks);
    ledger::encode(&mut to, windows);
    cuda::encode(&mut to, windows);
    files::encode(&mut to, windows);
    network::encode(&mut to, windows);
    disk::encode(&mut to, windows);
    http::encode(&mut to, windows);
    to.finish()
}

/// The windows of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8], agent: &AgentId) -> Result<Vec<Numbered>, CodecError> {
    let (mut from, version) = Decoder::versioned(bytes, VERSION)?;
    let count = from.count()?;
    let mut windows = decode_spans(&mut from, count, agent)?;
    let processes = decode_places(&mut from)?;
    let stacks = decode_places(&mut from)?;
    for window in &mut windows {
        for _ in 0..from.count()? {
            let process = ProcessId(at(&processes, from.varint()?)?);
            window.unread.push((process, from.text()?.to_owned()));
        }
    }
    let mut lengths = || (0..count).map(|_| from.count()).collect::<Result<Vec<_>, _>>();
    let [of_syscalls, of_off_cpu, of_cpu] = [lengths()?, lengths()?, lengths()?];
    let mut rows = syscalls::decode(&mut from, total(&of_syscalls)?, &processes)?.into_iter();
    for (window, length) in windows.iter_mut().zip(of_syscalls) {
        window.syscalls = rows.by_ref().take(length).collect();
    }
    let mut rows = off_cpu::decode(&mut from, total(&of_off_cpu)?, &processes, &stacks)?.into_iter();
    for (window, length) in windows.iter_mut().zip(of_off_cpu) {
        window.off_cpu = rows.by_ref().take(length).collect();
    }
    let mut rows = cpu::decode(&mut from, total(&of_cpu)?, &processes, &stacks)?.into_iter();
    for (window, length) in windows.iter_mut().zip(of_cpu) {
        window.cpu = rows.by_ref().take(length).collect();
    }
    if version > WITHOUT_LEDGERS {
        ledger::decode(&mut from, &mut windows)?;
    }
    if version > WITHOUT_CUDA {
        cuda::decode(&mut from, &mut windows)?;
    }
    if version > WITHOUT_FILES {
        files::decode(&mut from, &mut windows)?;
        network::decode(&mut from, &mut windows)?;
        disk::decode(&mut from, &mut windows)?;
    }
    if version > WITHOUT_HTTP {
        http::decode(&mut from, &mut windows)?;
    }
    from.end().map(|()| windows)
}

/// The rows of all windows, sorted within each.
struct Rows<'a> {
    syscalls: Vec<&'a SyscallStat>,
    off_cpu: Vec<&'a OffCpuStat<u64>>,
    cpu: Vec<&'a CpuStat<u64>>,
}

impl<'a> Rows<'a> {
    fn of(windows: &'a [Numbered]) -> Self {
        let (mut syscalls, mut off_cpu, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for window in windows {
            extend_sorted(&mut syscalls, &window.syscalls, |r| (r.process, r.number));
            extend_sorted(&mut off_cpu, &window.off_cpu, |r| {
                (r.process, r.stack, r.cause, r.syscall, r.descriptor, r.waker)
            });
            extend_sorted(&mut cpu, &window.cpu, |r| (r.process, r.stack));
        }
        Self { syscalls, off_cpu, cpu }
    }

    fn processes(&self, windows: &[Numbered]) -> Vec<u64> {
        let syscalls = self.syscalls.iter().map(|r| r.process);
        let off_cpu = self.off_cpu.iter().map(|r| r.process);
        let unread = windows.iter().flat_map(|w| &w.unread).map(|(process, _)| *process);
        syscalls.chain(off_cpu).chain(self.cpu.iter().map(|r| r.process)).chain(unread).map(|p| p.0).collect()
    }

    fn stacks(&self) -> Vec<u64> {
        self.off_cpu.iter().map(|r| r.stack).chain(self.cpu.iter().map(|r| r.stack)).collect()
    }
}

fn extend_sorted<'a, R, K: Ord>(all: &mut Vec<&'a R>, rows: &'a [R], key: impl Fn(&R) -> K) {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    all.extend(rows);
}

fn decode_spans(from: &mut Decoder<'_>, count: usize, agent: &AgentId) -> Result<Vec<Numbered>, CodecError> {
    let mut before = 0_i64;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        before = before.wrapping_add(from.signed()?);
        starts.push(before);
    }
    let window = |start: i64| {
        let (start, end) = (time_of(start), time_of(start.wrapping_add(from.signed()?)));
        let agent = agent.clone();
        let (syscalls, off_cpu, cpu, cuda) = Default::default();
        let (files, network, disk, http, ledger, unread) = Default::default();
        Ok(Window {
            agent,
            start,
            end,
            syscalls,
            off_cpu,
            cpu,
            cuda,
            files,
            network,
            disk,
            http,
            ledger,
            unread,
        })
    };
    starts.into_iter().map(window).collect()
}

fn total(lengths: &[usize]) -> Result<usize, CodecError> {
    lengths.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n)).ok_or(CodecError::Short)
}

#[cfg(test)]
mod tests;
