//! Bounds a window's rows: a fork bomb makes a row for each call, wait and stack of each of its thousands of
//! children. The largest rows stay; the others are merged, so that sums stay true, and counted.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::{
    cuda::{CudaCall, CudaStat},
    disk::{DiskOperation, DiskStat},
    file, http,
    id::ProcessId,
    network,
    off_cpu::{OffCpuStat, WaitCause},
    stack::{Stack, StackEnd},
    syscall::{Histogram, SyscallStat},
    window::{CpuStat, Window},
};

/// Rows of one kind that a window keeps apart.
const MAX_ROWS: usize = 512;
/// Whose merged rows are: nobody's in particular. No process has pid 0.
const MANY: ProcessId = ProcessId(0);

/// Merges the smallest rows of each kind beyond [`MAX_ROWS`]; returns how many.
pub(super) fn bound(window: &mut Window) -> usize {
    fold(&mut window.syscalls, |row| row.total_ns, |row| row.number, merge_syscalls)
        + fold(
            &mut window.off_cpu,
            |row| row.blocked_ns.saturating_add(row.run_queue_ns),
            |row| (row.cause, row.stack.end),
            |(cause, end), rows| merge_waits(cause, rows, merged_stack(end)),
        )
        + fold(
            &mut window.cpu,
            |row| row.cpu_ns,
            |row| row.stack.end,
            |end, rows| merge_samples(&rows, merged_stack(end)),
        )
        + fold(&mut window.cuda, |row| row.total_ns.saturating_add(row.calls), |row| row.call, merge_cuda)
        + file::bound(&mut window.files, MAX_ROWS)
        + network::bound(&mut window.network, MAX_ROWS)
        + http::bound(&mut window.http, MAX_ROWS)
        + fold(&mut window.disk, DiskStat::total_ns, |row| (row.operation, row.background), merge_requests)
        + window.ledger.bound(MAX_ROWS)
}

/// What is left of stacks that are told apart no more: how their walks ended.
fn merged_stack(end: StackEnd) -> Arc<Stack> {
    Arc::new(Stack { frames: Vec::new(), end })
}

/// Keeps the rows of most weight and merges the others by `key`.
fn fold<T, K: Eq + std::hash::Hash>(
    rows: &mut Vec<T>,
    weight: impl Fn(&T) -> u64,
    key: impl Fn(&T) -> K,
    merge: impl Fn(K, Vec<T>) -> T,
) -> usize {
    if rows.len() <= MAX_ROWS {
        return 0;
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(weight(row)));
    let small = rows.split_off(MAX_ROWS);
    let folded = small.len();
    let mut groups: FxHashMap<K, Vec<T>> = FxHashMap::default();
    for row in small {
        groups.entry(key(&row)).or_default().push(row);
    }
    rows.extend(groups.into_iter().map(|(key, group)| merge(key, group)));
    rows.shrink_to_fit();
    folded
}

fn merge_syscalls(number: u32, rows: Vec<SyscallStat>) -> SyscallStat {
    let mut sum = SyscallStat {
        process: MANY,
        number,
        count: 0,
        errors: Vec::new(),
        total_ns: 0,
        max_ns: 0,
        histogram: Histogram::default(),
    };
    let mut errors: FxHashMap<u32, u64> = FxHashMap::default();
    for row in rows {
        sum.count += row.count;
        sum.total_ns = sum.total_ns.saturating_add(row.total_ns);
        sum.max_ns = sum.max_ns.max(row.max_ns);
        sum.histogram.merge(&row.histogram);
        for (errno, n) in row.errors {
            *errors.entry(errno).or_default() += n;
        }
    }
    sum.errors = errors.into_iter().collect();
    sum
}

fn merge_waits(cause: WaitCause, rows: Vec<OffCpuStat>, stack: Arc<Stack>) -> OffCpuStat {
    let sum = OffCpuStat {
        process: MANY,
        cause,
        syscall: None,
        descriptor: None,
        waker: None,
        stack,
        blocked_ns: 0,
        run_queue_ns: 0,
        count: 0,
        max_ns: 0,
    };
    rows.iter().fold(sum, |sum, row| OffCpuStat {
        blocked_ns: sum.blocked_ns.saturating_add(row.blocked_ns),
        run_queue_ns: sum.run_queue_ns.saturating_add(row.run_queue_ns),
        count: sum.count + row.count,
        max_ns: sum.max_ns.max(row.max_ns),
        ..sum
    })
}

fn merge_samples(rows: &[CpuStat], stack: Arc<Stack>) -> CpuStat {
    let samples = rows.iter().map(|row| row.samples).sum();
    let cpu_ns = rows.iter().fold(0, |ns: u64, row| ns.saturating_add(row.cpu_ns));
    CpuStat { process: MANY, stack, samples, cpu_ns }
}

fn merge_cuda(call: CudaCall, rows: Vec<CudaStat>) -> CudaStat {
    rows.iter().fold(CudaStat::new(MANY, call), |mut sum, row| {
        sum.merge(row);
        sum
    })
}

fn merge_requests((operation, background): (DiskOperation, bool), rows: Vec<DiskStat>) -> DiskStat {
    rows.iter().fold(DiskStat::new(MANY, "".into(), operation, background), |mut sum, row| {
        sum.merge(row);
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::AgentId, ledger::Ledger, time::Timestamp};

    fn window(calls: usize) -> Window {
        let row = |i: usize| SyscallStat {
            process: ProcessId(i as u64 + 1),
            number: (i % 3) as u32,
            count: 1 + i as u64,
            errors: vec![(2, 1)],
            total_ns: i as u64,
            max_ns: i as u64,
            histogram: Histogram::default(),
        };
        let at = Timestamp::UNIX_EPOCH;
        let (off_cpu, cpu) = (Vec::new(), Vec::new());
        Window {
            agent: AgentId::new(1, 1),
            start: at,
            end: at,
            syscalls: (0..calls).map(row).collect(),
            off_cpu,
            cpu,
            cuda: Vec::new(),
            files: Vec::new(),
            network: Vec::new(),
            disk: Vec::new(),
            http: Vec::new(),
            ledger: Ledger::default(),
            unread: Vec::new(),
        }
    }

    #[test]
    fn few_rows_stay_as_they_are() {
        let mut w = window(MAX_ROWS);
        assert_eq!(bound(&mut w), 0);
        assert_eq!(w.syscalls.len(), MAX_ROWS);
    }

    #[test]
    fn many_rows_are_merged_and_their_sums_stay() {
        let mut w = window(5000);
        let sum = |w: &Window| {
            w.syscalls.iter().fold((0, 0, 0), |(n, t, e), r| {
                (n + r.count, t + r.total_ns, e + r.errors.iter().map(|e| e.1).sum::<u64>())
            })
        };
        let before = sum(&w);
        assert_eq!(bound(&mut w), 5000 - MAX_ROWS);
        assert_eq!(sum(&w), before);
        assert_eq!(w.syscalls.len(), MAX_ROWS + 3);
        assert_eq!(w.syscalls.first().map(|r| r.total_ns), Some(4999));
    }
}
