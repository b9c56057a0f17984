//! How well stacks are seen: how the walks of each process ended, by samples and by waits.

use std::collections::BTreeMap;

use super::{Fold, covered::CoveredFold};
use crate::model::{
    id::ProcessId,
    stack::{FrameKind, Stack, StackEnd},
    time::{TimeRange, Timestamp},
    window::Window,
};

/// Stacks that ended in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndTotal {
    /// Samples, or waits.
    pub count: u64,
    /// Time, ns.
    pub ns: u64,
}

/// How the stacks of one kind ended.
pub type Ends = BTreeMap<StackEnd, EndTotal>;

/// How well one process's stacks are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessQuality {
    /// On-CPU samples.
    pub cpu: Ends,
    /// Waits.
    pub off_cpu: Ends,
    /// Frames, by which world they are of.
    pub frames: BTreeMap<&'static str, u64>,
    /// Of these, frames without a name.
    pub nameless: u64,
    /// Why the frames of its interpreter cannot be read, if it has one and they cannot.
    pub unread: Option<String>,
}

/// How well stacks are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quality {
    /// The time spoken of; `None` where nothing was stored.
    pub covered: Option<TimeRange>,
    /// By process. What was merged from many processes stands under pid 0.
    pub processes: BTreeMap<ProcessId, ProcessQuality>,
}

/// Counts how the walks of each process ended.
#[derive(Debug, Default)]
pub struct QualityFold {
    covered: CoveredFold,
    processes: BTreeMap<ProcessId, ProcessQuality>,
    /// Why a process is unread, and since which window that is known.
    unread: BTreeMap<ProcessId, (Timestamp, String)>,
}

impl Fold for QualityFold {
    type Output = Quality;

    fn add(&mut self, window: &Window) {
        self.covered.add(window);
        for row in &window.cpu {
            let process = self.processes.entry(row.process).or_default();
            add(&mut process.cpu, row.stack.end, row.samples, row.cpu_ns);
            process.count_frames(&row.stack, row.samples);
        }
        for (process, reason) in &window.unread {
            // Of several reasons the latest counts, in whatever order the windows come.
            let newest =
                self.unread.get(process).is_none_or(|(at, known)| (at, known) < (&window.start, reason));
            if newest {
                self.unread.insert(*process, (window.start, reason.clone()));
            }
        }
        for row in &window.off_cpu {
            let process = self.processes.entry(row.process).or_default();
            let ns = row.blocked_ns.saturating_add(row.run_queue_ns);
            add(&mut process.off_cpu, row.stack.end, row.count, ns);
            process.count_frames(&row.stack, row.count);
        }
    }

    fn finish(self) -> Quality {
        let mut processes = self.processes;
        for (process, (_, reason)) in self.unread {
            processes.entry(process).or_default().unread = Some(reason);
        }
        Quality { covered: self.covered.finish().map(|covered| covered.range), processes }
    }
}

fn add(ends: &mut Ends, end: StackEnd, count: u64, ns: u64) {
    let total = ends.entry(end).or_default();
    total.count = total.count.saturating_add(count);
    total.ns = total.ns.saturating_add(ns);
}

impl ProcessQuality {
    fn count_frames(&mut self, stack: &Stack, times: u64) {
        for frame in &stack.frames {
            let kind = match frame.kind {
                FrameKind::Native => "native",
                FrameKind::Python => "python",
                FrameKind::Javascript => "javascript",
                FrameKind::Kernel => "kernel",
            };
            let count = self.frames.entry(kind).or_default();
            *count = count.saturating_add(times);
            if frame.is_nameless() {
                self.nameless = self.nameless.saturating_add(times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::off_cpu::WaitCause,
        store::{
            fixture::{agent_at, at, cpu, off_cpu, process_id, window_at},
            query::of,
        },
    };

    #[test]
    fn ends_are_counted_by_process_and_kind() {
        let id = agent_at(at(0)).id;
        let (mut a, mut b) = (window_at(&id, at(0), 0), window_at(&id, at(5), 0));
        a.cpu =
            vec![cpu(100, &["hot", "main"], 7), cpu(101, &["[Symbol.iterator]", "[unknown]", "[jit]"], 2)];
        b.cpu = vec![cpu(100, &["hot", "main"], 3)];
        b.off_cpu = vec![off_cpu(100, WaitCause::Lock, &["main"], 50, 5)];
        let quality = of(&[Arc::new(a), Arc::new(b)], QualityFold::default());
        let first = &quality.processes[&process_id(100)];
        let total = |count, ns| Ends::from([(StackEnd::Complete, EndTotal { count, ns })]);
        assert_eq!((&first.cpu, &first.off_cpu), (&total(10, 100_000_000), &total(1, 55)));
        assert_eq!((first.frames["native"], first.nameless), (21, 0));
        assert_eq!(quality.processes[&process_id(101)].nameless, 4);
    }

    #[test]
    fn the_latest_reason_counts_in_whatever_order() {
        let id = agent_at(at(0)).id;
        let window = |seconds, reason: &str| {
            let mut window = window_at(&id, at(seconds), 0);
            window.unread = vec![(process_id(100), reason.to_owned())];
            Arc::new(window)
        };
        let windows = [window(0, "old"), window(5, "new")];
        let reason = |windows: &[Arc<Window>]| {
            of(windows, QualityFold::default()).processes[&process_id(100)].unread.clone()
        };
        assert_eq!(reason(&windows).as_deref(), Some("new"));
        assert_eq!(reason(&[windows[1].clone(), windows[0].clone()]).as_deref(), Some("new"));
    }
}
