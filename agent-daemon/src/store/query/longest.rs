//! The longest waits of a range, and who each was for. A wait that outlasts windows has a row in each, with its length so far:
//! the last one alone says who ended it, and how long it was.
//!
//! Threads of a process that wait alike share rows: of several waits in one window the longest is told.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use super::{Fold, stacks::StackTable};
use crate::model::{
    id::ProcessId,
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    stack::Stack,
    time::Timestamp,
    window::Window,
};

/// Waits that are shorter are not looked at, ns.
const SHORTEST: u64 = 1_000_000;
/// Parts of waits that are kept, the longest.
const MAX_PARTS: usize = 20_000;
/// The most links of a chain.
const MAX_LINKS: usize = 8;

/// A wait.
#[derive(Clone, Debug, PartialEq)]
pub struct LongWait {
    /// Who waited.
    pub process: ProcessId,
    /// What for.
    pub cause: WaitCause,
    /// Syscall in progress.
    pub syscall: Option<u32>,
    /// Kind of the descriptor that the syscall waits on.
    pub descriptor: Option<Descriptor>,
    /// Pid of the process that ended it.
    pub waker: Option<u32>,
    /// Where: innermost frame first.
    pub stack: Arc<Stack>,
    /// When it began, at the earliest: it ended up to a window later than it would have then.
    pub from: Timestamp,
    /// End of the window in which it ended, or was last seen.
    pub to: Timestamp,
    /// How long, blocked and run queue together, ns.
    pub ns: u64,
}

/// Finds the longest waits.
#[derive(Debug, Default)]
pub struct LongWaitsFold {
    table: StackTable,
    parts: Vec<Part>,
}

/// What two parts of one wait share: process, cause, syscall, descriptor, number of the stack.
type Key = (ProcessId, WaitCause, Option<u32>, Option<Descriptor>, usize);

/// The longest of some waits that are alike, as seen in one window.
#[derive(Clone, Debug)]
struct Part {
    key: Key,
    from: Timestamp,
    to: Timestamp,
    /// It ended in this window.
    ended: bool,
    waker: Option<u32>,
    /// How long it was until then, also in earlier windows.
    ns: u64,
}

/// Whether what ends such a wait was waited for. Of sleeps and at terminals it is a clock or a person; of threads that are
/// parked, and of those that could have run, nobody.
fn is_for_somebody(stat: &OffCpuStat) -> bool {
    match stat.cause {
        WaitCause::Child
        | WaitCause::Ipc
        | WaitCause::Network
        | WaitCause::Lock
        | WaitCause::Disk
        | WaitCause::Gpu
        | WaitCause::PageFault => true,
        // An event loop waits for anything: for whom, the one who ended it says.
        WaitCause::Poll => stat.count == 0 || stat.waker.is_some_and(|pid| pid != stat.process.pid()),
        WaitCause::Preempted
        | WaitCause::Timer
        | WaitCause::Terminal
        | WaitCause::Futex
        | WaitCause::Other => false,
    }
}

impl Fold for LongWaitsFold {
    type Output = Vec<LongWait>;

    fn add(&mut self, window: &Window) {
        let rows = window.off_cpu.iter().filter(|stat| {
            // Of rows that were put together nobody knows whose they are.
            stat.process != ProcessId(0) && stat.max_ns >= SHORTEST && is_for_somebody(stat)
        });
        for stat in rows {
            let stack = self.table.number(&stat.stack);
            self.parts.push(Part {
                key: (stat.process, stat.cause, stat.syscall, stat.descriptor, stack),
                from: window.start,
                to: window.end,
                ended: stat.count > 0,
                waker: stat.waker,
                ns: stat.max_ns,
            });
        }
        if self.parts.len() >= 2 * MAX_PARTS {
            self.parts.select_nth_unstable_by_key(MAX_PARTS, |part| Reverse(part.ns));
            self.parts.truncate(MAX_PARTS);
        }
    }

    /// The longest first. One whose end nobody is known for, and which an event loop may have had for nothing, is left out.
    fn finish(mut self) -> Vec<LongWait> {
        self.parts.sort_unstable_by_key(|part| (part.key, part.from, part.ns));
        let goes_on = |(index, part): (usize, &Part)| {
            let later = self.parts.get(index + 1..).unwrap_or_default().iter();
            let mut alike = later.take_while(|next| next.key == part.key && next.from <= part.to);
            let fills = |next: &Part| {
                let window = u64::try_from(next.to.duration_since(next.from).as_nanos()).unwrap_or(0);
                next.from == part.to
                    && next.ns > part.ns
                    && (!part.ended || next.ns - part.ns >= window / 20 * 19)
            };
            // What nobody ended may go on in the row of another thread's wait that was over.
            part.waker.is_none() && alike.any(fills)
        };
        let superseded: Vec<bool> = self.parts.iter().enumerate().map(goes_on).collect();
        let last = self.parts.iter().zip(superseded).filter(|(_, superseded)| !superseded);
        let mut waits: Vec<LongWait> = last.filter_map(|(part, _)| wait(&self.table, part)).collect();
        waits.retain(|wait| wait.cause != WaitCause::Poll || wait.waker.is_some());
        waits.sort_by_key(|wait| (Reverse(wait.ns), wait.process, wait.from));
        waits
    }
}

fn wait(table: &StackTable, part: &Part) -> Option<LongWait> {
    let Part { key: (process, cause, syscall, descriptor, stack), to, waker, ns, .. } = *part;
    let from = to.checked_sub(Duration::from_nanos(ns)).unwrap_or(part.from).min(part.from);
    Some(LongWait { process, cause, syscall, descriptor, waker, stack: table.stack(stack)?, from, to, ns })
}

/// From a wait to the one that its waker waited for meanwhile, and so on: indexes of `waits`, the first one's first. A waker
/// is followed to its longest wait that lay in the same windows and took half of the time or more: that it is why it came so
/// late is likely, no more.
#[must_use]
pub fn chain(waits: &[LongWait], first: usize) -> Vec<usize> {
    let mut links = vec![first];
    while let Some(last) = links.last().and_then(|link| waits.get(*link)).filter(|_| links.len() < MAX_LINKS)
    {
        let Some(waker) = last.waker else { break };
        let held_up = |next: &LongWait| {
            next.process.pid() == waker
                && next.process != last.process
                && next.from < last.to
                && next.to > last.from
                && next.ns <= last.ns.saturating_add(last.ns / 2)
                && next.ns >= last.ns / 2
        };
        let next =
            (0..waits.len()).find(|index| !links.contains(index) && waits.get(*index).is_some_and(held_up));
        let Some(next) = next else { break };
        links.push(next);
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        fixture::{agent_at, at, off_cpu, window_at},
        query::of,
    };

    const S: u64 = 1_000_000_000;

    fn windows(rows: Vec<Vec<OffCpuStat>>) -> Vec<Arc<Window>> {
        let window = |(n, rows): (usize, Vec<OffCpuStat>)| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n as i64), 0);
            window.off_cpu = rows;
            Arc::new(window)
        };
        rows.into_iter().enumerate().map(window).collect()
    }

    fn ended_by(waker: u32, stat: OffCpuStat) -> OffCpuStat {
        OffCpuStat { waker: Some(waker), ..stat }
    }

    fn goes_on(stat: OffCpuStat) -> OffCpuStat {
        OffCpuStat { count: 0, ..stat }
    }

    #[test]
    fn of_rows_of_one_wait_the_last_one_counts_whatever_their_order() {
        let so_far = |seconds: u64| off_cpu(100, WaitCause::Ipc, &["k_read", "main"], seconds * S, 0);
        let mut windows = windows(vec![
            vec![goes_on(so_far(2))],
            vec![goes_on(so_far(7))],
            vec![ended_by(200, so_far(8)), goes_on(so_far(3))],
            vec![ended_by(300, so_far(4))],
            vec![goes_on(so_far(1))],
        ]);
        let waits = of(&windows, LongWaitsFold::default());
        let told: Vec<_> = waits.iter().map(|wait| (wait.ns / S, wait.waker, wait.from, wait.to)).collect();
        let expected =
            [(8, Some(200), at(7), at(15)), (4, Some(300), at(15), at(20)), (1, None, at(20), at(25))];
        assert_eq!(told, expected);
        windows.reverse();
        assert_eq!(of(&windows, LongWaitsFold::default()), waits);
    }

    #[test]
    fn a_wait_beside_shorter_ones_that_are_alike_is_told_once() {
        let so_far = |seconds: u64| off_cpu(100, WaitCause::Network, &["k_recv", "main"], seconds * S, 0);
        let windows = windows((1..=4).map(|n| vec![so_far(5 * n)]).collect());
        let waits = of(&windows, LongWaitsFold::default());
        assert_eq!(waits.iter().map(|wait| wait.ns / S).collect::<Vec<_>>(), [20]);
    }

    #[test]
    fn sleeps_pools_and_loops_that_nobody_ended_are_left_out() {
        let row = |cause| off_cpu(100, cause, &["k_wait", "main"], 4 * S, 0);
        let short = off_cpu(100, WaitCause::Disk, &["k_io", "main"], 900_000, 0);
        let rows = vec![
            row(WaitCause::Timer),
            row(WaitCause::Futex),
            row(WaitCause::Poll),
            ended_by(100, row(WaitCause::Poll)),
            short,
            ended_by(7, row(WaitCause::Poll)),
        ];
        let waits = of(&windows(vec![rows]), LongWaitsFold::default());
        assert_eq!(waits.iter().map(|wait| wait.waker).collect::<Vec<_>>(), [Some(7)]);
    }

    #[test]
    fn a_chain_leads_to_the_one_that_held_all_up() {
        let row = |pid, cause, tenths: u64| off_cpu(pid, cause, &["k_wait", "main"], tenths * S / 10, 0);
        let waits = of(
            &windows(vec![vec![
                ended_by(200, row(100, WaitCause::Ipc, 40)),
                ended_by(300, row(200, WaitCause::Child, 39)),
                row(300, WaitCause::Disk, 35),
                row(300, WaitCause::Network, 5),
            ]]),
            LongWaitsFold::default(),
        );
        let pids: Vec<_> = chain(&waits, 0).into_iter().map(|link| waits[link].process.pid()).collect();
        assert_eq!(pids, [100, 200, 300]);
        assert_eq!(waits[chain(&waits, 0)[2]].cause, WaitCause::Disk);
        assert_eq!(chain(&waits, 3), [3], "of a wait that nobody is known to have ended");
    }
}
