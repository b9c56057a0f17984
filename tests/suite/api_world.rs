//! A daemon without a kernel: the real HTTP server on a free port, over the real store, with data that was
//! made up here and an agents' owner that does what the pid says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agentperf::{
    api,
    config::{Budget, Project, Secret},
    export::prometheus::Metrics,
    ingest::Ingest,
    model::{
        agent::{Agent, AgentEnd, AgentSource},
        blocked::{ThreadWait, Waits, WaitsError},
        cgroup::{Cgroup, MemoryLimit},
        control::{AttachError, AttachRequest, Command, Control, DetachError},
        id::{AgentId, ProcessId, Slot},
        ledger::{Role, ThreadState},
        probe::{Probe, ProbeSet, ProbeState, ProbeStatus},
        process::{Exit, Process, Resources},
        record::{Arrived, Record},
        signal::Killer,
        time::Timestamp,
    },
    store::{Limits, Memory, Store, writer},
    telemetry::{HostInfo, Loss, Telemetry},
};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};

use crate::{
    api_alerts::alerts,
    api_system, api_tools,
    api_windows::{busy, sampled},
};

/// When the data begins: far enough back to be closed, near enough to be kept.
pub(crate) fn begin() -> Timestamp {
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now - 600).unwrap()
}

/// A running server.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Memory>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) stop: watch::Sender<bool>,
    /// Flushes that were asked for.
    pub(crate) flushes: Arc<AtomicUsize>,
    /// Start of the data.
    pub(crate) begin: Timestamp,
    pub(crate) live: AgentId,
    pub(crate) ended: AgentId,
    /// The id of a silence that is in force.
    pub(crate) silence: String,
    pub(crate) server: Option<tokio::task::JoinHandle<()>>,
    /// Keeps the way to the store open for the doors.
    pub(crate) _records: mpsc::Sender<Record>,
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let telemetry = Arc::new(Telemetry::default());
        let store = Arc::new(Memory::new(Limits::default(), telemetry.clone()));
        let begin = begin();
        let (live, ended) = (live_agent(begin), ended_agent(begin));
        let ids = (live.id.clone(), ended.id.clone());
        fill(&store, &telemetry, begin, live, ended);
        api_system::fill(store.as_ref(), begin);

        let (control, commands) = Control::channel();
        let flushes = Arc::new(AtomicUsize::new(0));
        let owner = Owner { store: store.clone(), flushes: flushes.clone(), live: ids.0.clone() };
        runtime.spawn(owner.run(commands));

        let kept: Arc<dyn Store> = store.clone();
        let (ready, ready_rx) = watch::channel(true);
        let (stop, stop_rx) = watch::channel(false);
        let listener = runtime.block_on(api::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new(100, telemetry.clone(), HostInfo::read(), Budget::default()));
        let (records, recorded) = mpsc::channel(64);
        let ingest = Ingest::new(&[shop()], &records, &[7; 32], telemetry.clone());
        runtime.spawn(async move { writer::spawn(kept, recorded, Vec::new()).await });
        let (told, shown) = (telemetry.clone(), metrics.clone());
        let state = api::State::new(store.clone(), control, told, HostInfo::read(), shown, ready_rx, address);
        let (alerts, silence) = runtime.block_on(alerts(&store, &metrics, &telemetry, &stop));
        let state = state.with_ingest(Arc::new(ingest)).with_system(api_system::kind()).with_alerts(alerts);
        let server = Some(runtime.spawn(api::serve(listener, api::router(state), stop_rx)));
        drop(_inside);
        Self {
            address,
            store,
            telemetry,
            ready,
            stop,
            flushes,
            begin,
            live: ids.0,
            ended: ids.1,
            silence,
            server,
            _records: records,
            runtime,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The path of something below the live agent.
    pub(crate) fn of_live(&self, what: &str) -> String {
        format!("/api/v1/agents/{}{what}", self.live)
    }
}

/// The key of the one project.
pub(crate) const KEY: &str = "the-key-of-the-shop";

/// The project that applications and pages may send to.
fn shop() -> Project {
    Project {
        name: "shop".into(),
        key: Secret::new(KEY).unwrap(),
        origins: vec!["https://shop.example".into()],
        rate: 1000,
        sample: 1.0,
        labels: Vec::new(),
        plain_users: false,
    }
}

/// Does what the pid says.
struct Owner {
    store: Arc<Memory>,
    flushes: Arc<AtomicUsize>,
    live: AgentId,
}

impl Owner {
    async fn run(self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Attach(request, answer) => drop(answer.send(self.attach(&request))),
                Command::Detach(id, answer) => drop(answer.send(self.detach(&id))),
                Command::Waits(id, answer) => drop(answer.send(self.waits(id))),
                Command::Flush(answer) => {
                    self.flushes.fetch_add(1, Ordering::SeqCst);
                    self.store.append(sampled(&self.live, Timestamp::now()));
                    let _ = answer.send(());
                }
            }
        }
    }

    fn attach(&self, request: &AttachRequest) -> Result<Agent, AttachError> {
        match request.pid {
            2 => Err(AttachError::KernelThread(2)),
            3 => Err(AttachError::Zombie(3)),
            4 => Err(AttachError::Thread { tid: 4, pid: 100 }),
            5 => Err(AttachError::OwnProcess(5)),
            6 => Err(AttachError::Unavailable("the kernel has no BTF".into())),
            7 => Err(AttachError::TooMany(256)),
            8 => Err(AttachError::ShuttingDown),
            9 => Err(AttachError::NoSuchProcess(9)),
            10 => Err(AttachError::Taken(10)),
            12 => Err(AttachError::Hidden(12)),
            11 => Err(AttachError::Failed("a map of the kernel programs failed".into())),
            100..110 => Err(AttachError::AlreadyAttached { pid: request.pid, agent: self.live.clone() }),
            pid if self.live(pid).is_some() => {
                Err(AttachError::AlreadyAttached { pid, agent: self.live(pid).unwrap() })
            }
            pid => {
                let mut agent = agent(pid, Timestamp::now(), request.probes.unwrap_or(ProbeSet::ALL));
                agent.name = request.name.clone().unwrap_or_else(|| "python3".into());
                agent.expires = request.duration.map(|d| agent.attached + d);
                self.store.put_agent(agent.clone());
                self.store.put_process(&agent.id, process(pid, 1, agent.created));
                Ok(agent)
            }
        }
    }

    /// The root of the live agent waits for its child, which sleeps.
    fn waits(&self, id: AgentId) -> Result<Waits, WaitsError> {
        if id != self.live {
            return Err(WaitsError::NotWatched(id));
        }
        let thread = |pid: u32, parent_pid, role, state, syscall| ThreadWait {
            process: process_id(pid),
            tid: pid,
            parent_pid,
            slot: Slot(1),
            role,
            state: Some(state),
            since: Some(begin()),
            syscall: Some(syscall),
            descriptor: None,
            argument: u64::MAX,
            futex_waker: None,
        };
        let threads = vec![
            thread(100, 1, Role::Own, ThreadState::Child, 61),
            thread(103, 100, Role::Tool, ThreadState::Timer, 230),
        ];
        let agents = [(Slot(1), id)].into_iter().collect();
        Ok(Waits { at: Timestamp::now(), slot: Slot(1), root: process_id(100), threads, agents })
    }

    /// The live agent with this root.
    fn live(&self, pid: u32) -> Option<AgentId> {
        let agents = self.store.agents().into_iter();
        agents.filter(|a| a.ended.is_none() && a.root.pid() == pid).map(|a| a.id).next_back()
    }

    fn detach(&self, id: &AgentId) -> Result<Agent, DetachError> {
        let mut agent = self.store.agent(id).ok_or_else(|| DetachError::NoSuchAgent(id.clone()))?;
        if agent.ended.is_some() {
            // As the true owner, who has forgotten it by now.
            return Err(DetachError::NoSuchAgent(id.clone()));
        }
        let mut window = sampled(id, Timestamp::now());
        window.cpu.iter_mut().for_each(|c| c.process = agent.root);
        self.store.append(window);
        agent.ended = Some((Timestamp::now(), AgentEnd::Detached));
        self.store.put_agent(agent.clone());
        Ok(agent)
    }
}

/// The process of this pid, started at the same moment as every other.
pub(crate) fn process_id(pid: u32) -> ProcessId {
    ProcessId(1000 << 22 | u64::from(pid))
}

fn agent(pid: u32, created: Timestamp, probes: ProbeSet) -> Agent {
    Agent {
        id: AgentId::new(pid, created.as_millisecond()),
        name: "python3".into(),
        root: process_id(pid),
        created,
        attached: created,
        expires: None,
        ended: None,
        source: AgentSource::Attach,
        probes,
        boot_id: "5b1b3f0c-0000-4000-8000-000000000000".into(),
    }
}

fn live_agent(begin: Timestamp) -> Agent {
    let mut agent = agent(100, begin, ProbeSet::ALL);
    agent.name = "coder <1>".into();
    agent.source = AgentSource::Rule("claude-code".into());
    agent
}

/// Watched by CPU samples alone, and nothing of it was sampled.
fn ended_agent(begin: Timestamp) -> Agent {
    let mut agent = agent(200, begin, ProbeSet::from_iter([Probe::Cpu]));
    agent.ended = Some((begin + Duration::from_secs(60), AgentEnd::Exited));
    agent
}

pub(crate) fn process(pid: u32, parent: u32, started: Timestamp) -> Process {
    Process {
        id: process_id(pid),
        parent: (parent > 1).then(|| process_id(parent)),
        parent_pid: parent,
        executable: Some("/usr/bin/python3.11".into()),
        comm: "python3".into(),
        args: vec!["python3".into(), "agent.py".into()],
        started,
        ended: None,
        exit: None,
        killer: None,
        cpu_ns: 2_234_567_891,
        cpu_before_ns: 1_000_000_000,
        peak_rss_bytes: 64 << 20,
        resources: Some(Resources {
            rss_bytes: 32 << 20,
            pss_bytes: Some(31 << 20),
            threads: 4,
            descriptors: Some(9),
            context_switches: None,
            rss_slope: Some(1024),
            cgroup: Some(Cgroup {
                id: 7,
                cpu_limit_millis: Some(500),
                throttled_ns: 250_000_000,
                memory: Some(MemoryLimit { limit_bytes: 1 << 30, used_bytes: 1 << 29 }),
            }),
        }),
    }
}

fn fill(store: &Memory, telemetry: &Telemetry, begin: Timestamp, live: Agent, ended: Agent) {
    let after = |seconds| begin + Duration::from_secs(seconds);
    let id = live.id.clone();
    telemetry.losses.count(Loss::SymbolsUnread);
    telemetry.losses.add(Loss::RowsMerged, 7);
    for agent in [live, ended] {
        store.put_agent(agent);
    }
    store.put_process(&id, process(100, 1, begin));
    let mut shell = process(101, 100, after(1));
    (shell.comm, shell.ended, shell.exit) = ("sh".into(), Some(after(3)), Some(Exit::Code(7)));
    let mut killed = process(102, 101, after(2));
    (killed.ended, killed.exit) = (Some(after(3)), Some(Exit::Signal { number: 9, core_dumped: false }));
    killed.killer = Some(Killer::Process { pid: 101, comm: "sh".to_owned() });
    for child in [shell, killed, process(103, 100, after(300))] {
        store.put_process(&id, child);
    }
    let operations = api_tools::calls(&id, begin);
    store.put_operations(Arrived { operations, sums: Vec::new(), place: None });
    store.append(busy(&id, begin));
    store.append(busy(&id, after(5)));
    telemetry.set_probes(vec![
        ProbeStatus {
            name: "sched_switch",
            purpose: "off-CPU time",
            probes: ProbeSet::EMPTY,
            state: ProbeState::Ready,
            attached: true,
            reason: None,
        },
        ProbeStatus {
            name: "task_storage",
            purpose: "per-thread state",
            probes: ProbeSet::EMPTY,
            state: ProbeState::Substituted,
            attached: false,
            reason: Some("the kernel is older than 5.11: a hash by tid stands in".into()),
        },
    ]);
}
