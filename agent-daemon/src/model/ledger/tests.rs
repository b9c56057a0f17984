//! The precedence by example and by property, and that folding never changes a sum.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Bit, Cause, Ledger, Role, StateSet, ThreadState};

fn set(text: &str) -> StateSet {
    text.parse().unwrap()
}

#[test]
fn every_instant_goes_to_the_cause_that_the_table_says() {
    for (states, cause) in [
        ("own.cpu+own.poll+llm_stream+tool.cpu+tool_alive", Cause::AgentCpu),
        ("own.run_queue+own.disk", Cause::RunQueue),
        ("own.page_fault+own.disk", Cause::PageFault),
        ("own.disk+llm_first_token", Cause::Disk),
        ("own.gpu+own.poll", Cause::Gpu),
        ("own.child+tool.timer+tool_alive", Cause::Tool),
        ("own.ipc+tool.cpu", Cause::Tool),
        ("own.child+tool_alive+llm_first_token", Cause::Tool),
        ("own.poll+tool.timer+tool_alive+llm_first_token", Cause::LlmFirstToken),
        ("own.network+llm_stream+llm_first_token", Cause::LlmStream),
        ("own.network+llm_connect", Cause::LlmConnect),
        ("own.poll+tool.timer+tool_alive", Cause::Tool),
        ("own.futex+own.outside+tool.poll+tool_alive", Cause::Idle),
        ("own.terminal+llm_stream", Cause::Idle),
        ("own.timer+llm_first_token", Cause::Idle),
        ("own.lock+own.timer", Cause::Lock),
        ("own.network+own.timer", Cause::Network),
        ("own.poll+network_request", Cause::Network),
        ("own.futex+own.poll+network_response", Cause::Network),
        ("own.poll+network_request+llm_first_token", Cause::LlmFirstToken),
        ("own.poll+network_request+tool.cpu+tool_alive", Cause::Tool),
        ("own.terminal+network_request", Cause::Idle),
        ("own.terminal+own.futex+network_request", Cause::Idle),
        ("own.ipc+helper.ipc+network_request", Cause::Idle),
        ("own.timer+network_response", Cause::Idle),
        ("own.terminal+tool.cpu+tool_alive", Cause::Tool),
        ("own.poll+helper.ipc", Cause::Idle),
        ("own.timer+helper.cpu", Cause::Idle),
        ("own.timer+tool.cpu", Cause::Tool),
        ("own.outside", Cause::Idle),
        ("own.ipc+helper.ipc", Cause::Idle),
        ("own.ipc+helper.poll+tool.network", Cause::Tool),
        ("own.futex", Cause::Lock),
        ("own.child", Cause::Idle),
        ("own.child+own.poll+helper.ipc", Cause::Idle),
        ("own.child+own.poll+helper.ipc+llm_stream", Cause::LlmStream),
        ("own.other", Cause::Unknown),
        ("tool.cpu+tool_alive", Cause::Tool),
        ("", Cause::Unknown),
    ] {
        assert_eq!(set(states).cause(), cause, "{states}");
    }
}

#[test]
fn sets_are_written_by_name_and_read_back() {
    let states = set("own.cpu+tool.poll+helper.outside+llm_stream");
    assert_eq!(states.to_string(), "own.cpu+tool.poll+helper.outside+llm_stream");
    assert_eq!(StateSet::from_bits(u64::MAX).iter().count(), 3 * ThreadState::ALL.len() + 7);
    assert!("own.cpu+own.what".parse::<StateSet>().is_err());
    assert_eq!(set("llm_connect").iter().next().and_then(Bit::thread), None);
    assert_eq!(Bit::of(Role::Tool, ThreadState::Cpu).thread(), Some((Role::Tool, ThreadState::Cpu)));
    assert_eq!(Cause::ALL.map(Cause::name).len(), 13);
}

#[test]
fn what_is_hidden_under_local_work_is_told() {
    let ledger = Ledger {
        sets: vec![(set("own.cpu+llm_first_token"), 70), (set("own.network+llm_first_token"), 30)],
        threads: Vec::new(),
    };
    assert_eq!(ledger.causes()[&Cause::AgentCpu], 70);
    let overlaps = ledger.overlaps();
    assert_eq!(overlaps.into_iter().collect::<Vec<_>>(), [((Cause::LlmFirstToken, Cause::AgentCpu), 70)]);
}

fn ledgers() -> impl Strategy<Value = Ledger> {
    // A few bits of many: sets of all sizes.
    let states = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| StateSet::from_bits(a & b));
    proptest::collection::vec((states, 0..1u64 << 40), 0..60).prop_map(|sets| {
        let mut ledger = Ledger::default();
        ledger.merge(&Ledger { sets, threads: Vec::new() });
        ledger
    })
}

proptest! {
    #[test]
    fn causes_sum_up_to_the_wall(ledger in ledgers()) {
        prop_assert_eq!(ledger.causes().values().sum::<u64>(), ledger.wall_ns());
    }

    #[test]
    fn nothing_hides_itself_nor_more_than_there_is(ledger in ledgers()) {
        for ((hidden, shown), ns) in ledger.overlaps() {
            prop_assert!(hidden != shown && ns <= ledger.causes()[&shown]);
        }
    }

    #[test]
    fn bounding_changes_no_cause(ledger in ledgers(), most in 1..40usize) {
        let mut bounded = ledger.clone();
        let folded = bounded.bound(most);
        prop_assert_eq!(bounded.causes(), ledger.causes());
        prop_assert!(bounded.sets.len() <= most + Cause::ALL.len());
        prop_assert_eq!(folded, ledger.sets.len().saturating_sub(most));
    }

    #[test]
    fn merging_adds_cause_by_cause_in_any_order(a in ledgers(), b in ledgers()) {
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(ab.wall_ns(), a.wall_ns() + b.wall_ns());
    }

    #[test]
    fn the_agents_own_cpu_time_is_never_anything_else(bits in any::<u64>()) {
        let set = StateSet::from_bits(bits | 1 << Bit::of(Role::Own, ThreadState::Cpu).number());
        prop_assert_eq!(set.cause(), Cause::AgentCpu);
        prop_assert_eq!(set.to_string().parse::<StateSet>().unwrap(), set);
    }
}
