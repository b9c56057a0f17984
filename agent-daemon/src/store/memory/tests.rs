//! The store's bounds, order and retention.

use std::{sync::Arc, time::Duration};

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};

use super::{Limits, Memory};
use crate::{
    model::{
        agent::{Agent, AgentEnd},
        process::Exit,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        fixture::{agent_at, at, host_window_at, numbered_agent, process_at, window_at, windows},
    },
    telemetry::Telemetry,
};

const SMALL: Limits = Limits {
    keep: Duration::from_secs(60),
    max_rows: 20,
    max_processes: 3,
    max_processes_total: 5,
    max_agents: 4,
    max_operations: 10,
    max_host_rows: 600,
};

fn small() -> (Memory, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::default());
    (Memory::new(SMALL, telemetry.clone()), telemetry)
}

fn lost(telemetry: &Telemetry, name: &str) -> u64 {
    telemetry.losses.all()[name]
}

#[test]
fn the_oldest_window_of_all_agents_makes_room() {
    let (store, telemetry) = small();
    let (a, b) = (numbered_agent(1, at(0)), numbered_agent(2, at(1)));
    store.put_agent(a.clone());
    store.put_agent(b.clone());
    store.append(window_at(&a.id, at(0), 9));
    store.append(window_at(&b.id, at(5), 9));
    assert_eq!(lost(&telemetry, "window_dropped"), 0);
    store.append(window_at(&b.id, at(10), 0));
    assert_eq!(windows(&store, &a.id, TimeRange::ALL).len(), 0);
    assert_eq!(windows(&store, &b.id, TimeRange::ALL).len(), 2);
    assert_eq!(lost(&telemetry, "window_dropped"), 1);
}

#[test]
fn a_second_watch_takes_no_ghost_along() {
    let (store, _) = small();
    let mut agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    store.put_process(&agent.id, process_at(101, at(0)));
    agent.ended = Some((at(10), AgentEnd::Detached));
    store.put_agent(agent.clone());
    let lived = |from| {
        let range = TimeRange { from, ..TimeRange::ALL };
        let processes = store.processes(&agent.id, range).unwrap().into_iter();
        processes.map(|p| (p.id.pid(), p.ended)).collect::<Vec<_>>()
    };
    assert_eq!(lived(at(20)), [(100, None), (101, None)], "who outlived the watch may live still");
    let again = Agent { attached: at(20), ended: None, ..agent.clone() };
    store.put_agent(again.clone());
    store.put_process(&again.id, process_at(100, at(0)));
    assert_eq!(lived(at(20)), [(100, None)], "101 was not found again");
    assert_eq!(lived(at(0)), [(100, None), (101, Some(at(10)))]);
    store.maintain(at(71));
    assert_eq!(lived(at(0)), [(100, None)]);
}

#[test]
fn a_window_larger_than_everything_is_counted_and_not_kept() {
    let (store, telemetry) = small();
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.append(window_at(&agent.id, at(0), 500));
    assert_eq!(windows(&store, &agent.id, TimeRange::ALL).len(), 0);
    assert_eq!(lost(&telemetry, "window_dropped"), 1);
}

#[test]
fn windows_come_oldest_first_and_whole() {
    let (store, _) = small();
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    for start in [10, 0, 5] {
        store.append(window_at(&agent.id, at(start), 1));
    }
    let starts = |from, to| -> Vec<_> {
        let range = TimeRange { from: at(from), to: at(to) };
        windows(&store, &agent.id, range).iter().map(|w| w.start).collect()
    };
    assert_eq!(starts(0, 100), [at(0), at(5), at(10)]);
    assert_eq!(starts(4, 6), [at(0), at(5)], "a window that overlaps belongs to the range");
    assert_eq!(starts(5, 10), [at(5)], "ranges are half-open");
}

#[test]
fn what_belongs_to_nobody_is_a_counted_loss() {
    let (store, telemetry) = small();
    let stranger = agent_at(at(0)).id;
    store.append(window_at(&stranger, at(0), 1));
    store.put_process(&stranger, process_at(1, at(0)));
    assert_eq!(lost(&telemetry, "window_dropped"), 1);
    assert_eq!(lost(&telemetry, "process_forgotten"), 1);
}

#[test]
fn the_process_that_ended_first_makes_room_and_live_ones_stay() {
    let (store, telemetry) = small();
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    for pid in 101..110 {
        store.put_process(&agent.id, process_at(pid, at(1)));
        let mut over = process_at(pid, at(1));
        (over.ended, over.exit) = (Some(at(i64::from(pid))), Some(Exit::Code(0)));
        store.put_process(&agent.id, over);
    }
    let pids: Vec<_> =
        store.processes(&agent.id, TimeRange::ALL).unwrap().iter().map(|p| p.id.pid()).collect();
    assert_eq!(pids, [100, 108, 109]);
    assert_eq!(lost(&telemetry, "process_forgotten"), 7);
}

#[test]
fn processes_are_chosen_by_the_time_they_lived() {
    let (store, _) = small();
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    let mut early = process_at(101, at(0));
    early.ended = Some(at(10));
    store.put_process(&agent.id, early);
    store.put_process(&agent.id, process_at(102, at(20)));
    let pids = |from, to| -> Vec<_> {
        let range = TimeRange { from: at(from), to: at(to) };
        store.processes(&agent.id, range).unwrap().iter().map(|p| p.id.pid()).collect()
    };
    assert_eq!(pids(0, 100), [101, 102]);
    assert_eq!(pids(11, 15), [] as [u32; 0]);
    assert_eq!(pids(11, 21), [102]);
    assert_eq!(pids(5, 6), [101]);
}

#[test]
fn what_is_older_than_keep_is_forgotten_without_a_loss() {
    let (store, telemetry) = small();
    let (old, live) = (numbered_agent(1, at(0)), numbered_agent(2, at(0)));
    store.put_agent(old.clone());
    store.put_agent(live.clone());
    store.put_process(&old.id, process_at(1, at(0)));
    let mut child = process_at(3, at(1));
    child.ended = Some(at(2));
    store.put_process(&live.id, process_at(2, at(0)));
    store.put_process(&live.id, child);
    store.append(window_at(&live.id, at(0), 1));
    store.append(window_at(&live.id, at(30), 1));
    let mut ended = old.clone();
    ended.ended = Some((at(3), AgentEnd::Exited));
    store.put_agent(ended);
    store.maintain(at(62));
    assert!(store.agent(&old.id).is_some());
    store.maintain(at(65));
    assert!(store.agent(&old.id).is_none());
    assert_eq!(store.agents().len(), 1);
    assert_eq!(store.processes(&live.id, TimeRange::ALL).unwrap().len(), 1);
    assert_eq!(windows(&store, &live.id, TimeRange::ALL).len(), 1);
    assert!(telemetry.losses.all().values().all(|n| *n == 0));
    assert_eq!(store.read().processes, 1);
    assert_eq!(store.read().rows, 2);
}

#[test]
fn the_agent_that_ended_first_makes_room() {
    let (store, telemetry) = small();
    for pid in 1..=4 {
        store.put_agent(numbered_agent(pid, at(i64::from(pid))));
    }
    store.put_agent(numbered_agent(5, at(5)));
    assert_eq!(store.agents().len(), 4, "no live agent gives way to another");
    let mut ended = numbered_agent(2, at(2));
    ended.ended = Some((at(9), AgentEnd::Detached));
    store.put_agent(ended);
    store.put_agent(numbered_agent(5, at(5)));
    let pids: Vec<_> = store.agents().iter().map(|a| a.root.pid()).collect();
    assert_eq!(pids, [1, 3, 4, 5]);
    assert_eq!(lost(&telemetry, "agent_forgotten"), 2);
}

/// One thing that can be done to a store.
#[derive(Clone, Debug)]
enum Step {
    Agent { pid: u32, ended: bool },
    Process { agent: u32, pid: u32, ended: Option<i64> },
    Window { agent: u32, start: i64, rows: u32 },
    Expire(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let ended = prop_oneof![Just(None), (0i64..100).prop_map(Some)];
    prop_oneof![
        (0..8u32, any::<bool>()).prop_map(|(pid, ended)| Step::Agent { pid, ended }),
        (0..8u32, 0..12u32, ended).prop_map(|(agent, pid, ended)| Step::Process { agent, pid, ended }),
        (0..8u32, 0..200i64, 0..30u32).prop_map(|(agent, start, rows)| Step::Window { agent, start, rows }),
        (0..300i64).prop_map(Step::Expire),
    ]
}

fn apply(store: &Memory, step: Step) {
    let id = |pid| numbered_agent(pid, at(0)).id;
    match step {
        Step::Agent { pid, ended } => {
            let mut agent = numbered_agent(pid, at(0));
            agent.ended = ended.then_some((at(50), AgentEnd::Exited));
            store.put_agent(agent);
        }
        Step::Process { agent, pid, ended } => {
            let mut process = process_at(pid, at(0));
            process.ended = ended.map(at);
            store.put_process(&id(agent), process);
        }
        Step::Window { agent, start, rows } => store.append(window_at(&id(agent), at(start), rows)),
        Step::Expire(now) => store.maintain(at(now)),
    }
}

proptest! {
    #[test]
    fn the_store_never_exceeds_its_bounds(steps in proptest::collection::vec(step(), 0..200)) {
        let (store, _) = small();
        for step in steps {
            apply(&store, step);
            let kept = store.read();
            let windows = || kept.agents.values().flat_map(|a| &a.windows);
            prop_assert!(kept.agents.len() <= SMALL.max_agents);
            prop_assert!(kept.agents.values().all(|a| a.processes.len() <= SMALL.max_processes));
            prop_assert!(kept.processes <= SMALL.max_processes_total);
            prop_assert!(kept.rows <= SMALL.max_rows);
            // The books are right.
            prop_assert!(kept.processes == kept.agents.values().map(|a| a.processes.len()).sum::<usize>());
            prop_assert!(kept.rows == windows().map(|w| w.rows() + 1).sum::<usize>());
            for agent in kept.agents.values() {
                prop_assert!(agent.windows.iter().is_sorted_by_key(|w| w.start));
                let ended = agent.processes.values().filter(|p| p.ended.is_some()).count();
                prop_assert!(agent.ended.len() == ended);
            }
        }
    }

    #[test]
    fn everything_that_has_ended_is_forgotten_in_time(steps in proptest::collection::vec(step(), 0..100)) {
        let (store, _) = small();
        for step in steps {
            apply(&store, step);
        }
        store.maintain(at(1000));
        let kept = store.read();
        prop_assert!(kept.rows == 0);
        prop_assert!(kept.agents.values().all(|a| a.agent.ended.is_none() && a.ended.is_empty()));
    }
}

#[test]
fn a_range_of_everything_needs_no_clock() {
    let (store, _) = small();
    store.maintain(Timestamp::MIN);
    assert_eq!(store.agents().len(), 0);
}

#[test]
fn windows_of_the_host_are_bounded_and_grow_old() {
    let telemetry = Arc::new(Telemetry::default());
    // Of twelve rows each.
    let limits = Limits { keep: Duration::from_secs(3600), ..SMALL };
    let store = Memory::new(limits, telemetry.clone());
    (0..150).for_each(|n| store.put_host(host_window_at(at(5 * n), 1)));
    let count = || {
        let mut count = 0;
        store.visit_host(TimeRange::ALL, &mut |_| count += 1).unwrap();
        count
    };
    assert_eq!((count(), telemetry.losses.all()["host_window_dropped"]), (50, 100));
    store.maintain(at(3600 + 625));
    assert_eq!((count(), telemetry.losses.all()["host_window_dropped"]), (25, 100));
}
