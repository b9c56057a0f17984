//! Lives of alerts: what people rely on, and what clocks and restarts must not break.

use proptest::prelude::{prop, prop_assert, proptest};

use super::{Engine, Options, Outcome, Phase};
use crate::alert::{
    eval::{Memory, Millis, Query, Sample, Series, Source, SourceError},
    labels::Labels,
    rule::RuleSet,
};

const RULES: &str = "
groups:
  - name: g
    rules:
      - alert: Hot
        expr: temperature > 90
        for: 10s
        keep_firing_for: 10s
        labels: { severity: critical }
        annotations: { summary: '{{ $labels.room }} has {{ $value }}' }
";

/// A source that says the same at every time.
struct Now(Option<f64>);

impl Source for Now {
    fn select<'s>(&'s self, query: &Query<'_>) -> Result<Vec<Series<'s>>, SourceError> {
        let Some(value) = self.0 else { return Err(SourceError::NoData) };
        let mut memory = Memory::default();
        let labels = Labels::new([("__name__", "temperature"), ("room", "a")]);
        memory.push(labels, [Sample { at: query.to, value }]);
        let found = memory.select(query)?;
        let owned = |s: Series<'_>| Series {
            labels: std::borrow::Cow::Owned(s.labels.into_owned()),
            samples: std::borrow::Cow::Owned(s.samples.into_owned()),
        };
        Ok(found.into_iter().map(owned).collect())
    }
}

fn engine(rules: &str) -> Engine {
    Engine::new(RuleSet::parse(rules).unwrap(), Options::default())
}

fn phase(engine: &Engine) -> Option<Phase> {
    engine.alerts().next().map(|alert| alert.phase)
}

/// One step per 5 s: the value, and the phase after it.
fn follow(engine: &mut Engine, from: Millis, steps: &[(f64, Option<Phase>)]) {
    for (index, (value, expected)) in steps.iter().enumerate() {
        engine.evaluate(from + 5000 * index as Millis, &Now(Some(*value)));
        assert_eq!(phase(engine), *expected, "step {index}");
    }
}

const PENDING: Option<Phase> = Some(Phase::Pending);
const FIRING: Option<Phase> = Some(Phase::Firing);
const RESOLVED: Option<Phase> = Some(Phase::Resolved);

#[test]
fn an_alert_waits_fires_lingers_and_resolves() {
    let mut engine = engine(RULES);
    follow(
        &mut engine,
        1_000_000,
        &[
            (50.0, None),
            (95.0, PENDING),
            (50.0, None),
            (95.0, PENDING),
            (96.0, PENDING),
            (97.0, FIRING),
            (50.0, FIRING),
            (98.0, FIRING),
            (50.0, FIRING),
            (50.0, FIRING),
            (50.0, RESOLVED),
            (50.0, RESOLVED),
        ],
    );
    let alert = engine.alerts().next().unwrap();
    assert_eq!(alert.annotations["summary"], "a has 98");
    assert_eq!(alert.labels.to_string(), r#"{alertname="Hot", room="a", severity="critical"}"#);
    engine.evaluate(10_000_000, &Now(Some(50.0)));
    assert_eq!(phase(&engine), None, "forgotten in the end");
}

#[test]
fn no_data_changes_nothing() {
    let mut engine = engine(RULES);
    follow(&mut engine, 0, &[(95.0, PENDING), (95.0, PENDING)]);
    for at in [10_000, 100_000] {
        let report = engine.evaluate(at, &Now(None));
        assert_eq!((report.no_data, phase(&engine)), (1, PENDING));
    }
    let rule = engine.rules().rules().next().unwrap().id;
    assert_eq!(engine.health(rule).unwrap().outcome, Outcome::NoData);
}

#[test]
fn what_is_missing_does_not_hold() {
    let mut engine = engine(RULES);
    follow(&mut engine, 0, &[(95.0, PENDING), (95.0, PENDING), (95.0, FIRING)]);
    for at in [15_000, 20_000, 25_000] {
        engine.evaluate(at, &Memory::default());
    }
    assert_eq!(phase(&engine), RESOLVED);
}

#[test]
fn time_that_nobody_saw_does_not_count() {
    let mut engine = engine(RULES.replace("for: 10s", "for: 1h").as_str());
    engine.evaluate(0, &Now(Some(95.0)));
    // A week of sleep.
    engine.evaluate(604_800_000, &Now(Some(95.0)));
    assert_eq!(phase(&engine), PENDING);
    // And back.
    engine.evaluate(1000, &Now(Some(95.0)));
    engine.evaluate(-604_800_000, &Now(Some(95.0)));
    assert_eq!(phase(&engine), PENDING);
    assert!(engine.alerts().all(|alert| alert.active_at <= -604_800_000));
}

#[test]
fn a_clock_that_goes_back_makes_no_new_firing() {
    let mut engine = engine(RULES);
    follow(&mut engine, 7_200_000, &[(95.0, PENDING), (95.0, PENDING), (95.0, FIRING)]);
    let fired_at = engine.alerts().next().unwrap().fired_at;
    engine.evaluate(3_600_000, &Now(Some(95.0)));
    engine.evaluate(3_605_000, &Now(Some(95.0)));
    let alert = engine.alerts().next().unwrap();
    assert_eq!((alert.phase, alert.fired_at), (Phase::Firing, fired_at));
}

#[test]
fn a_round_has_an_end() {
    let options = Options { round_work: 1, ..Options::default() };
    let mut engine = Engine::new(RuleSet::parse(RULES).unwrap(), options);
    let report = engine.evaluate(0, &Now(Some(95.0)));
    assert_eq!((report.failed, phase(&engine)), (1, None));
}

#[test]
fn a_restart_changes_nothing() {
    let mut before = engine(RULES);
    follow(&mut before, 0, &[(95.0, PENDING), (95.0, PENDING), (f64::INFINITY, FIRING)]);
    let text = serde_json::to_string(&before.save()).unwrap();
    let mut after = engine(RULES);
    after.restore(serde_json::from_str(&text).unwrap(), 60_000);
    assert!(before.alerts().eq(after.alerts()));
    after.evaluate(3_600_000, &Now(Some(95.0)));
    let alert = after.alerts().next().unwrap();
    assert_eq!(
        (alert.phase, alert.fired_at),
        (Phase::Firing, Some(10_000)),
        "the same firing, not a new one"
    );
}

#[test]
fn alerts_of_rules_that_go_resolve() {
    let mut engine = engine(RULES);
    follow(&mut engine, 0, &[(95.0, PENDING), (95.0, PENDING), (95.0, FIRING)]);
    engine.reload(RuleSet::parse(&RULES.replace("> 90", "> 80")).unwrap(), 11_000);
    assert_eq!(phase(&engine), FIRING, "another threshold is the same rule");
    engine.reload(RuleSet::default(), 12_000);
    assert_eq!(phase(&engine), RESOLVED);
}

#[test]
fn flapping_fires_once_and_resolves_once() {
    let mut engine = engine(&RULES.replace("for: 10s", "for: 0s").replace("keep_firing_for: 10s", ""));
    let mut changes = Vec::new();
    for step in 0..400 {
        // On and off every 5 s for five minutes, then off.
        let value = if step < 60 && step % 2 == 0 { 95.0 } else { 50.0 };
        engine.evaluate(step * 5000, &Now(Some(value)));
        let now = phase(&engine);
        if changes.last() != Some(&now) {
            changes.push(now);
        }
        if step == 50 {
            assert!(engine.alerts().all(|alert| alert.flapping));
        }
    }
    assert_eq!(changes, [FIRING, RESOLVED, FIRING, RESOLVED, FIRING, RESOLVED, None][..changes.len()]);
    assert!(changes.len() >= 6);
}

#[test]
fn too_many_alerts_are_an_error_of_the_rule() {
    let mut memory = Memory::default();
    for room in 0..20 {
        let labels = Labels::new([("__name__", "temperature"), ("room", &room.to_string())]);
        memory.push(labels, [Sample { at: 1000, value: 99.0 }]);
    }
    let mut engine = engine(&RULES.replace("    rules:", "    limit: 10\n    rules:"));
    let report = engine.evaluate(1000, &memory);
    assert_eq!((report.failed, engine.alerts().count()), (1, 0));
}

#[test]
fn all_alerts_together_are_bounded() {
    let options = Options { max_all_alerts: 0, ..Options::default() };
    let mut engine = Engine::new(RuleSet::parse(RULES).unwrap(), options);
    let report = engine.evaluate(0, &Now(Some(95.0)));
    assert_eq!((report.failed, engine.alerts().count()), (1, 0));
}

proptest! {
    #[test]
    fn no_clock_breaks_it(steps in prop::collection::vec((proptest::num::i64::ANY, 0..3u8), 0..60)) {
        let mut engine = engine(RULES);
        for (at, kind) in steps {
            engine.evaluate(at, &Now(match kind { 0 => None, 1 => Some(95.0), _ => Some(5.0) }));
            prop_assert!(engine.alerts().count() <= 1);
            let saved = serde_json::to_string(&engine.save()).unwrap();
            engine.restore(serde_json::from_str(&saved).unwrap(), at);
        }
    }
}
