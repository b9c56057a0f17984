//! Some windows of one agent as bytes, column by column: what is alike stands together, for the compressor.
//!
//! Processes and stacks stand once, sorted, and rows refer to their places. A number that is mostly told by another
//! is written as the difference: calls by the latencies counted, the longest by the sum, CPU time by the samples.
//! Differences wrap, so that whatever the numbers are, they come back.

use rustc_hash::FxHashMap;

use super::{
    CodecError,
    bytes::{Decoder, Encoder, nanoseconds, time_of},
};
use crate::model::{
    id::{AgentId, ProcessId},
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    syscall::{Histogram, SyscallStat},
    window::{CpuStat, Window},
};

const VERSION: u8 = 1;

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
    encode_syscalls(&mut to, &rows.syscalls, &processes);
    encode_off_cpu(&mut to, &rows.off_cpu, &processes, &stacks);
    encode_cpu(&mut to, &rows.cpu, &processes, &stacks);
    to.finish()
}

/// The windows of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8], agent: &AgentId) -> Result<Vec<Numbered>, CodecError> {
    let mut from = Decoder::new(bytes, VERSION)?;
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
    let (syscalls, off_cpu, cpu) = (lengths()?, lengths()?, lengths()?);
    let mut rows = decode_syscalls(&mut from, total(&syscalls)?, &processes)?.into_iter();
    for (window, length) in windows.iter_mut().zip(syscalls) {
        window.syscalls = rows.by_ref().take(length).collect();
    }
    let mut rows = decode_off_cpu(&mut from, total(&off_cpu)?, &processes, &stacks)?.into_iter();
    for (window, length) in windows.iter_mut().zip(off_cpu) {
        window.off_cpu = rows.by_ref().take(length).collect();
    }
    let mut rows = decode_cpu(&mut from, total(&cpu)?, &processes, &stacks)?.into_iter();
    for (window, length) in windows.iter_mut().zip(cpu) {
        window.cpu = rows.by_ref().take(length).collect();
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

/// Numbers that rows refer to by place.
struct Places {
    numbers: Vec<u64>,
    places: FxHashMap<u64, u64>,
}

impl Places {
    fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        let places = numbers.iter().copied().zip(0..).collect();
        Self { numbers, places }
    }

    fn place(&self, number: u64) -> u64 {
        self.places.get(&number).copied().unwrap_or_default()
    }

    fn encode(&self, to: &mut Encoder) {
        to.varint(self.numbers.len() as u64);
        let mut before = 0;
        for number in &self.numbers {
            to.varint(number.wrapping_sub(before));
            before = *number;
        }
    }
}

fn decode_places(from: &mut Decoder<'_>) -> Result<Vec<u64>, CodecError> {
    let count = from.count()?;
    let mut number = 0_u64;
    let next = |_| {
        number = number.wrapping_add(from.varint()?);
        Ok(number)
    };
    (0..count).map(next).collect()
}

fn at(numbers: &[u64], place: u64) -> Result<u64, CodecError> {
    let number = usize::try_from(place).ok().and_then(|place| numbers.get(place));
    number.copied().ok_or(CodecError::Range("a place"))
}

fn decode_spans(from: &mut Decoder<'_>, count: usize, agent: &AgentId) -> Result<Vec<Numbered>, CodecError> {
    let mut before = 0_i64;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        before = before.wrapping_add(from.signed()?);
        starts.push(before);
    }
    let window = |start: i64| {
        let (syscalls, off_cpu, cpu, unread) = Default::default();
        let (start, end) = (time_of(start), time_of(start.wrapping_add(from.signed()?)));
        Ok(Window { agent: agent.clone(), start, end, syscalls, off_cpu, cpu, unread })
    };
    starts.into_iter().map(window).collect()
}

fn total(lengths: &[usize]) -> Result<usize, CodecError> {
    lengths.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n)).ok_or(CodecError::Short)
}

/// One number of every row.
fn column<R>(to: &mut Encoder, rows: &[&R], number: impl Fn(&R) -> u64) {
    rows.iter().for_each(|row| to.varint(number(row)));
}

/// What `number` is more, or less, than `guess`; small in either direction.
fn beside(number: u64, guess: u64) -> u64 {
    let difference = number.wrapping_sub(guess) as i64;
    (difference as u64) << 1 ^ (difference >> 63) as u64
}

/// The number of which this is [`beside`] `guess`.
fn from_beside(difference: u64, guess: u64) -> u64 {
    guess.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

fn read_column(from: &mut Decoder<'_>, rows: usize) -> Result<std::vec::IntoIter<u64>, CodecError> {
    // Each row takes a byte at least: a count that is damaged does not take memory.
    if rows > from.remaining() {
        return Err(CodecError::Short);
    }
    let column = (0..rows).map(|_| from.varint()).collect::<Result<Vec<_>, _>>()?;
    Ok(column.into_iter())
}

fn next(column: &mut std::vec::IntoIter<u64>) -> Result<u64, CodecError> {
    column.next().ok_or(CodecError::Short)
}

fn next_u32(column: &mut std::vec::IntoIter<u64>) -> Result<u32, CodecError> {
    u32::try_from(next(column)?).map_err(|_| CodecError::Range("a number"))
}

/// The buckets of a histogram between the first and the last that count anything.
fn counted(histogram: &Histogram) -> (usize, &[u64]) {
    let first = histogram.0.iter().position(|n| *n > 0).unwrap_or(0);
    let end = histogram.0.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
    (first, histogram.0.get(first..end).unwrap_or_default())
}

fn timed(histogram: &Histogram) -> u64 {
    histogram.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
}

fn encode_syscalls(to: &mut Encoder, rows: &[&SyscallStat], processes: &Places) {
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| u64::from(r.number));
    column(to, rows, |r| beside(r.count, timed(&r.histogram)));
    column(to, rows, |r| r.total_ns);
    column(to, rows, |r| beside(r.total_ns, r.max_ns));
    column(to, rows, |r| r.errors.len() as u64);
    for (errno, count) in rows.iter().flat_map(|r| &r.errors) {
        to.varint(u64::from(*errno));
        to.varint(*count);
    }
    column(to, rows, |r| counted(&r.histogram).0 as u64);
    column(to, rows, |r| counted(&r.histogram).1.len() as u64);
    for count in rows.iter().flat_map(|r| counted(&r.histogram).1) {
        to.varint(*count);
    }
}

fn decode_syscalls(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
) -> Result<Vec<SyscallStat>, CodecError> {
    let mut columns = [(); 6].map(|()| Vec::new().into_iter());
    for column in &mut columns {
        *column = read_column(from, rows)?;
    }
    let [mut process, mut number, mut count, mut total, mut max, mut errors] = columns;
    let mut stats = Vec::with_capacity(rows);
    for _ in 0..rows {
        let (total_ns, errors) = (next(&mut total)?, next(&mut errors)?);
        stats.push(SyscallStat {
            process: ProcessId(at(processes, next(&mut process)?)?),
            number: next_u32(&mut number)?,
            count: next(&mut count)?,
            errors: decode_errors(from, errors)?,
            total_ns,
            max_ns: total_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            histogram: Histogram::default(),
        });
    }
    let (mut first, mut length) = (read_column(from, rows)?, read_column(from, rows)?);
    for stat in &mut stats {
        let (first, length) = (next(&mut first)?, next(&mut length)?);
        let end = first.checked_add(length).and_then(|end| usize::try_from(end).ok());
        let buckets = usize::try_from(first)
            .ok()
            .zip(end)
            .and_then(|(first, end)| stat.histogram.0.get_mut(first..end));
        for bucket in buckets.ok_or(CodecError::Range("a bucket"))? {
            *bucket = from.varint()?;
        }
        stat.count = from_beside(stat.count, timed(&stat.histogram));
    }
    Ok(stats)
}

fn decode_errors(from: &mut Decoder<'_>, count: u64) -> Result<Vec<(u32, u64)>, CodecError> {
    (0..count).map(|_| Ok((from.u32()?, from.varint()?))).collect()
}

fn encode_off_cpu(to: &mut Encoder, rows: &[&OffCpuStat<u64>], processes: &Places, stacks: &Places) {
    let option = |value: Option<u32>| value.map_or(0, |value| u64::from(value) + 1);
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| cause_tag(r.cause));
    column(to, rows, |r| option(r.syscall));
    column(to, rows, |r| r.descriptor.map_or(0, descriptor_tag));
    column(to, rows, |r| option(r.waker));
    column(to, rows, |r| stacks.place(r.stack));
    column(to, rows, |r| r.blocked_ns);
    column(to, rows, |r| r.run_queue_ns);
    column(to, rows, |r| r.count);
    column(to, rows, |r| beside(r.blocked_ns.wrapping_add(r.run_queue_ns), r.max_ns));
}

fn decode_off_cpu(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    stacks: &[u64],
) -> Result<Vec<OffCpuStat<u64>>, CodecError> {
    let mut columns = [(); 10].map(|()| Vec::new().into_iter());
    for column in &mut columns {
        *column = read_column(from, rows)?;
    }
    let [process, cause, syscall, descriptor, waker, stack, blocked, run_queue, count, max] = &mut columns;
    let row = |_| {
        let (blocked_ns, run_queue_ns) = (next(blocked)?, next(run_queue)?);
        Ok(OffCpuStat {
            process: ProcessId(at(processes, next(process)?)?),
            cause: cause_of(next(cause)?)?,
            syscall: next_option(syscall)?,
            descriptor: descriptor_of(next(descriptor)?)?,
            waker: next_option(waker)?,
            stack: at(stacks, next(stack)?)?,
            blocked_ns,
            run_queue_ns,
            count: next(count)?,
            max_ns: blocked_ns.wrapping_add(run_queue_ns).wrapping_sub(from_beside(next(max)?, 0)),
        })
    };
    (0..rows).map(row).collect()
}

fn next_option(column: &mut std::vec::IntoIter<u64>) -> Result<Option<u32>, CodecError> {
    let value = next(column)?.checked_sub(1).map(u32::try_from).transpose();
    value.map_err(|_| CodecError::Range("a number"))
}

/// The CPU time of one sample, as the first row has it, ns. Mostly all rows have the same.
fn period(rows: &[&CpuStat<u64>]) -> u64 {
    rows.iter().find_map(|r| r.cpu_ns.checked_div(r.samples)).unwrap_or(0)
}

fn encode_cpu(to: &mut Encoder, rows: &[&CpuStat<u64>], processes: &Places, stacks: &Places) {
    let period = period(rows);
    to.varint(period);
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| stacks.place(r.stack));
    column(to, rows, |r| r.samples);
    column(to, rows, |r| beside(r.cpu_ns, r.samples.wrapping_mul(period)));
}

fn decode_cpu(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    stacks: &[u64],
) -> Result<Vec<CpuStat<u64>>, CodecError> {
    let period = from.varint()?;
    let mut columns = [(); 4].map(|()| Vec::new().into_iter());
    for column in &mut columns {
        *column = read_column(from, rows)?;
    }
    let [process, stack, samples, cpu] = &mut columns;
    let row = |_| {
        let samples = next(samples)?;
        Ok(CpuStat {
            process: ProcessId(at(processes, next(process)?)?),
            stack: at(stacks, next(stack)?)?,
            samples,
            cpu_ns: from_beside(next(cpu)?, samples.wrapping_mul(period)),
        })
    };
    (0..rows).map(row).collect()
}

/// How a cause is written; never changes.
fn cause_tag(cause: WaitCause) -> u64 {
    match cause {
        WaitCause::Preempted => 0,
        WaitCause::PageFault => 1,
        WaitCause::Disk => 2,
        WaitCause::Gpu => 3,
        WaitCause::Child => 4,
        WaitCause::Ipc => 5,
        WaitCause::Network => 6,
        WaitCause::Lock => 7,
        WaitCause::Poll => 8,
        WaitCause::Timer => 9,
        WaitCause::Terminal => 10,
        WaitCause::Futex => 11,
        WaitCause::Other => 12,
    }
}

fn cause_of(tag: u64) -> Result<WaitCause, CodecError> {
    let cause = WaitCause::ALL.into_iter().find(|cause| cause_tag(*cause) == tag);
    cause.ok_or(CodecError::Range("a cause"))
}

/// How a kind of descriptor is written; never changes. 0 is none.
fn descriptor_tag(descriptor: Descriptor) -> u64 {
    match descriptor {
        Descriptor::Pipe => 1,
        Descriptor::UnixSocket => 2,
        Descriptor::InetSocket => 3,
        Descriptor::File => 4,
        Descriptor::Terminal => 5,
        Descriptor::Device => 6,
        Descriptor::Anonymous => 7,
    }
}

fn descriptor_of(tag: u64) -> Result<Option<Descriptor>, CodecError> {
    Ok(Some(match tag {
        0 => return Ok(None),
        1 => Descriptor::Pipe,
        2 => Descriptor::UnixSocket,
        3 => Descriptor::InetSocket,
        4 => Descriptor::File,
        5 => Descriptor::Terminal,
        6 => Descriptor::Device,
        7 => Descriptor::Anonymous,
        _ => return Err(CodecError::Range("a descriptor")),
    }))
}

#[cfg(test)]
mod tests;
