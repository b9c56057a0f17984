//! Turns: what an agent did from the end of one idle gap to the beginning of the next, as a person has it who asks, waits
//! and reads.
//!
//! The rule: an agent is busy while it calls a model, while a tool call goes on, and in windows without either of which it
//! was idle for less than half. A stretch of at least `gap` in which it is not busy divides two turns; what is shorter is
//! part of one. A turn's calls and tools are those that begin in it. Of a window that lies in it in part, its ledger has what
//! was not idle, since the gap is, and as much idle time as fills that part; several turns share what was not idle by their
//! parts.
//!
//! Limits: tool calls that are kept only as sums are in no turn, and a call is known once it is over; so a turn that goes
//! on ends, as far as is told, with the last call that did. A gap may also be a timer's. Of more turns than
//! [`MAX_TURNS`], the first are left out.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{
        id::AgentId,
        ledger::{Cause, Ledger, StateSet},
        operation::{Kept, Operation},
        price::Cost,
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// How long an agent is idle between two turns, unless something else is asked for.
pub const TURN_GAP: Duration = Duration::from_secs(5);
/// Turns of an answer.
const MAX_TURNS: usize = 1000;

/// A turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// From the first thing that it did to the last.
    pub range: TimeRange,
    /// Calls of models, and how many of them failed.
    pub llm_calls: (u64, u64),
    /// Tool calls, and how many of them failed.
    pub tool_calls: (u64, u64),
    /// Tokens that models read and wrote, as far as providers told; `None` where none did.
    pub tokens: (Option<u64>, Option<u64>),
    /// What the calls cost whose price is known.
    pub cost: Cost,
    /// Where the time went.
    pub ledger: Ledger,
}

/// The turns of an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turns {
    /// In the order of time.
    pub turns: Vec<Turn>,
    /// Whether there were more before.
    pub truncated: bool,
}

/// An agent's turns, which idle gaps of at least `gap` divide.
///
/// # Errors
/// The store cannot be read.
pub fn turns(
    store: &dyn Store,
    agent: &AgentId,
    range: TimeRange,
    gap: Duration,
) -> Result<Turns, StoreError> {
    let mut busy = Busy { gap, stretches: BTreeMap::new(), truncated: false };
    store.visit_operations(range, &mut |kept| {
        if let Some(operation) = work(&kept, agent) {
            busy.add(operation.start, operation.end());
        }
    })?;
    store.visit(agent, range, &mut |window| {
        if window.is_busy() && busy.at(window.start, window.end).is_none() {
            busy.add(window.start, window.end);
        }
    })?;
    let mut turns: BTreeMap<Timestamp, Turn> =
        busy.stretches.iter().map(|(from, to)| (*from, Turn::new(*from, *to))).collect();
    store.visit_operations(range, &mut |kept| {
        if let Some(operation) = work(&kept, agent)
            && let Some(turn) = busy.at(operation.start, operation.start).and_then(|at| turns.get_mut(&at))
        {
            turn.count(operation);
        }
    })?;
    store.visit(agent, range, &mut |window| {
        let parts = busy.parts(window.start, window.end);
        let all: u64 = parts.iter().map(|(_, ns)| *ns).sum();
        for (from, ns) in parts {
            if let Some(turn) = turns.get_mut(&from) {
                turn.ledger.merge(&part(&window.ledger, ns, all));
            }
        }
    })?;
    Ok(Turns { turns: turns.into_values().collect(), truncated: busy.truncated })
}

/// The operation, if it is work of the agent.
fn work<'a>(kept: &Kept<'a>, agent: &AgentId) -> Option<&'a Operation> {
    let Kept::One(operation) = *kept else { return None };
    (operation.is_work() && operation.agent.as_ref() == Some(agent)).then_some(operation)
}

/// Stretches in which an agent was busy: from when to when, further apart than the gap.
struct Busy {
    gap: Duration,
    stretches: BTreeMap<Timestamp, Timestamp>,
    truncated: bool,
}

impl Busy {
    fn add(&mut self, mut from: Timestamp, mut to: Timestamp) {
        let until = to.checked_add(self.gap).unwrap_or(Timestamp::MAX);
        let is_near = |end: Timestamp| end.checked_add(self.gap).unwrap_or(Timestamp::MAX) > from;
        let near: Vec<_> = self
            .stretches
            .range(..until)
            .rev()
            .map(|(start, end)| (*start, *end))
            .take_while(|(_, end)| is_near(*end))
            .collect();
        for (start, end) in near {
            self.stretches.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.stretches.insert(from, to);
        if self.stretches.len() > MAX_TURNS {
            self.stretches.pop_first();
            self.truncated = true;
        }
    }

    /// How much of `[from, to]` lies in which stretches, these by their beginnings, ns.
    fn parts(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, u64)> {
        let near = self.stretches.range(..to).rev().take_while(|(_, end)| **end > from);
        let within = |(start, end): (&Timestamp, &Timestamp)| {
            let ns = (*end).min(to).duration_since((*start).max(from)).as_nanos();
            (*start, u64::try_from(ns).unwrap_or(0))
        };
        near.map(within).filter(|(_, ns)| *ns > 0).collect()
    }

    /// The stretch in which most of `[from, to]` lies, by its beginning; `None` where less than half of it lies in one.
    fn at(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let near = self.stretches.range(..=to).rev().take_while(|(_, end)| **end >= from);
        let within = |start: Timestamp, end: Timestamp| end.min(to).duration_since(start.max(from));
        let most = near.max_by_key(|(start, end)| within(**start, **end))?;
        let enough = within(*most.0, *most.1).as_nanos() * 2 >= to.duration_since(from).as_nanos();
        enough.then_some(*most.0)
    }
}

/// What a turn that lies in a window for `ns` has of its ledger, of `all` ns that lie in turns.
fn part(ledger: &Ledger, ns: u64, all: u64) -> Ledger {
    let share = |amount: u64, ns: u64, all: u64| {
        let share = u128::from(amount) * u128::from(ns) / u128::from(all.max(1));
        u64::try_from(share).unwrap_or(u64::MAX).min(amount)
    };
    let is_idle = |set: &StateSet| set.cause() == Cause::Idle;
    let (idle, busy): (Vec<_>, Vec<_>) = ledger.sets.iter().copied().partition(|(set, _)| is_idle(set));
    let sum = |sets: &[(StateSet, u64)]| sets.iter().fold(0_u64, |sum, (_, ns)| sum.saturating_add(*ns));
    let (idle_ns, busy_ns) = (sum(&idle), sum(&busy));
    let kept_busy = share(busy_ns, ns, all).min(ns);
    let fill = ns.saturating_sub(kept_busy).min(idle_ns);
    let sets = idle.iter().map(|(set, amount)| (*set, share(*amount, fill, idle_ns)));
    let sets = sets.chain(busy.iter().map(|(set, amount)| (*set, share(*amount, kept_busy, busy_ns))));
    let mut sets: Vec<_> = sets.filter(|(_, ns)| *ns > 0).collect();
    sets.sort_unstable();
    let kept = sum(&sets);
    let threads = ledger.threads.iter().map(|(bit, amount)| (*bit, share(*amount, kept, ledger.wall_ns())));
    Ledger { sets, threads: threads.collect() }
}

/// Adds tokens, if they are known.
fn add(sum: &mut Option<u64>, tokens: Option<u64>) {
    if let Some(tokens) = tokens {
        *sum = Some(sum.unwrap_or(0).saturating_add(tokens));
    }
}

impl Turn {
    fn new(from: Timestamp, to: Timestamp) -> Self {
        Self {
            range: TimeRange { from, to },
            llm_calls: (0, 0),
            tool_calls: (0, 0),
            tokens: (None, None),
            cost: Cost::default(),
            ledger: Ledger::default(),
        }
    }

    fn count(&mut self, operation: &Operation) {
        let calls = if operation.llm.is_some() { &mut self.llm_calls } else { &mut self.tool_calls };
        *calls = (calls.0 + 1, calls.1 + u64::from(!operation.success));
        let Some(llm) = &operation.llm else { return };
        add(&mut self.tokens.0, llm.tokens.input);
        add(&mut self.tokens.1, llm.tokens.output);
        self.cost.0 = self.cost.0.saturating_add(llm.cost.map_or(0, |cost| cost.0));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{prop_assert, proptest};

    use super::*;
    use crate::{
        model::{agent::Agent, record::Arrived},
        store::{
            Limits, Memory,
            fixture::{agent_at, at, llm_call_at, tool_call_at, window_at},
        },
        telemetry::Telemetry,
    };

    const GAP: Duration = Duration::from_secs(5);

    fn agent() -> AgentId {
        AgentId::new(100, 5)
    }

    fn store(operations: Vec<Operation>, windows: &[(i64, &str)]) -> Memory {
        let store = Memory::new(Limits::default(), Arc::new(Telemetry::default()));
        store.put_agent(Agent { id: agent(), ..agent_at(at(0)) });
        store.put_operations(Arrived { operations, sums: Vec::new(), place: None });
        for (second, set) in windows {
            let mut window = window_at(&agent(), at(*second), 0);
            window.ledger.sets = vec![(set.parse().unwrap(), 5_000_000_000)];
            store.append(window);
        }
        store
    }

    fn call(second: i64, seconds: u64) -> Operation {
        Operation { duration_ns: seconds * 1_000_000_000, agent: Some(agent()), ..llm_call_at(at(second), 1) }
    }

    fn tool(second: i64, seconds: u64) -> Operation {
        Operation {
            duration_ns: seconds * 1_000_000_000,
            agent: Some(agent()),
            ..tool_call_at(at(second), 10)
        }
    }

    fn of(store: &Memory) -> Vec<Turn> {
        turns(store, &agent(), TimeRange::ALL, GAP).unwrap().turns
    }

    #[test]
    fn a_person_divides_a_session_into_turns() {
        let (idle, llm) = ("own.terminal", "own.poll+llm_stream+llm_read");
        let windows = [(0, llm), (5, llm), (10, idle), (15, idle), (20, idle), (25, llm), (30, idle)];
        let operations = vec![call(1, 3), tool(4, 2), call(6, 3), call(25, 4), tool(29, 1), call(40, 1)];
        let all = of(&store(operations, &windows));
        let ranges: Vec<_> = all.iter().map(|turn| (turn.range.from, turn.range.to)).collect();
        assert_eq!(ranges, [(at(1), at(9)), (at(25), at(30)), (at(40), at(41))]);
        let [first, second, last] = &all[..] else { panic!("{all:?}") };
        assert_eq!((first.llm_calls, first.tool_calls, first.tokens), ((2, 0), (1, 1), (Some(2), Some(2))));
        assert_eq!((second.llm_calls, second.tool_calls, last.llm_calls), ((1, 0), (1, 1), (1, 0)));
        assert_eq!(first.ledger.causes(), [(Cause::LlmStream, 8_000_000_000)].into(), "as long as the turn");
        assert_eq!(second.ledger.causes(), [(Cause::LlmStream, 5_000_000_000)].into());
        assert!(last.ledger.is_empty(), "nothing was counted then");
    }

    #[test]
    fn of_a_window_in_part_a_turn_has_what_was_not_idle() {
        let mixed = |seconds: [u64; 2]| {
            let sets = ["own.poll+llm_stream+llm_read", "own.terminal"].map(|set| set.parse().unwrap());
            let times = seconds.map(|s| s * 1_000_000_000);
            Ledger { sets: sets.into_iter().zip(times).collect(), threads: Vec::new() }
        };
        let second = 1_000_000_000;
        let of = |ledger: &Ledger, seconds: u64, all: u64| {
            let causes = part(ledger, seconds * second, all * second).causes();
            [Cause::LlmStream, Cause::Idle].map(|cause| causes.get(&cause).map_or(0, |ns| ns / second))
        };
        assert_eq!(of(&mixed([2, 3]), 3, 3), [2, 1]);
        assert_eq!(of(&mixed([2, 3]), 1, 1), [1, 0]);
        assert_eq!(of(&mixed([2, 3]), 5, 5), [2, 3]);
        assert_eq!((of(&mixed([4, 1]), 1, 4), of(&mixed([4, 1]), 3, 4)), ([1, 0], [3, 0]));
        assert_eq!(of(&Ledger::default(), 5, 5), [0, 0]);
    }

    #[test]
    fn work_without_calls_is_a_turn_too() {
        let windows = [(0, "own.terminal"), (5, "own.cpu"), (10, "own.cpu"), (15, "own.terminal")];
        let all = of(&store(Vec::new(), &windows));
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].range.from, all[0].range.to), (at(5), at(15)));
    }

    #[test]
    fn what_is_no_work_of_the_agent_is_in_no_turn() {
        let other = Operation { agent: Some(AgentId::new(7, 7)), ..call(1, 1) };
        let answered = Operation { agent: Some(agent()), ..llm_call_at(at(2), 3) };
        assert!(answered.llm.as_ref().unwrap().serves);
        assert!(of(&store(vec![other, answered], &[(0, "own.terminal")])).is_empty());
    }

    #[test]
    fn of_too_many_the_last_are_told() {
        let operations = (0..MAX_TURNS as i64 + 3).map(|n| call(10 * n, 1)).collect();
        let all = turns(&store(operations, &[]), &agent(), TimeRange::ALL, GAP).unwrap();
        assert_eq!((all.turns.len(), all.truncated, all.turns[0].range.from), (MAX_TURNS, true, at(30)));
    }

    proptest! {
        #[test]
        fn turns_are_a_gap_apart_and_hold_every_call(calls in proptest::collection::vec((0..500i64, 0..20u64), 0..40)) {
            let operations: Vec<_> = calls.iter().enumerate().map(|(n, (second, seconds))| {
                Operation { id: n as u64, ..call(*second, *seconds) }
            }).collect();
            let all = of(&store(operations, &[]));
            prop_assert!(all.windows(2).all(|pair| pair[1].range.from.duration_since(pair[0].range.to) >= GAP.try_into().unwrap()));
            prop_assert!(all.iter().map(|turn| turn.llm_calls.0).sum::<u64>() == calls.len() as u64);
        }
    }
}
