//! All agents' time at a glance: totals, the largest shares, and how it went over time. Made of summaries, so that no
//! window is read.
//!
//! A stretch that lies partly in the range, or over several buckets, counts in each by the part of its time that lies
//! there: sums over old history, where a stretch is an hour, are estimates at the range's ends.

use std::{cmp::Reverse, collections::BTreeMap, hash::Hash};

use rustc_hash::FxHashMap;

use crate::{
    model::{
        id::{AgentId, ProcessId},
        off_cpu::WaitCause,
        time::{TimeRange, Timestamp},
    },
    store::summary::{Function, Summary},
};

/// Buckets of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// What they divide, from the start of the first to the end of the last, which may be shorter.
    pub range: TimeRange,
    /// The length of one, seconds.
    pub seconds: i64,
}

impl Buckets {
    /// Lengths that people count time in, seconds.
    const LENGTHS: [i64; 8] = [60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600];
    /// The most buckets, about.
    const MOST: i64 = 120;

    /// The last `hours` before `now`, in 60 to 120 buckets that begin at whole multiples of their length.
    #[must_use]
    pub fn back_from(now: Timestamp, hours: u32) -> Self {
        let span = i64::from(hours) * 3600;
        let fits = |length: &i64| span / length <= Self::MOST;
        let seconds = Self::LENGTHS.into_iter().find(fits).unwrap_or(6 * 3600);
        let from = (now.as_second() - span).div_euclid(seconds) * seconds;
        let from = Timestamp::from_second(from).unwrap_or(Timestamp::MIN);
        Self { range: TimeRange { from, to: now }, seconds }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let span = self.range.to.duration_since(self.range.from).as_secs_f64();
        (span / self.seconds as f64).ceil().max(0.0) as usize
    }

    /// The buckets that a stretch touches, each with the part of the stretch that lies in it.
    fn parts(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = (usize, f64)> {
        let (length, count) = (self.seconds as f64, self.count());
        let since = |time: Timestamp| time.duration_since(self.range.from).as_secs_f64();
        let (start, end) = (since(start), since(end));
        let whole = (end - start).max(1e-9);
        let limit = since(self.range.to);
        let (first, last) = ((start / length).max(0.0) as usize, (end / length).max(0.0) as usize);
        (first..=last.min(count.saturating_sub(1))).filter_map(move |bucket| {
            let (from, to) = (bucket as f64 * length, ((bucket + 1) as f64 * length).min(limit));
            let part = (end.min(to) - start.max(from)) / whole;
            (part > 0.0).then_some((bucket, part))
        })
    }
}

/// Time of all threads, and calls, in some stretch. Fractions: see the module.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amounts {
    /// CPU time that was sampled, ns.
    pub cpu_ns: f64,
    /// Time blocked, ns.
    pub blocked_ns: f64,
    /// Time runnable but not running, ns.
    pub run_queue_ns: f64,
    /// Calls that returned.
    pub syscalls: f64,
    /// Of these, those that failed.
    pub syscall_errors: f64,
}

impl Amounts {
    /// Both together.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            blocked_ns: self.blocked_ns + other.blocked_ns,
            run_queue_ns: self.run_queue_ns + other.run_queue_ns,
            syscalls: self.syscalls + other.syscalls,
            syscall_errors: self.syscall_errors + other.syscall_errors,
        }
    }

    fn add(&mut self, summary: &Summary, part: f64) {
        let sums = &summary.sums;
        self.cpu_ns += sums.cpu_ns as f64 * part;
        self.blocked_ns += sums.blocked_ns as f64 * part;
        self.run_queue_ns += sums.run_queue_ns as f64 * part;
        self.syscalls += sums.syscalls as f64 * part;
        self.syscall_errors += sums.syscall_errors as f64 * part;
    }
}

/// One cause's share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CauseAmount {
    /// Time blocked, ns.
    pub blocked_ns: f64,
    /// Time runnable but not running, ns.
    pub run_queue_ns: f64,
    /// Waits that ended.
    pub count: f64,
}

impl CauseAmount {
    /// Both together.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        Self {
            blocked_ns: self.blocked_ns + other.blocked_ns,
            run_queue_ns: self.run_queue_ns + other.run_queue_ns,
            count: self.count + other.count,
        }
    }
}

/// One syscall's share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallAmount {
    /// Calls that returned.
    pub count: f64,
    /// Of these, those that failed.
    pub errors: f64,
    /// Time inside the call, ns.
    pub total_ns: f64,
}

/// One agent's time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentAmounts {
    /// Everything, added up.
    pub total: Amounts,
    /// Time off the CPU by cause.
    pub causes: BTreeMap<WaitCause, CauseAmount>,
    /// CPU time by bucket, ns.
    pub cpu_ns: Vec<f64>,
}

/// All agents' time.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// By agent, of those that did anything.
    pub agents: BTreeMap<AgentId, AgentAmounts>,
    /// By bucket, of all agents together.
    pub series: Vec<Amounts>,
    /// CPU time by the function that ran, most first, ns.
    pub cpu: Vec<(Function, f64)>,
    /// Time off the CPU by the function of user code that waited, most first, ns.
    pub off_cpu: Vec<(Function, f64)>,
    /// CPU time by process, most first, ns.
    pub processes: Vec<((AgentId, ProcessId), f64)>,
    /// Calls by number, most time first.
    pub calls: Vec<(u32, CallAmount)>,
}

/// Adds up summaries.
#[derive(Debug)]
pub struct DashboardFold {
    buckets: Buckets,
    agents: BTreeMap<AgentId, AgentAmounts>,
    series: Vec<Amounts>,
    cpu: FxHashMap<Function, f64>,
    off_cpu: FxHashMap<Function, f64>,
    processes: FxHashMap<AgentId, FxHashMap<ProcessId, f64>>,
    calls: FxHashMap<u32, CallAmount>,
}

impl DashboardFold {
    /// Over these buckets.
    #[must_use]
    pub fn new(buckets: Buckets) -> Self {
        let series = vec![Amounts::default(); buckets.count()];
        let (agents, cpu, off_cpu, processes, calls) = Default::default();
        Self { buckets, agents, series, cpu, off_cpu, processes, calls }
    }

    /// Takes in a stretch of an agent's time.
    pub fn add(&mut self, agent: &AgentId, summary: &Summary) {
        let buckets = self.buckets.count();
        if !self.agents.contains_key(agent) {
            let new = AgentAmounts { cpu_ns: vec![0.0; buckets], ..AgentAmounts::default() };
            self.agents.insert(agent.clone(), new);
        }
        let Some(own) = self.agents.get_mut(agent) else { return };
        let mut inside = 0.0;
        for (bucket, part) in self.buckets.parts(summary.start, summary.end) {
            inside += part;
            if let Some(amounts) = self.series.get_mut(bucket) {
                amounts.add(summary, part);
            }
            if let Some(cpu) = own.cpu_ns.get_mut(bucket) {
                *cpu += summary.sums.cpu_ns as f64 * part;
            }
        }
        own.total.add(summary, inside);
        for (cause, waits) in &summary.shares.causes {
            let amount = own.causes.entry(*cause).or_default();
            amount.blocked_ns += waits.blocked_ns as f64 * inside;
            amount.run_queue_ns += waits.run_queue_ns as f64 * inside;
            amount.count += waits.count as f64 * inside;
        }
        self.add_shares(agent, summary, inside);
    }

    fn add_shares(&mut self, agent: &AgentId, summary: &Summary, part: f64) {
        let shares = &summary.shares;
        add_all(&mut self.cpu, &shares.cpu, part);
        add_all(&mut self.off_cpu, &shares.off_cpu, part);
        if !shares.processes.is_empty() {
            if !self.processes.contains_key(agent) {
                self.processes.insert(agent.clone(), FxHashMap::default());
            }
            self.processes.get_mut(agent).into_iter().for_each(|own| add_all(own, &shares.processes, part));
        }
        for (number, calls) in &shares.calls {
            let amount = self.calls.entry(*number).or_default();
            amount.count += calls.count as f64 * part;
            amount.errors += calls.errors as f64 * part;
            amount.total_ns += calls.total_ns as f64 * part;
        }
    }

    /// The answer, with so many functions, processes and calls of each kind.
    #[must_use]
    pub fn finish(self, most: usize) -> Dashboard {
        let of = |(agent, own): (AgentId, FxHashMap<ProcessId, f64>)| {
            own.into_iter().map(move |(process, ns)| ((agent.clone(), process), ns))
        };
        let mut calls: Vec<_> = self.calls.into_iter().collect();
        calls.sort_by(|(a, x), (b, y)| y.total_ns.total_cmp(&x.total_ns).then(a.cmp(b)));
        calls.truncate(most);
        let name = |f: &Function| (f.kind(), f.name().to_owned(), f.path().map(str::to_owned));
        Dashboard {
            agents: self.agents,
            series: self.series,
            cpu: largest(self.cpu, most, name),
            off_cpu: largest(self.off_cpu, most, name),
            processes: largest(self.processes.into_iter().flat_map(of), most, Clone::clone),
            calls,
        }
    }
}

fn add_all<K: Clone + Eq + Hash>(all: &mut FxHashMap<K, f64>, rows: &[(K, u64)], part: f64) {
    for (key, ns) in rows {
        match all.get_mut(key) {
            Some(sum) => *sum += *ns as f64 * part,
            None => drop(all.insert(key.clone(), *ns as f64 * part)),
        }
    }
}

/// The largest, the largest first; equals by `order`.
fn largest<K, O: Ord>(
    rows: impl IntoIterator<Item = (K, f64)>,
    most: usize,
    order: impl Fn(&K) -> O,
) -> Vec<(K, f64)> {
    let mut rows: Vec<_> = rows.into_iter().filter(|(_, ns)| *ns >= 1.0).collect();
    if rows.len() > most.saturating_mul(2) {
        rows.sort_unstable_by_key(|(_, ns)| Reverse(*ns as u64));
        rows.truncate(most.saturating_mul(2));
    }
    rows.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| order(a).cmp(&order(b))));
    rows.truncate(most);
    rows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::*;
    use crate::store::fixture::{agent_at, at, cpu, off_cpu, syscall, window_at};

    #[test]
    fn buckets_are_few_and_begin_at_round_times() {
        for (hours, seconds) in [(1, 60), (2, 60), (6, 300), (24, 1800), (168, 3 * 3600), (744, 6 * 3600)] {
            let buckets = Buckets::back_from(at(17), hours);
            assert_eq!(buckets.seconds, seconds, "{hours} h");
            assert_eq!(buckets.range.from.as_second() % seconds, 0);
            assert!((12..=126).contains(&buckets.count()), "{hours} h: {}", buckets.count());
            assert!(buckets.range.from <= at(17) - Duration::from_secs(u64::from(hours) * 3600));
        }
    }

    proptest! {
        #[test]
        fn parts_sum_to_what_lies_in_the_range(start in -9000..9000i64, length in 1..9000i64) {
            let buckets = Buckets { range: TimeRange { from: at(0), to: at(3601) }, seconds: 60 };
            let parts: f64 = buckets.parts(at(start), at(start + length)).map(|(_, part)| part).sum();
            let inside = ((start + length).min(3601) - start.max(0)).max(0) as f64 / length as f64;
            prop_assert!((parts - inside).abs() < 1e-6, "{parts} {inside}");
        }
    }

    #[test]
    fn everything_is_added_up_and_shared_out() {
        let agent = agent_at(at(0)).id;
        let mut window = window_at(&agent, at(58), 0);
        window.cpu = vec![cpu(100, &["hot", "main"], 10)];
        window.off_cpu = vec![off_cpu(100, WaitCause::Disk, &["k_io", "load", "main"], 4_000, 1_000)];
        window.syscalls = vec![syscall(100, 0, 500)];
        let mut fold =
            DashboardFold::new(Buckets { range: TimeRange { from: at(0), to: at(120) }, seconds: 60 });
        fold.add(&agent, &Summary::of(&window));
        fold.add(&agent, &Summary::of(&window));
        let dashboard = fold.finish(5);
        let own = &dashboard.agents[&agent];
        assert_eq!(own.total.cpu_ns, 200_000_000.0);
        assert_eq!(own.cpu_ns, [80_000_000.0, 120_000_000.0], "2 s of 5 lie in the first minute");
        assert_eq!(own.causes[&WaitCause::Disk].blocked_ns, 8_000.0);
        assert_eq!((dashboard.series[0].syscalls, dashboard.series[1].syscalls), (0.8, 1.2));
        assert_eq!((dashboard.cpu[0].0.name(), dashboard.cpu[0].1), ("hot", 200_000_000.0));
        assert_eq!((dashboard.off_cpu[0].0.name(), dashboard.off_cpu[0].1), ("load", 10_000.0));
        assert_eq!(dashboard.processes[0].1, 200_000_000.0);
        assert_eq!(dashboard.calls[0].1.errors, 2.0);
    }
}
