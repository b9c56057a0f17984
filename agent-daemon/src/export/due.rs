//! Which profiles are to be sent next: for each agent and kind the windows that closed since the last time. The store
//! is the buffer: what could not be sent is part of the next profile, for a while.

use std::{sync::Arc, time::Duration};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    model::{
        agent::Agent,
        id::AgentId,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    profile::Subject,
    store::{
        Store, StoreError,
        query::{Fold, Profile, ProfileFold, ProfileKind, over},
    },
};

/// The longest stretch that one profile may be of; what is older was not sent and never will be.
const LONGEST: Duration = Duration::from_secs(600);
/// How long after an agent's end its last windows are looked for.
const AFTER_END: Duration = Duration::from_secs(60);

/// The kinds of profile that are sent.
pub(super) const KINDS: [ProfileKind; 2] = [ProfileKind::Cpu, ProfileKind::OffCpu];

/// A profile that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) subject: Subject,
    pub(super) profile: Profile,
    /// What it is of.
    pub(super) range: TimeRange,
}

/// How far each agent's profiles were sent.
pub(super) struct Schedule {
    store: Arc<dyn Store>,
    /// Before this nothing is sent.
    started: Timestamp,
    sent: FxHashMap<(AgentId, usize), Timestamp>,
    /// Of what was due and has not been sent since.
    unsent: FxHashSet<(AgentId, usize)>,
}

impl Schedule {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, started: Timestamp::now(), sent: FxHashMap::default(), unsent: FxHashSet::default() }
    }

    /// The agents of which something may be due. Those whose time is over are forgotten.
    pub(super) fn agents(&mut self, now: Timestamp) -> Vec<Agent> {
        let over = |agent: &Agent| agent.ended.is_some_and(|(at, _)| at + AFTER_END < now);
        let agents: Vec<Agent> = self.store.agents().into_iter().filter(|agent| !over(agent)).collect();
        let known = |id: &AgentId| agents.iter().any(|agent| agent.id == *id);
        self.sent.retain(|(id, _), _| known(id));
        self.unsent.retain(|(id, _)| known(id));
        agents
    }

    /// What is due of this agent and kind, and for how many stretches before it was too late. Blocks on the store.
    pub(super) fn due(
        &mut self,
        agent: &Agent,
        kind: usize,
        now: Timestamp,
    ) -> Result<(Option<Due>, u64), StoreError> {
        let key = (agent.id.clone(), kind);
        let from = self.sent.get(&key).copied().unwrap_or(self.started);
        let earliest = now - LONGEST;
        // Of an agent that did nothing for long, nothing is late.
        let late = u64::from(from < earliest && self.unsent.contains(&key));
        let from = from.max(earliest);
        let Some(of) = KINDS.get(kind).copied() else { return Ok((None, late)) };
        let fold = Whole { from, range: None, inner: ProfileFold::new(of, None) };
        let (range, profile) = over(self.store.as_ref(), &agent.id, TimeRange { from, to: now }, fold)?;
        let Some(range) = range else { return Ok((None, late)) };
        if profile.stacks.is_empty() {
            self.sent(agent, kind, range);
            return Ok((None, late));
        }
        self.unsent.insert(key);
        let subject = Subject::new(agent.clone(), self.store.processes(&agent.id, range)?);
        Ok((Some(Due { subject, profile, range }), late))
    }

    /// What was due is sent, or given up.
    pub(super) fn sent(&mut self, agent: &Agent, kind: usize, range: TimeRange) {
        self.unsent.remove(&(agent.id.clone(), kind));
        self.sent.insert((agent.id.clone(), kind), range.to);
    }
}

/// Only windows that begin in the range: one that began before was part of the profile before.
struct Whole<F> {
    from: Timestamp,
    range: Option<TimeRange>,
    inner: F,
}

impl<F: Fold> Fold for Whole<F> {
    type Output = (Option<TimeRange>, F::Output);

    fn add(&mut self, window: &Window) {
        if window.start >= self.from {
            let range = self.range.get_or_insert(TimeRange { from: window.start, to: window.end });
            *range = TimeRange { from: range.from.min(window.start), to: range.to.max(window.end) };
            self.inner.add(window);
        }
    }

    fn finish(self) -> Self::Output {
        (self.range, self.inner.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{
            Limits, Memory,
            fixture::{agent_at, cpu, process_at, window_at},
        },
        telemetry::Telemetry,
    };

    #[test]
    fn each_window_is_in_one_profile() {
        let store = Arc::new(Memory::new(Limits::default(), Arc::new(Telemetry::default())));
        let mut schedule = Schedule::new(store.clone());
        let start = schedule.started;
        let agent = agent_at(start);
        store.put_agent(agent.clone());
        store.put_process(&agent.id, process_at(100, start));
        let seconds = Duration::from_secs;
        let append = |after, samples| {
            let mut window = window_at(&agent.id, start + seconds(after), 0);
            window.cpu = vec![cpu(100, &["hot", "main"], samples)];
            store.append(window);
        };
        append(0, 3);
        append(5, 4);
        let mut samples = |now: u64, sent: bool| {
            let now = start + seconds(now);
            assert_eq!(schedule.agents(now).len(), 1);
            let (due, late) = schedule.due(&agent, 0, now).unwrap();
            due.map(|due| {
                if sent {
                    schedule.sent(&agent, 0, due.range);
                }
                (due.profile.stacks.iter().map(|stack| stack.count).sum::<u64>(), late)
            })
        };
        assert_eq!(samples(10, false), Some((7, 0)));
        assert_eq!(samples(11, true), Some((7, 0)), "what was not sent is due still");
        assert_eq!(samples(12, true), None);
        let mut window = window_at(&agent.id, start + seconds(10), 0);
        window.cpu = vec![cpu(100, &["hot", "main"], 5)];
        store.append(window);
        assert_eq!(samples(700, true), None, "too late");
    }
}
