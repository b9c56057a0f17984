//! Agents that were made up, and what they do: as many processes, stacks and calls as a coding agent at work has, with
//! counts and times that spread as real ones do. The same numbers in every run.

use std::{sync::Arc, time::Duration};

use agentperf::model::{
    agent::{Agent, AgentSource},
    id::{AgentId, ProcessId},
    ledger::{Bit, Ledger, StateSet},
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    probe::ProbeSet,
    process::Process,
    stack::{Binary, Frame, FrameKind, Stack, StackEnd},
    syscall::{BUCKETS, Histogram, SyscallStat},
    time::Timestamp,
    window::{CpuStat, Window},
};

use crate::WINDOW;

/// Processes and stacks of one agent.
const PROCESSES: usize = 6;
const STACKS: usize = 80;
const FRAMES: u64 = 4000;

/// Rows of a window.
const SYSCALLS: u32 = 15;
const WAITS: usize = 15;
const RUNS: usize = 10;
const SETS: u64 = 25;
const STATES: u64 = 12;

/// Where the replay begins, seconds since the epoch: at an hour.
const BEGIN: i64 = 1_763_683_200;

/// Some agents.
pub(crate) struct World {
    pub(crate) agents: Vec<Actor>,
    random: Random,
}

/// An agent and what it has.
pub(crate) struct Actor {
    pub(crate) agent: Agent,
    processes: Vec<ProcessId>,
    stacks: Vec<Arc<Stack>>,
}

/// When a window begins that so many others come before.
pub(crate) fn time(tick: u64) -> Timestamp {
    let begin = Timestamp::from_second(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH);
    begin + Duration::from_secs(WINDOW * tick)
}

impl World {
    pub(crate) fn new(agents: u64) -> Self {
        let mut random = Random(88_172_645_463_325_252);
        let frames = frames();
        let agents = (0..agents).map(|number| actor(number, &frames, &mut random)).collect();
        Self { agents, random }
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.random.below(n)
    }

    /// What an agent did in the window of this number.
    pub(crate) fn window(&mut self, agent: usize, tick: u64) -> Option<Window> {
        let (actor, random) = (self.agents.get(agent)?, &mut self.random);
        Some(Window {
            agent: actor.agent.id.clone(),
            start: time(tick),
            end: time(tick + 1),
            syscalls: (0..SYSCALLS).filter_map(|n| call(actor, n, random)).collect(),
            off_cpu: chosen(WAITS, 60, 0, random)
                .into_iter()
                .filter_map(|s| wait(actor, s, random))
                .collect(),
            cpu: chosen(RUNS, 70, 10, random).into_iter().filter_map(|s| run(actor, s, random)).collect(),
            cuda: Vec::new(),
            files: Vec::new(),
            network: Vec::new(),
            disk: Vec::new(),
            http: Vec::new(),
            ledger: ledger(random),
            unread: Vec::new(),
        })
    }
}

impl Actor {
    /// Its processes, which all live.
    pub(crate) fn processes(&self) -> impl Iterator<Item = Process> {
        self.processes.iter().map(|id| Process {
            id: *id,
            parent: None,
            parent_pid: 1,
            executable: Some("/usr/bin/python3.11".to_owned()),
            comm: "python3".to_owned(),
            args: vec!["python3".to_owned(), "agent.py".to_owned()],
            started: time(0),
            ended: None,
            exit: None,
            killer: None,
            cpu_ns: 0,
            cpu_before_ns: 0,
            peak_rss_bytes: 0,
            resources: None,
        })
    }
}

/// Sets of a few states, and the time of threads in some.
fn ledger(random: &mut Random) -> Ledger {
    let mut some =
        || StateSet::from_bits(1 << random.below(52) | 1 << random.below(52) | 1 << random.below(12));
    let sets: Vec<_> = (0..SETS).map(|_| some()).collect();
    let states: Vec<_> = Bit::all().take(STATES as usize).collect();
    let mut ledger = Ledger::default();
    ledger.merge(&Ledger {
        sets: sets.into_iter().map(|set| (set, random.below(400_000_000))).collect(),
        threads: states.into_iter().map(|bit| (bit, random.below(5_000_000_000))).collect(),
    });
    ledger
}

fn frames() -> Vec<Arc<Frame>> {
    let binary = |n| {
        let path = format!("/usr/lib/x86_64-linux-gnu/libexample{n}.so.1");
        Arc::new(Binary { path, build_id: Some(format!("{:040x}", n * 7919)) })
    };
    let binaries: Vec<_> = (0..20u64).map(binary).collect();
    let frame = |n: u64| {
        let script = n.is_multiple_of(2);
        let kind = match (n % 9, script) {
            (0, _) => FrameKind::Kernel,
            (_, true) => FrameKind::Python,
            (_, false) => FrameKind::Native,
        };
        Arc::new(Frame {
            kind,
            function: format!("module_{}::Type{}::function_number_{}", n % 37, n % 111, n % 500),
            file: script.then(|| format!("/usr/lib/python3.11/site-packages/package/file_{}.py", n % 200)),
            line: script.then(|| u32::try_from(n).unwrap_or(0)),
            binary: binaries.get((n % 20) as usize).filter(|_| !script).cloned(),
            address: n * 64,
        })
    };
    (0..FRAMES).map(frame).collect()
}

fn actor(number: u64, frames: &[Arc<Frame>], random: &mut Random) -> Actor {
    let pid = 1000 + 10 * number;
    let root = |n: u64| ProcessId((number * 100 + n + 1) << 22 | (pid + n));
    let mut stack = |_| {
        let depth = 8 + random.below(24);
        let frames = (0..depth).filter_map(|_| frames.get(random.below(FRAMES) as usize).cloned()).collect();
        Arc::new(Stack { frames, end: StackEnd::Complete })
    };
    let stacks = (0..STACKS).map(&mut stack).collect();
    let agent = Agent {
        id: AgentId::new(u32::try_from(pid).unwrap_or(0), time(0).as_millisecond()),
        name: format!("agent {number}"),
        root: root(0),
        created: time(0),
        attached: time(0),
        expires: None,
        ended: None,
        source: AgentSource::Attach,
        probes: ProbeSet::ALL,
        boot_id: "0".repeat(36),
    };
    Actor { agent, processes: (0..PROCESSES as u64).map(root).collect(), stacks }
}

fn call(actor: &Actor, n: u32, random: &mut Random) -> Option<SyscallStat> {
    let (count, middle) = (random.around(20.0), 8 + (n as usize * 5) % 16);
    let mut histogram = Histogram::default();
    for _ in 0..count.min(64) {
        let bucket = middle + random.below(3) as usize + usize::from(random.below(8) == 0);
        *histogram.0.get_mut(bucket.min(BUCKETS - 1))? += 1;
    }
    *histogram.0.get_mut(middle)? += count.saturating_sub(64);
    let total_ns = random.around((count << middle) as f64);
    let longest = (total_ns / count.max(1)).max(1) + random.below((total_ns / 4).max(1));
    Some(SyscallStat {
        process: *actor.processes.get(n as usize % PROCESSES)?,
        number: n * 3,
        count,
        errors: if n.is_multiple_of(5) { vec![(11, 1 + random.below(9))] } else { Vec::new() },
        total_ns,
        max_ns: longest.min(total_ns),
        histogram,
    })
}

/// So many different places, the first ones more often.
fn chosen(count: usize, of: u64, after: usize, random: &mut Random) -> Vec<usize> {
    let mut places = Vec::with_capacity(count);
    while places.len() < count {
        let place = random.skewed(of) + after;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn wait(actor: &Actor, place: usize, random: &mut Random) -> Option<OffCpuStat> {
    let count = random.around(8.0);
    let (blocked_ns, run_queue_ns) = (random.around(3e6 * count as f64), random.around(4e4 * count as f64));
    let whole = blocked_ns + run_queue_ns;
    let longest = if count == 1 { whole } else { whole / count + random.below((blocked_ns / 3).max(1)) };
    let number = u32::try_from(place).ok();
    Some(OffCpuStat {
        process: *actor.processes.get(place % PROCESSES)?,
        cause: *WaitCause::ALL.get(place % WaitCause::ALL.len())?,
        syscall: number.filter(|n| n % 3 > 0),
        descriptor: place.is_multiple_of(4).then_some(Descriptor::Pipe),
        waker: number.filter(|n| n.is_multiple_of(5)).map(|n| 1000 + n),
        stack: Arc::clone(actor.stacks.get(place)?),
        blocked_ns,
        run_queue_ns,
        count,
        max_ns: longest.min(whole),
    })
}

fn run(actor: &Actor, place: usize, random: &mut Random) -> Option<CpuStat> {
    let samples = 1 + random.around(4.0);
    let (process, stack) = (*actor.processes.get(place % PROCESSES)?, actor.stacks.get(place)?.clone());
    Some(CpuStat { process, stack, samples, cpu_ns: samples * 10_309_278 })
}

/// Xorshift: quick, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1u64 << 53) as f64
    }

    /// About log-normal around `middle`.
    fn around(&mut self, middle: f64) -> u64 {
        let spread: f64 = (0..6).map(|_| self.unit()).sum::<f64>() - 3.0;
        (middle * (spread * 1.4).exp()) as u64 + 1
    }

    fn skewed(&mut self, n: u64) -> usize {
        let unit = self.unit();
        (unit * unit * n as f64) as usize
    }
}
