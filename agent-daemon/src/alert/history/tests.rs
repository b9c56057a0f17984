//! A history that is fed by hand.

use super::{History, MAX_SERIES};
use crate::{
    alert::{
        eval::{Element, EvalError, Limits, SourceError, evaluate},
        expr,
        rule::RuleSet,
    },
    model::{
        exposition::{Samples, ShowSample},
        time::Timestamp,
    },
};

/// Series by name, value of the label `a`, and value.
struct Shown(Vec<(&'static str, String, f64)>);

impl Samples for Shown {
    fn samples(&self, _: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>) {
        for (name, a, value) in self.0.iter().filter(|(name, ..)| wanted(name)) {
            show(name, &[("a", a)], *value);
        }
    }
}

fn rules(expr: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      {expr}\n");
    RuleSet::parse(&text).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + seconds * 1000).unwrap()
}

fn feed(history: &mut History, seconds: i64, series: &[(&'static str, &str, f64)]) {
    let series = series.iter().map(|(name, a, value)| (*name, (*a).to_owned(), *value)).collect();
    history.record(at(seconds), &Shown(series));
}

fn ask(history: &History, seconds: i64, text: &str) -> Result<Vec<Element>, EvalError> {
    let expr = expr::parse(text).unwrap();
    let now = at(seconds).as_millisecond();
    evaluate(&expr, now, history, &Limits::default()).0.map(super::super::eval::Value::into_elements)
}

fn values(history: &History, seconds: i64, text: &str) -> Vec<(String, f64)> {
    let found = ask(history, seconds, text).unwrap();
    let mut found: Vec<_> = found.into_iter().map(|e| (e.labels.get("a").to_owned(), e.value)).collect();
    found.sort_by(|a, b| a.partial_cmp(b).unwrap());
    found
}

#[test]
fn rates_are_those_of_what_was_shown() {
    let mut history = History::new(&rules("rate(c_total[1m]) > 0"), 5000);
    for second in (0..=120).step_by(5) {
        let (x, y) = (second as f64 * 2.0, 100.0 - second as f64);
        feed(&mut history, second, &[("c_total", "x", x), ("other", "x", 1.0), ("c_total", "y", y.max(0.0))]);
    }
    let found = values(&history, 120, "rate(c_total{a=\"x\"}[1m])");
    assert!((found[0].1 - 2.0).abs() < 1e-9, "{found:?}");
    assert_eq!(history.size().series, 2, "nothing asks for the other");
    assert_eq!(history.missing(["c_total", "other"]).into_iter().collect::<Vec<_>>(), ["other"]);
}

#[test]
fn nothing_is_known_at_first() {
    let mut history = History::new(&rules("g > 0"), 5000);
    feed(&mut history, 0, &[("g", "x", 1.0)]);
    assert_eq!(ask(&history, 0, "g"), Err(EvalError::Source(SourceError::NoData)));
    // Rounds between windows bring nothing to know.
    for second in [1, 2, 5] {
        feed(&mut history, second, &[("g", "x", 1.0)]);
        assert!(ask(&history, second, "g").is_err());
    }
    feed(&mut history, 10, &[("g", "x", 1.0)]);
    assert_eq!(values(&history, 10, "g").len(), 1);
}

#[test]
fn a_series_that_is_no_longer_shown_ends_at_once_and_is_forgotten() {
    let mut history = History::new(&rules("g > 0"), 5000);
    for second in [0, 5, 10] {
        feed(&mut history, second, &[("g", "x", 1.0), ("g", "y", 1.0)]);
    }
    feed(&mut history, 15, &[("g", "y", 1.0)]);
    assert_eq!(values(&history, 15, "g"), [("y".to_owned(), 1.0)]);
    for second in (20..400).step_by(5) {
        feed(&mut history, second, &[("g", "y", 1.0)]);
    }
    assert_eq!(history.size().series, 1);
    assert!(history.size().samples < 100, "{:?}", history.size());
}

#[test]
fn what_happens_between_windows_makes_no_history_longer() {
    let mut history = History::new(&rules("g > 0"), 5000);
    for second in 0..600 {
        feed(&mut history, second, &[("g", "x", f64::from(second as i32))]);
    }
    assert_eq!(values(&history, 599, "g"), [("x".to_owned(), 599.0)]);
    assert!(history.size().samples < 160, "{:?}", history.size());
}

#[test]
fn a_clock_that_goes_back_hides_nothing() {
    let mut history = History::new(&rules("g > 0"), 5000);
    for second in [0, 5, 10, 15, 20] {
        feed(&mut history, second, &[("g", "x", 1.0)]);
    }
    feed(&mut history, 7, &[("g", "x", 2.0)]);
    assert_eq!(values(&history, 7, "g"), [("x".to_owned(), 2.0)]);
    assert_eq!(history.size().samples, 3);
}

#[test]
fn coarse_tiers_keep_the_newest_of_each_stretch() {
    let expr = "anomaly(g[7d], 0.999) > 0";
    let mut history = History::new(&rules(expr), 5000);
    for second in (0..3600).step_by(5) {
        feed(&mut history, second, &[("g", "x", second as f64)]);
    }
    assert!((12..=14).contains(&history.size().samples), "{:?}", history.size());
    let found = values(&history, 3595, "anomaly_baseline(g[7d])");
    assert!(found.is_empty(), "too little is known");
}

#[test]
fn the_time_before_is_adopted() {
    let rules = rules("rate(c_total[10m]) > 0");
    let (mut old, mut new) = (History::new(&rules, 5000), History::new(&rules, 5000));
    for second in (0..=300).step_by(5) {
        feed(&mut old, second, &[("c_total", "x", second as f64), ("c_total", "gone", second as f64)]);
    }
    // Counted from zero, as after a restart.
    feed(&mut new, 310, &[("c_total", "x", 0.0)]);
    new.adopt(old);
    feed(&mut new, 315, &[("c_total", "x", 5.0)]);
    feed(&mut new, 320, &[("c_total", "x", 10.0)]);
    let found = values(&new, 320, "increase(c_total[10m])");
    assert_eq!(found.len(), 2, "{found:?}");
    let (_, x) = found.iter().find(|(a, _)| a == "x").unwrap();
    assert!((300.0..=330.0).contains(x), "{found:?}");
    assert_eq!(values(&new, 320, "c_total"), [("x".to_owned(), 10.0)], "the other has ended");
    assert_eq!(new.size().series, 2);
}

#[test]
fn other_rules_keep_what_both_look_at() {
    let mut history = History::new(&rules("rate(c_total[10m]) + on (a) g > 0"), 5000);
    for second in (0..=300).step_by(5) {
        feed(&mut history, second, &[("c_total", "x", second as f64), ("g", "x", 1.0)]);
    }
    history.replan(&rules("rate(c_total[1m]) > 0"));
    assert_eq!(history.size().series, 1);
    assert!((values(&history, 300, "rate(c_total[1m])")[0].1 - 1.0).abs() < 1e-9);
}

#[test]
fn series_are_bounded_and_those_that_ended_make_room() {
    let mut history = History::new(&rules("g > 0"), 5000);
    let many = |from: usize| (from..from + MAX_SERIES + 10).map(|n| ("g", n.to_string(), 1.0)).collect();
    history.record(at(0), &Shown(many(0)));
    assert_eq!((history.size().series, history.size().refused), (MAX_SERIES, 10));
    // All of them are others now: the first ones make room, so the round after takes the new ones.
    history.record(at(5), &Shown(many(1_000_000)));
    history.record(at(10), &Shown(many(1_000_000)));
    assert_eq!(history.size().series, MAX_SERIES);
    assert!(!values(&history, 10, "g{a=\"1000000\"}").is_empty());
}
