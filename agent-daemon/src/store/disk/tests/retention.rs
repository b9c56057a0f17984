//! Merging and forgetting: sums stay, what is too old or too much goes, names go with the last that needs them.

use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::{QUICK, close, open, overview, sums};
use crate::{
    model::{
        agent::AgentEnd,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        disk::{Options, info},
        fixture::{agent_at, at, busy_window, cpu, numbered_agent, process_at, window_at, windows},
    },
};

/// The beginning of an hour.
fn hour(n: i64) -> Timestamp {
    Timestamp::from_second(1_763_737_200 + n * 3600).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sums_over_whole_hours_agree_before_and_after_merging(
        starts in proptest::collection::vec((0..3 * 3600i64, any::<u32>()), 1..60), late in 0..3 * 3600i64
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path(), QUICK);
        let agent = agent_at(hour(0));
        store.put_agent(agent.clone());
        for (n, (start, seed)) in starts.iter().enumerate() {
            let mut window = busy_window(&agent.id, hour(0) + Duration::from_secs(*start as u64), *seed);
            // Within the hour, so that whole hours hold whole windows.
            window.end = window.end.min(hour(start / 3600 + 1));
            store.append(window);
            if n % 7 == 0 {
                store.compact(hour(3)).unwrap();
            }
        }
        let ranges = [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)].map(|(from, to)| TimeRange { from: hour(from), to: hour(to) });
        let all = || ranges.map(|range| sums(&store, &agent.id, range));
        let before = all();
        let glance = overview(&store, TimeRange::ALL);
        store.compact(hour(3) + Duration::from_secs(86_400)).unwrap();
        prop_assert_eq!(&all(), &before);
        prop_assert_eq!(&overview(&store, TimeRange::ALL), &glance);
        let levels = info(folder.path()).unwrap().levels;
        prop_assert_eq!((levels[0].blocks, levels[2].blocks), (0, 0));
        store.compact(hour(3) + Duration::from_secs(3 * 86_400)).unwrap();
        prop_assert_eq!(&all(), &before);
        prop_assert_eq!(&overview(&store, TimeRange::ALL), &glance);
        let levels = info(folder.path()).unwrap().levels;
        prop_assert_eq!((levels[0].blocks, levels[1].blocks), (0, 0));
        prop_assert_eq!(levels[2].blocks, levels[2].windows, "a window an hour");
        // What comes late joins.
        let mut straggler = busy_window(&agent.id, hour(0) + Duration::from_secs(late as u64), 5);
        straggler.end = straggler.end.min(hour(late / 3600 + 1));
        store.append(straggler);
        let before = all();
        store.compact(hour(3) + Duration::from_secs(3 * 86_400)).unwrap();
        prop_assert_eq!(&all(), &before);
        close(store);
    }
}

#[test]
fn what_is_too_old_goes_with_its_processes_agents_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { keep: Duration::from_secs(86_400), ..QUICK };
    let (store, telemetry) = open(folder.path(), options);
    let (mut old, live) = (numbered_agent(1, at(0)), numbered_agent(2, at(0)));
    for agent in [&old, &live] {
        store.put_agent(agent.clone());
        let mut window = window_at(&agent.id, at(0), 1);
        window.cpu = vec![cpu(100, &["old", "main"], 1)];
        store.append(window);
        let mut process = process_at(3, at(0));
        process.ended = Some(at(3));
        store.put_process(&agent.id, process);
    }
    old.ended = Some((at(9), AgentEnd::Exited));
    store.put_agent(old.clone());
    store.compact(at(10)).unwrap();
    let mut window = window_at(&live.id, at(86_400), 1);
    window.cpu = vec![cpu(100, &["new", "main"], 1)];
    store.append(window);
    store.compact(at(10)).unwrap();
    assert_eq!(info(folder.path()).unwrap().strings, 3);
    store.compact(at(2 * 86_400 + 4)).unwrap();
    assert!(store.agent(&old.id).is_none());
    assert_eq!(store.processes(&live.id, TimeRange::ALL).unwrap().len(), 0);
    assert_eq!(windows(&store, &live.id, TimeRange::ALL).len(), 1);
    let left = info(folder.path()).unwrap();
    assert_eq!((left.agents, left.strings, left.frames, left.stacks), (1, 2, 2, 1));
    assert!(telemetry.losses.all().values().all(|n| *n == 0), "growing old is no loss");
    close(store);
}

#[test]
fn a_store_that_is_too_large_forgets_its_oldest_hours_and_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    let agent = agent_at(hour(0));
    store.put_agent(agent.clone());
    for n in 0..12 {
        for i in 0..40 {
            let mut window = window_at(&agent.id, hour(n) + Duration::from_secs(i * 60), 0);
            window.cpu =
                (0..300).map(|row| cpu(row, &["main"], u64::from(row) * 7919 % 65_521 + i)).collect();
            store.append(window);
        }
        store.compact(hour(n)).unwrap();
    }
    let large = info(folder.path()).unwrap().database_bytes;
    drop(store);
    let limit = large / 2;
    let (store, _) = open(folder.path(), Options { max_bytes: limit, ..QUICK });
    for _ in 0..100 {
        store.maintain(hour(12));
    }
    let known = windows(&store, &agent.id, TimeRange::ALL);
    let small = info(folder.path()).unwrap();
    assert!(small.database_bytes - small.free_bytes <= limit, "{small:?}");
    assert!(small.database_bytes < limit + (2 << 20), "free pages are given back: {small:?}");
    let first = known.first().unwrap().start;
    assert!(first > hour(0) && known.len() > 40, "some history stays");
    assert!(known.iter().zip(known.iter().skip(1)).all(|(a, b)| a.start < b.start));
    assert_eq!(known.last().unwrap().start, hour(11) + Duration::from_secs(39 * 60), "the newest stays");
    close(store);
}

#[test]
fn processes_and_agents_beyond_the_caps_make_room_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_agents: 2, max_processes: 3, ..QUICK };
    let (store, telemetry) = open(folder.path(), options);
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(1, at(0)));
    for pid in 2..10 {
        let mut process = process_at(pid, at(1));
        process.ended = Some(at(i64::from(pid)));
        store.put_process(&agent.id, process);
    }
    store.compact(at(10)).unwrap();
    let pids: Vec<_> =
        store.processes(&agent.id, TimeRange::ALL).unwrap().iter().map(|p| p.id.pid()).collect();
    assert_eq!(pids, [1, 8, 9]);
    assert_eq!(telemetry.losses.all()["process_forgotten"], 6);
    let mut ended = numbered_agent(50, at(1));
    ended.ended = Some((at(2), AgentEnd::Exited));
    store.put_agent(ended.clone());
    store.append(window_at(&ended.id, at(1), 3));
    store.compact(at(11)).unwrap();
    store.put_agent(numbered_agent(51, at(3)));
    assert!(store.agent(&ended.id).is_none());
    store.put_agent(numbered_agent(52, at(3)));
    assert_eq!(store.agents().len(), 2, "no live agent gives way to another");
    assert_eq!(telemetry.losses.all()["agent_forgotten"], 2);
    store.sync().unwrap();
    drop(store);
    let (store, _) = open(folder.path(), options);
    assert_eq!(store.agents().len(), 2);
    store.compact(at(12)).unwrap();
    close(store);
}

#[test]
fn watches_that_nobody_ended_are_closed_when_they_were_last_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    let (seen, unseen) = (numbered_agent(1, at(0)), numbered_agent(2, at(3)));
    store.put_agent(seen.clone());
    store.put_agent(unseen.clone());
    store.append(window_at(&seen.id, at(5), 1));
    store.compact(at(10)).unwrap();
    store.close_watches(AgentEnd::Detached).unwrap();
    let ends = |store: &super::Disk| store.agents().iter().map(|a| a.ended).collect::<Vec<_>>();
    let expected = [Some((at(10), AgentEnd::Detached)), Some((at(3), AgentEnd::Detached))];
    assert_eq!(ends(&store), expected);
    drop(store);
    let (store, _) = open(folder.path(), QUICK);
    assert_eq!(ends(&store), expected);
    close(store);
}

#[test]
fn forgetting_many_agents_is_many_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { keep: Duration::from_secs(86_400), max_agents: 1000, ..QUICK };
    let (store, _) = open(folder.path(), options);
    for pid in 1..=100 {
        let mut agent = numbered_agent(pid, at(0));
        agent.ended = Some((at(9), AgentEnd::Exited));
        store.put_agent(agent.clone());
        store.append(busy_window(&agent.id, at(0), pid));
    }
    store.compact(at(10)).unwrap();
    let mut left = store.agents().len();
    assert_eq!(left, 100);
    while left > 0 {
        store.step_of_forgetting(at(3 * 86_400)).unwrap();
        let now = store.agents().len();
        assert!(left - now <= 1, "{} at once", left - now);
        left = now;
    }
    close(store);
}
