//! Scripted agents: what their processes do, and which calls that is.

use std::sync::Arc;

use super::{MAX_CALLS, MAX_NAMES, MAX_SINGLE, Tools};
use crate::{
    aggregate::roster::Roster,
    model::{
        account::Account,
        agent::{Agent, AgentEnd},
        id::{ProcessId, Slot},
        ledger::Verdict,
        observation::Observation,
        operation::{Operation, SERVER, Source, Sums, TOOL, ToolEnd},
        process::Exit,
        record::Record,
    },
    store::fixture::{agent_at, at},
    telemetry::{Loss, Telemetry},
};

const SLOT: Slot = Slot(1);

/// An agent whose root runs `python3 agent.py`.
struct World {
    roster: Roster,
    tools: Tools,
    telemetry: Arc<Telemetry>,
}

fn id(pid: u32) -> ProcessId {
    ProcessId::new(pid, 1 << 30)
}

impl World {
    fn new(root: &[&str]) -> Self {
        let telemetry = Arc::new(Telemetry::default());
        let agent = Agent { root: id(100), ..agent_at(at(0)) };
        let (mut roster, mut tools) = (Roster::new(4), Tools::new(Arc::clone(&telemetry)));
        tools.enter(SLOT, &agent);
        roster.enter(SLOT, agent);
        let mut world = Self { roster, tools, telemetry };
        world.fork(1, 100);
        world.exec(100, 0, root);
        world
    }

    fn see(&mut self, observation: Observation) {
        self.tools.observe(&observation, &self.roster);
        self.roster.observe(observation);
    }

    fn fork(&mut self, parent: u32, child: u32) {
        self.see(Observation::ProcessStarted {
            slot: SLOT,
            process: id(child),
            parent: Some(id(parent)),
            parent_pid: parent,
            comm: "c".to_owned(),
            started: at(0),
            cpu_before_ns: 0,
            peak_rss_bytes: 0,
        });
    }

    fn exec(&mut self, pid: u32, second: i64, args: &[&str]) {
        self.exec_as(pid, second, args, false);
    }

    fn exec_as(&mut self, pid: u32, second: i64, args: &[&str], is_worker: bool) {
        self.see(Observation::ProcessExecuted {
            process: id(pid),
            at: at(second),
            executable: format!("/usr/bin/{}", args[0]),
            comm: args[0].to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            is_worker,
        });
    }

    fn exit(&mut self, pid: u32, second: i64, code: u8) {
        let account = Account { cpu_ns: 1000, written_bytes: 4096, ..Account::default() };
        let (exit, peak_rss_bytes) = (Exit::Code(code), 1 << 20);
        self.see(Observation::ProcessExited {
            process: id(pid),
            at: at(second),
            exit,
            account,
            peak_rss_bytes,
            out_of_memory: false,
        });
    }

    /// Runs a call of one process.
    fn run(&mut self, pid: u32, second: i64, args: &[&str]) {
        self.fork(100, pid);
        self.exec(pid, second, args);
        self.exit(pid, second + 1, 0);
    }

    fn over(&mut self, second: i64) -> Vec<Operation> {
        operations(self.tools.take_over(at(second), &self.roster)).0
    }

    fn leave(&mut self, second: i64) -> Vec<Operation> {
        let record = self.tools.leave(SLOT, at(second), &self.roster);
        self.roster.leave(SLOT, AgentEnd::Detached, at(second));
        operations(record).0
    }
}

fn operations(record: Option<Record>) -> (Vec<Operation>, Vec<Sums>) {
    match record {
        None => (Vec::new(), Vec::new()),
        Some(Record::Operations(arrived)) => (arrived.operations, arrived.sums),
        Some(other) => panic!("no operations: {other:?}"),
    }
}

fn python() -> World {
    World::new(&["python3", "agent.py"])
}

fn end(operation: &Operation) -> ToolEnd {
    operation.tool.as_ref().unwrap().end
}

#[test]
fn a_tree_is_one_call_from_exec_to_the_last_exit() {
    let mut world = python();
    world.fork(100, 101);
    world.exec(101, 10, &["bash", "-c", "cargo test | tail"]);
    world.fork(101, 102);
    world.exec(102, 11, &["cargo", "test"]);
    world.fork(102, 103);
    world.exit(102, 12, 1);
    assert!(world.over(13).is_empty(), "it goes on");
    world.exit(101, 14, 1);
    world.exit(103, 15, 0);
    let [call] = world.over(16).try_into().unwrap();
    assert_eq!((call.name.as_str(), call.kind.as_str(), call.source), ("cargo test", TOOL, Source::Kernel));
    assert_eq!((call.start, call.end(), call.process), (at(10), at(15), Some(id(101))));
    assert_eq!((call.success, call.error_type.as_deref()), (false, Some("exit_1")));
    let tool = call.tool.unwrap();
    assert_eq!((tool.end, tool.exit), (ToolEnd::Exited, Some(Exit::Code(1))));
    let bill = tool.bill;
    assert_eq!(
        (bill.processes, bill.cpu_ns(), bill.written_bytes, bill.peak_rss_bytes),
        (3, 3000, 12_288, 1 << 20)
    );
    assert!(world.over(20).is_empty(), "it is told once");
}

#[test]
fn the_agents_own_processes_are_no_calls() {
    let mut world = python();
    // A worker that executes nothing, and its tool.
    world.fork(100, 101);
    world.fork(101, 102);
    world.exec(102, 5, &["ls"]);
    world.exit(102, 6, 0);
    // The same script again, and what a runtime starts for itself.
    world.fork(100, 103);
    world.exec(103, 5, &["python3", "-u", "agent.py", "--worker"]);
    world.fork(100, 104);
    world.exec_as(104, 5, &["python3", "-c", "[9 bytes]"], true);
    world.fork(104, 105);
    world.exec(105, 6, &["git", "status"]);
    (103..106).for_each(|pid| world.exit(pid, 7, 0));
    // Another script by the same interpreter is a call, and so is the same name elsewhere.
    world.run(106, 8, &["python3", "z.py"]);
    // The root becomes another program, and stays the root.
    world.exec(100, 9, &["python3", "other.py"]);
    world.exit(101, 9, 0);
    let names: Vec<String> = world.over(10).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["ls", "git status", "z.py"]);
    assert!(world.leave(11).is_empty());
}

#[test]
fn a_binary_that_is_no_interpreter_is_own_whatever_its_arguments() {
    let mut world = World::new(&["claude"]);
    world.run(101, 1, &["claude", "--type=renderer"]);
    world.run(102, 2, &["node", "x.js"]);
    let names: Vec<String> = world.over(10).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["x.js"]);
}

#[test]
fn what_a_launcher_launches_is_own() {
    let mut world = World::new(&["npx", "-y", "agent"]);
    world.fork(100, 101);
    world.exec(101, 1, &["sh", "-c", "agent"]);
    world.fork(101, 102);
    world.exec(102, 2, &["node", "agent.js"]);
    world.fork(102, 103);
    world.exec(103, 3, &["sh", "-c", "npm test"]);
    world.exit(103, 4, 0);
    let names: Vec<String> = world.over(10).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["npm test"]);
    let of = |launcher, launched| [(id(launched), Verdict::Own), (id(launcher), Verdict::Launcher)];
    assert_eq!(
        world.tools.take_verdicts(),
        [of(100, 101), of(101, 102)].concat(),
        "the kernel takes them for tools"
    );
}

#[test]
fn what_was_launched_stays_own_whatever_it_executes() {
    let mut world = World::new(&["timeout", "60", "python3", "a.py"]);
    world.fork(100, 101);
    world.exec(101, 1, &["python3", "a.py"]);
    world.exec(101, 2, &["python3", "b.py"]);
    world.exec(101, 3, &["bash", "-c", "python3 c.py"]);
    assert!(world.over(4).is_empty(), "it is the agent");
    world.fork(101, 102);
    world.exec(102, 5, &["python3", "c.py"]);
    world.exit(102, 6, 0);
    let names: Vec<String> = world.over(10).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["c.py"], "its children are its tools");
}

#[test]
fn descendants_that_stay_have_left() {
    let mut world = python();
    world.fork(100, 101);
    world.exec(101, 10, &["sh", "-c", "server &"]);
    world.fork(101, 102);
    world.exit(101, 11, 0);
    assert!(world.over(20).is_empty(), "they may be about to end");
    let [call] = world.over(21).try_into().unwrap();
    assert_eq!((end(&call), call.end(), call.success), (ToolEnd::Left, at(11), true));
    assert_eq!(world.tools.take_verdicts(), [(id(102), Verdict::Left)], "nobody waits for it");
    // What they do later is in no bill, and no call.
    world.fork(102, 103);
    world.exec(103, 22, &["ls"]);
    world.exit(103, 23, 0);
    world.exit(102, 24, 0);
    assert!(world.leave(30).is_empty());
}

#[test]
fn calls_of_an_agent_that_is_let_go_are_unfinished() {
    let mut world = python();
    world.fork(100, 101);
    world.exec(101, 10, &["sleep", "60"]);
    world.see(Observation::ProcessUsage { process: id(101), cpu_ns: 77, peak_rss_bytes: 5, resources: None });
    let [call] = world.leave(12).try_into().unwrap();
    assert_eq!((end(&call), call.end(), call.success), (ToolEnd::Unfinished, at(12), true));
    let bill = call.tool.unwrap().bill;
    assert_eq!((bill.cpu_ns(), bill.peak_rss_bytes), (77, 5), "what was known of it");
}

#[test]
fn an_exit_that_is_not_told_is_waited_for_and_then_said() {
    let mut world = python();
    for pid in [101, 102, 103] {
        world.fork(100, pid);
    }
    [101, 102].iter().for_each(|pid| world.exec(*pid, 10, &["ls"]));
    // They are gone, but of two the kernel's events are still on their way.
    for pid in [101, 102, 103] {
        world.see(Observation::ProcessVanished { process: id(pid), at: at(12) });
    }
    assert!(world.over(13).is_empty(), "they may be told yet");
    world.exit(101, 11, 3);
    world.exec(103, 10, &["git", "status"]);
    world.exit(103, 11, 0);
    let told = world.over(14);
    assert_eq!(told.iter().map(|call| &*call.name).collect::<Vec<_>>(), ["ls", "git status"]);
    assert!(told.iter().all(|call| end(call) == ToolEnd::Exited && call.end() == at(11)));
    let [untold] = world.over(22).try_into().unwrap();
    assert_eq!((end(&untold), untold.success, untold.tool.unwrap().exit), (ToolEnd::Unseen, true, None));
}

#[test]
fn a_thread_that_is_told_late_is_in_the_bill() {
    let mut world = python();
    world.run(101, 1, &["ls"]);
    let account = Account { cpu_ns: 5000, written_bytes: 4096, ..Account::default() };
    world.see(Observation::ProcessAccounted { process: id(101), account, peak_rss_bytes: 0 });
    let [call] = world.over(3).try_into().unwrap();
    let bill = call.tool.unwrap().bill;
    assert_eq!((bill.cpu_ns(), bill.written_bytes, bill.processes), (5000, 4096, 1));
}

#[test]
fn a_pipe_to_the_agent_alone_makes_no_server() {
    let mut world = python();
    world.fork(100, 101);
    world.exec(101, 1, &["mcp-server"]);
    (0..5).for_each(|n| world.run(200 + n, 2, &["ls"]));
    assert_eq!(world.over(5).len(), 5);
    // There is no such process, so nobody can say what its input leads to.
    world.exit(101, 60, 0);
    let [call] = world.over(60).try_into().unwrap();
    assert_ne!(call.kind, SERVER);
}

#[test]
fn a_server_that_ends_between_two_looks_is_one() {
    let kinds = |is_served: fn(ProcessId, ProcessId) -> bool, outlived: u32, lived: i64| {
        let mut world = python();
        world.tools.is_served = is_served;
        world.fork(100, 101);
        world.exec(101, 1, &["mcp-server"]);
        assert!(world.over(7).is_empty(), "it is looked at while it lives");
        (0..outlived).for_each(|n| world.run(200 + n, 8, &["ls"]));
        world.exit(101, 1 + lived, 0);
        let over = world.over(60);
        over.iter().map(|call| call.kind.clone()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(|_, _| true, 2, 21), [SERVER, TOOL, TOOL]);
    assert_eq!(kinds(|_, _| true, 2, 9), [TOOL; 3], "it lived too short");
    assert_eq!(kinds(|_, _| true, 1, 21), [TOOL; 2], "it outlived too few");
    assert_eq!(kinds(|_, _| false, 2, 21), [TOOL; 3], "its agent does not speak to it");
}

#[test]
fn names_and_open_calls_are_bounded() {
    let mut world = python();
    for n in 0..MAX_NAMES as u32 + 5 {
        world.run(200 + n, 1, &[&format!("tool{n}")]);
    }
    let calls = world.over(2);
    assert_eq!(calls.iter().filter(|call| call.name == "other").count(), 5);
    for n in 0..MAX_CALLS as u32 + 7 {
        world.fork(100, 10_000 + n);
        world.exec(10_000 + n, 3, &["sleep", "9"]);
    }
    let lost =
        world.telemetry.losses.all().into_iter().find(|(name, _)| *name == Loss::ToolCallDropped.name());
    assert_eq!(lost.map(|(_, n)| n), Some(7));
    assert_eq!(world.leave(4).len(), MAX_CALLS);
}

#[test]
fn of_many_calls_in_a_window_some_are_added_up() {
    let mut world = python();
    let many = MAX_SINGLE as u32 + 300;
    for n in 0..many {
        world.fork(100, 1000 + n);
        world.exec(1000 + n, 1, &["ls"]);
        world.exit(1000 + n, 2, u8::from(n % 2 == 0));
    }
    let (single, sums) = operations(world.tools.take_over(at(3), &world.roster));
    let [sums] = sums.try_into().unwrap();
    let sum = sums.rows.values().next().unwrap();
    assert_eq!((single.len(), sum.count, sum.errors, sums.rows.len()), (MAX_SINGLE, 300, 150, 1));
    assert_eq!((sum.bill.cpu_ns(), sum.bill.processes), (300_000, 300));
    let mut ids: Vec<u64> = single.iter().map(|call| call.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MAX_SINGLE, "no id twice");
}
