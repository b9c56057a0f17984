//! What a store tells, shown as it would have been scraped.

use super::*;
use crate::{
    model::{
        cuda::{CudaCall, CudaStat},
        operation::Operation,
    },
    store::{
        Limits, Memory,
        fixture::{agent_at, at, cpu, ledger, llm_call_at, process_at, process_id, window_at},
    },
};

#[test]
fn stored_windows_give_the_rates_that_were_scraped() {
    let store = Memory::new(
        Limits { keep: Duration::from_secs(u32::MAX.into()), ..Limits::default() },
        Arc::default(),
    );
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    for start in (0..100).step_by(5) {
        let mut window = window_at(&agent.id, at(start), 0);
        window.cpu = vec![cpu(100, &["hot", "main"], 100)];
        store.append(window);
    }
    let mut seen: Vec<(Timestamp, f64)> = Vec::new();
    let range = TimeRange { from: at(0), to: at(101) };
    replay(&store, (range, Detail::Sums), &|_| Duration::from_secs(5), &mut |now, samples| {
        let wanted = |name: &str| name == "agentperf_agent_cpu_seconds_total";
        samples.samples(now, &wanted, &mut |_, labels, value| {
            assert_eq!(labels.first(), Some(&("agent", "worker")));
            seen.push((now, value));
        });
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen.len(), 21, "{seen:?}");
    let one = store_cpu(&agent, &store);
    let (first, last) = (seen[0].1, seen[20].1);
    assert_eq!(first, 0.0);
    assert!((last - one).abs() < 1e-9, "{last} {one}");
    assert!(seen.windows(2).all(|pair| pair[0].1 <= pair[1].1));
}

#[test]
fn ledgers_and_calls_of_cuda_come_back() {
    let keep = Duration::from_secs(u32::MAX.into());
    let store = Memory::new(Limits { keep, ..Limits::default() }, Arc::default());
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    let mut window = window_at(&agent.id, at(0), 0);
    window.ledger = ledger(1);
    let launches = CudaStat::new(process_id(100), CudaCall::Launch);
    window.cuda = vec![CudaStat { calls: 7, ..launches }];
    let wall = window.ledger.wall_ns() as f64 / 1e9;
    store.append(window);
    let (mut seconds, mut calls) = (0.0, 0.0);
    let range = TimeRange { from: at(0), to: at(11) };
    replay(&store, (range, Detail::Sums), &|_| Duration::from_secs(10), &mut |now, samples| {
        (seconds, calls) = (0.0, 0.0);
        samples.samples(now, &|_| true, &mut |name, _, value| match name {
            "agentperf_agent_ledger_seconds_total" => seconds += value,
            "agentperf_agent_cuda_calls_total" => calls += value,
            _ => {}
        });
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!((seconds - wall).abs() < 1e-9 && wall > 0.0, "{seconds} of {wall}");
    assert_eq!(calls, 7.0);
}

#[test]
fn what_models_cost_before_a_restart_counts_against_the_days_budget() {
    let keep = Duration::from_secs(u32::MAX.into());
    let store = Memory::new(Limits { keep, ..Limits::default() }, Arc::default());
    let agent = agent_at(at(0));
    store.put_agent(agent.clone());
    let call = |second| Operation { agent: Some(agent.id.clone()), ..llm_call_at(at(second), 7) };
    store.put_operations(Arrived { operations: vec![call(10), call(20)], sums: Vec::new(), place: None });
    let (mut usd, mut tokens) = (Vec::new(), Vec::new());
    let range = TimeRange { from: at(0), to: at(31) };
    replay(&store, (range, Detail::Sums), &|_| Duration::from_secs(15), &mut |now, samples| {
        tokens.push(0.0);
        samples.samples(now, &|_| true, &mut |name, _, value| match name {
            "agentperf_llm_cost_usd_total" => usd.push(value),
            "agentperf_llm_tokens_total" => *tokens.last_mut().unwrap() += value,
            _ => {}
        });
        ControlFlow::Continue(())
    })
    .unwrap();
    // What an increase is told by begins at 0. A call costs 7 picodollars and reads and writes 7 tokens each.
    assert_eq!(usd, [0.0, 7e-12, 14e-12]);
    assert_eq!(tokens, [0.0, 14.0, 28.0]);
}

fn store_cpu(agent: &Agent, store: &Memory) -> f64 {
    let mut ns = 0;
    store.visit(&agent.id, TimeRange::ALL, &mut |window| ns += Summary::of(window).sums.cpu_ns).unwrap();
    ns as f64 / 1e9
}

#[test]
fn nothing_is_shown_of_the_time_before_anything_was_stored() {
    let keep = Duration::from_secs(u32::MAX.into());
    let store = Memory::new(Limits { keep, ..Limits::default() }, Arc::default());
    let visited = |store: &Memory| {
        let mut visited = Vec::new();
        let range = TimeRange { from: at(0), to: at(100_000) };
        replay(store, (range, Detail::Sums), &|_| Duration::from_secs(15), &mut |now, _| {
            visited.push(now);
            ControlFlow::Continue(())
        })
        .unwrap();
        visited
    };
    assert_eq!(visited(&store), []);
    store.put_agent(agent_at(at(90_010)));
    let visited = visited(&store);
    // At the first of these counters stand at 0 yet, and all lie where they would have lain.
    assert_eq!(visited[..2], [at(90_000), at(90_015)]);
    assert_eq!(visited.len(), 667);
}
