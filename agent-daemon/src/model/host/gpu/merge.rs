//! What a GPU did in one window and in another, as one: by its uuid. Sums saturate.

use super::{Amounts, Gpu, GpuProcess, MAX_GPU_ROWS, Share, Throttled, XidCount};

impl Gpu {
    /// Adds what it did in another window, which `is_later` or not. The one of an earlier window that is not in a later
    /// one keeps what it said last.
    pub fn absorb(&mut self, other: &Self, is_later: bool) {
        for (share, more) in self.busy.iter_mut().zip(other.busy) {
            share.add(more);
        }
        self.amounts = Amounts::from(added(self.amounts.all(), other.amounts.all()));
        self.most_memory_used = self.most_memory_used.max(other.most_memory_used);
        self.hottest_celsius = self.hottest_celsius.max(other.hottest_celsius);
        self.energy_is_sampled |= other.energy_is_sampled;
        other.throttled.iter().for_each(|throttled| self.add_throttled(throttled));
        other.xids.iter().for_each(|xid| self.add_xid(*xid));
        // Whoever is not in the later window has no memory there any more.
        let (earlier, later) = if is_later {
            (std::mem::take(&mut self.processes), other.processes.clone())
        } else {
            (other.processes.clone(), std::mem::take(&mut self.processes))
        };
        self.processes = processes(earlier, later);
        if is_later {
            self.index = other.index;
            self.name.clone_from(&other.name);
            self.down.clone_from(&other.down);
            self.levels = other.levels;
            self.parts.clone_from(&other.parts);
        }
    }

    /// Adds time in which something held the clocks down; of at most [`MAX_GPU_ROWS`] reasons.
    pub fn add_throttled(&mut self, more: &Throttled) {
        let at = self.throttled.binary_search_by(|known| known.reason.cmp(&more.reason));
        match at.map_err(|at| (at, self.throttled.len() < MAX_GPU_ROWS)) {
            Ok(at) => {
                if let Some(known) = self.throttled.get_mut(at) {
                    known.ns = known.ns.saturating_add(more.ns);
                }
            }
            Err((at, true)) => self.throttled.insert(at, more.clone()),
            Err((_, false)) => {}
        }
    }

    /// Adds errors to those of their number; beyond [`MAX_GPU_ROWS`] numbers to those without one.
    pub fn add_xid(&mut self, more: XidCount) {
        let is_known = self.xids.iter().any(|xid| xid.number == more.number);
        let has_room = self.xids.len() < MAX_GPU_ROWS - 1;
        let number = if is_known || has_room { more.number } else { 0 };
        match self.xids.iter_mut().find(|xid| xid.number == number) {
            Some(known) => known.count = known.count.saturating_add(more.count),
            None => {
                self.xids.push(XidCount { number, ..more });
                self.xids.sort_unstable_by_key(|xid| xid.number);
            }
        }
    }

    /// Adds what a process did to its own row; beyond [`MAX_GPU_ROWS`] to the row of all others.
    pub fn add_process(&mut self, process: GpuProcess) {
        push(&mut self.processes, process);
    }
}

/// GPUs of another window taken in; beyond [`MAX_GPU_ROWS`], not those that are new.
pub(in crate::model::host) fn absorb_all(all: &mut Vec<Gpu>, others: &[Gpu], is_later: bool) {
    for other in others {
        let has_room = all.len() < MAX_GPU_ROWS;
        match all.iter_mut().find(|known| known.uuid == other.uuid) {
            Some(known) => known.absorb(other, is_later),
            None if has_room => all.push(other.clone()),
            None => {}
        }
    }
    all.sort_by(|a, b| a.uuid.cmp(&b.uuid));
}

impl Share {
    fn add(&mut self, more: Self) {
        self.ns = self.ns.saturating_add(more.ns);
        self.of_ns = self.of_ns.saturating_add(more.of_ns);
    }
}

fn sum(one: Option<u64>, another: Option<u64>) -> Option<u64> {
    match (one, another) {
        (Some(one), Some(another)) => Some(one.saturating_add(another)),
        _ => one.or(another),
    }
}

fn added<const N: usize>(sums: [Option<u64>; N], more: [Option<u64>; N]) -> [Option<u64>; N] {
    let mut sums = sums;
    sums.iter_mut().zip(more).for_each(|(known, more)| *known = sum(*known, more));
    sums
}

/// The processes of two windows: sums of both, memory as in the later one.
fn processes(earlier: Vec<GpuProcess>, later: Vec<GpuProcess>) -> Vec<GpuProcess> {
    let mut all = Vec::new();
    later.into_iter().for_each(|process| push(&mut all, process));
    earlier.into_iter().for_each(|process| push(&mut all, GpuProcess { memory: None, ..process }));
    all
}

fn push(all: &mut Vec<GpuProcess>, process: GpuProcess) {
    let has_room = all.len() < MAX_GPU_ROWS;
    let is_same = |one: &GpuProcess, process: &GpuProcess| {
        (one.process, one.host_pid) == (process.process, process.host_pid)
    };
    let others = GpuProcess { process: None, host_pid: 0, ..process };
    let row = all
        .iter()
        .position(|known| is_same(known, &process))
        .or_else(|| (!has_room).then(|| all.iter().position(|known| is_same(known, &others))).flatten());
    match row.and_then(|row| all.get_mut(row)) {
        Some(known) => known.add(&process),
        None => all.push(if has_room { process } else { others }),
    }
}

impl GpuProcess {
    fn add(&mut self, other: &Self) {
        self.busy_ns = sum(self.busy_ns, other.busy_ns);
        self.energy_mj = sum(self.energy_mj, other.energy_mj);
        self.memory = sum(self.memory, other.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::ProcessId;

    fn process(pid: u32, busy: u64, memory: u64) -> GpuProcess {
        let process = Some(ProcessId::new(pid, 1 << 30));
        GpuProcess { process, host_pid: pid, busy_ns: Some(busy), energy_mj: None, memory: Some(memory) }
    }

    fn gpu(temperature: u64, processes: Vec<GpuProcess>) -> Gpu {
        let mut gpu = Gpu { uuid: "GPU-1".to_owned(), processes, ..Gpu::default() };
        gpu.levels.temperature_celsius = Some(temperature);
        gpu.hottest_celsius = Some(temperature);
        gpu.busy = [Share { ns: 1, of_ns: 4 }; 4];
        gpu.xids = vec![XidCount { number: 79, count: 1 }];
        gpu
    }

    #[test]
    fn sums_are_of_both_and_levels_of_the_later_window() {
        let first = gpu(80, vec![process(1, 10, 100), process(2, 5, 50)]);
        let second = gpu(60, vec![process(2, 7, 60), process(3, 1, 1)]);
        let mut forward = vec![first.clone()];
        absorb_all(&mut forward, std::slice::from_ref(&second), true);
        let mut backward = vec![second];
        absorb_all(&mut backward, &[first], false);
        for merged in [&forward[0], &backward[0]] {
            assert_eq!((merged.levels.temperature_celsius, merged.hottest_celsius), (Some(60), Some(80)));
            assert_eq!((merged.busy[0], merged.xids[0].count), (Share { ns: 2, of_ns: 8 }, 2));
            let of = |pid: u32| merged.processes.iter().find(|p| p.host_pid == pid).unwrap();
            assert_eq!((of(1).busy_ns, of(1).memory), (Some(10), None), "it is gone");
            assert_eq!((of(2).busy_ns, of(2).memory), (Some(12), Some(60)));
            assert_eq!(of(3).memory, Some(1));
        }
    }

    #[test]
    fn many_processes_and_errors_are_few_rows_with_the_same_sums() {
        let mut all = gpu(1, Vec::new());
        for _ in 0..3 {
            let mut more = gpu(1, Vec::new());
            (1..200).for_each(|pid| more.add_process(process(pid, 1, 1)));
            (0..200).for_each(|number| more.add_xid(XidCount { number: number + 1000, count: 1 }));
            assert!(more.processes.len() <= MAX_GPU_ROWS + 1 && more.xids.len() <= MAX_GPU_ROWS);
            all.absorb(&more, true);
        }
        assert!(all.processes.len() <= MAX_GPU_ROWS + 1 && all.xids.len() <= MAX_GPU_ROWS);
        assert_eq!(all.processes.iter().filter_map(|p| p.busy_ns).sum::<u64>(), 3 * 199);
        assert_eq!(all.xids.iter().map(|xid| xid.count).sum::<u64>(), 1 + 3 * 201);
    }
}
