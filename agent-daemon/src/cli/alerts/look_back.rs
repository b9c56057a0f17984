//! What alert rules would have found in what was stored: every window of it is replayed.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use serde::Serialize;

use crate::{
    alert::{
        Engine,
        history::History,
        labels::{ALERT_NAME, Fingerprint},
        rule::RuleSet,
        state::{Options, Phase},
    },
    cli::progress,
    export::prometheus::{self, Detail, Ends},
    model::time::{TimeRange, Timestamp},
    store::{Store, StoreError},
};

/// The most alerts that are told.
const MAX_FIRED: usize = 10_000;

/// What was found.
#[derive(Serialize)]
pub(super) struct Found {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) evaluations: usize,
    pub(super) fired: Vec<Fired>,
}

/// An alert that fired.
#[derive(Serialize)]
pub(super) struct Fired {
    pub(super) alert: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) from: Timestamp,
    /// Absent where it still fires at the end.
    pub(super) to: Option<Timestamp>,
}

/// Evaluates the rules every `step` of the range, as far as anything was stored of it; `ends` are those of agents of which the
/// store does not say that they ended. Shows a bar.
///
/// # Errors
/// The store cannot be read.
pub(super) fn look_back(
    store: &dyn Store,
    rules: &RuleSet,
    TimeRange { from, to }: TimeRange,
    ends: &Ends,
    step: Duration,
) -> Result<Found, StoreError> {
    let from = from.max(begin(store)?.unwrap_or(to)).min(to);
    let interval = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    let mut engine = Engine::new(rules.clone(), Options { interval, ..Options::default() });
    let mut history = History::new(rules, interval);
    let mut found = Found { from, to, evaluations: 0, fired: Vec::new() };
    let mut firing = BTreeMap::new();
    let bar = progress::plain_bar("looking back", span(from, to));
    prometheus::replay(
        store,
        (TimeRange { from, to }, Detail::Windows(ends)),
        &|_| step,
        &mut |now, samples| {
            history.record(now, samples);
            engine.evaluate(now.as_millisecond(), &history);
            found.evaluations += 1;
            progress::advance(&bar, span(from, now));
            note(&engine, now, &mut firing, &mut found.fired);
            ControlFlow::Continue(())
        },
    )?;
    bar.finish_and_clear();
    Ok(found)
}

/// When what was stored begins; `None` where nothing was. Windows of the host come wherever a daemon ran.
fn begin(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let mut begin = store.agents().iter().map(|agent| agent.attached).min();
    store.visit_host(TimeRange::ALL, &mut |window| {
        begin = Some(begin.map_or(window.start, |known| known.min(window.start)));
    })?;
    Ok(begin)
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Notes what began to fire, and what is over.
fn note(engine: &Engine, now: Timestamp, firing: &mut BTreeMap<Fingerprint, usize>, fired: &mut Vec<Fired>) {
    let mut before = std::mem::take(firing);
    for alert in engine.alerts().filter(|alert| alert.phase == Phase::Firing) {
        if let Some(index) = before.remove(&alert.id) {
            firing.insert(alert.id, index);
        } else if fired.len() < MAX_FIRED {
            firing.insert(alert.id, fired.len());
            let labels = alert.labels.iter().filter(|(name, _)| *name != ALERT_NAME);
            fired.push(Fired {
                alert: alert.labels.get(ALERT_NAME).to_owned(),
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                from: now,
                to: None,
            });
        }
    }
    for index in before.into_values() {
        if let Some(over) = fired.get_mut(index) {
            over.to = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::agent::{Agent, AgentEnd},
        store::{
            Limits, Memory,
            fixture::{agent_at, at, cpu, process_at, window_at},
        },
    };

    #[test]
    fn what_fired_live_fires_again_and_ends_again() {
        let keep = Duration::from_secs(u32::MAX.into());
        let store = Memory::new(Limits { keep, ..Limits::default() }, Arc::default());
        let agent = agent_at(at(0));
        store.put_agent(agent.clone());
        store.put_process(&agent.id, process_at(100, at(0)));
        // Busy from 100 s to 160 s, and gone at 200 s.
        for start in (0..200).step_by(5) {
            let mut window = window_at(&agent.id, at(start), 0);
            let samples = if (100..160).contains(&start) { 400 } else { 1 };
            window.cpu = vec![cpu(100, &["hot", "main"], samples)];
            store.append(window);
        }
        store.put_agent(Agent { ended: Some((at(200), AgentEnd::Exited)), ..agent });
        let rules = "groups:\n- name: g\n  rules:\n  - alert: Busy\n    \
                     expr: rate(agentperf_agent_cpu_seconds_total[10s]) > 0.5\n";
        let rules = RuleSet::parse(rules).unwrap();
        let ever = TimeRange { from: Timestamp::UNIX_EPOCH, to: at(900) };
        let found = look_back(&store, &rules, ever, &Ends::default(), Duration::from_secs(5)).unwrap();
        assert_eq!((found.from, found.evaluations), (at(0), 180), "not of the time before");
        let told: Vec<_> =
            found.fired.iter().map(|fired| (fired.alert.as_str(), fired.from, fired.to)).collect();
        assert_eq!(told, [("Busy", at(110), Some(at(165)))]);
    }
}
