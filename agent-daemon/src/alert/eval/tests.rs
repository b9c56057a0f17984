//! Expressions over small series, with results worked out by hand from Prometheus's rules.

use proptest::prelude::{prop, prop_assert, proptest};

use super::{EvalError, Limits, Memory, Millis, STALE, Sample, Value, evaluate};
use crate::alert::{expr::parse, labels::Labels};

/// A series from text, its samples so far apart, the first at 0.
pub(crate) fn series(memory: &mut Memory, labels: &[(&str, &str)], every: Millis, values: &[f64]) {
    let samples = values.iter().zip(0..).map(|(value, n)| Sample { at: n * every, value: *value });
    memory.push(Labels::new(labels.iter().copied()), samples);
}

fn memory() -> Memory {
    let mut memory = Memory::default();
    let name = |name| ("__name__", name);
    series(&mut memory, &[name("c_total"), ("a", "x")], 15_000, &[0.0, 15.0, 30.0, 45.0, 60.0]);
    series(&mut memory, &[name("c_total"), ("a", "y")], 15_000, &[50.0, 80.0, 10.0, 40.0, 70.0]);
    series(&mut memory, &[name("g"), ("a", "x"), ("k", "1")], 15_000, &[1.0, 2.0, 3.0, 4.0, 5.0]);
    series(&mut memory, &[name("g"), ("a", "x"), ("k", "2")], 15_000, &[5.0, 5.0, f64::NAN, 5.0, 7.0]);
    series(&mut memory, &[name("g"), ("a", "y"), ("k", "1")], 15_000, &[0.0, 0.0, 0.0, 0.0, f64::NAN]);
    series(&mut memory, &[name("info"), ("a", "x"), ("v", "7")], 15_000, &[1.0; 5]);
    series(&mut memory, &[name("gone"), ("a", "x")], 15_000, &[1.0, STALE]);
    memory
}

/// The result at 60 s, as text.
fn at_minute(text: &str) -> String {
    match evaluate(&parse(text).unwrap(), 60_000, &memory(), &Limits::default()).0 {
        Ok(Value::Scalar(value)) => format!("{value}"),
        Ok(Value::Vector(mut elements)) => {
            elements.sort_by(|a, b| a.labels.cmp(&b.labels));
            elements.iter().map(|e| format!("{} {:.6}", e.labels, e.value)).collect::<Vec<_>>().join("; ")
        }
        Err(error) => format!("error: {error}"),
    }
}

/// Expressions, and what Prometheus makes of them after a minute.
const RESULTS: &[(&str, &str)] = &[
    ("1 + 2 * 3 ^ 2 % 5", "4"),
    ("-1 / 0", "-inf"),
    ("1 > bool 2", "0"),
    ("time()", "60"),
    (r#"c_total{a="x"}"#, r#"c_total{a="x"} 60.000000"#),
    (r#"c_total{a="x"} offset 30s"#, r#"c_total{a="x"} 30.000000"#),
    ("gone", ""),
    ("last_over_time(gone[2m])", r#"gone{a="x"} 1.000000"#),
    // One per second, and the range is covered to its ends but for the open one.
    (r#"rate(c_total{a="x"}[1m])"#, r#"{a="x"} 1.000000"#),
    // 80 → 10 is a reset: 30 + 10 + 30 + 30 in a minute, from 0 s on; (0 s, 60 s] has 70 in 45 s.
    (r#"increase(c_total{a="y"}[1m])"#, r#"{a="y"} 93.333333"#),
    (r#"irate(c_total{a="y"}[1m])"#, r#"{a="y"} 2.000000"#),
    (r#"delta(g{k="1",a="x"}[1m])"#, r#"{a="x", k="1"} 4.000000"#),
    (r#"deriv(g{k="1",a="x"}[1m])"#, r#"{a="x", k="1"} 0.066667"#),
    (r#"predict_linear(g{k="1",a="x"}[1m], 15)"#, r#"{a="x", k="1"} 6.000000"#),
    (r#"avg_over_time(g{k="1",a="x"}[1m])"#, r#"{a="x", k="1"} 3.500000"#),
    (r#"max_over_time(g{k="2"}[1m])"#, r#"{a="x", k="2"} 7.000000"#),
    (r#"quantile_over_time(0.5, g{k="1",a="x"}[1m])"#, r#"{a="x", k="1"} 3.500000"#),
    (r#"count_over_time(g{k="1",a="x"}[1m])"#, r#"{a="x", k="1"} 4.000000"#),
    (r#"changes(g{k="2"}[1m])"#, r#"{a="x", k="2"} 3.000000"#),
    ("sum by (a) (c_total)", r#"{a="x"} 60.000000; {a="y"} 70.000000"#),
    ("sum(g)", "{} NaN"),
    ("max(g)", "{} 7.000000"),
    ("min by (a) (g)", r#"{a="x"} 5.000000; {a="y"} NaN"#),
    ("count without (k) (g)", r#"{a="x"} 2.000000; {a="y"} 1.000000"#),
    ("topk(1, g)", r#"g{a="x", k="2"} 7.000000"#),
    ("bottomk(1, g)", r#"g{a="x", k="1"} 5.000000"#),
    ("topk(0/0, g)", ""),
    ("g > 5", r#"g{a="x", k="2"} 7.000000"#),
    ("5 < g", r#"g{a="x", k="2"} 7.000000"#),
    (r#"g{a="y"} != 1"#, r#"g{a="y", k="1"} NaN"#),
    (r#"g{a="x"} > bool 5"#, r#"{a="x", k="1"} 0.000000; {a="x", k="2"} 1.000000"#),
    ("sum by (a) (g) / on (a) c_total", r#"{a="x"} 0.200000; {a="y"} NaN"#),
    (
        r#"g{a="x"} * on (a) group_left (v) info"#,
        r#"{a="x", k="1", v="7"} 5.000000; {a="x", k="2", v="7"} 7.000000"#,
    ),
    ("g / on (a) c_total", "error: the one side"),
    ("c_total / on (a) g", "error: the one side"),
    (r#"c_total and on (a) info"#, r#"c_total{a="x"} 60.000000"#),
    (r#"c_total unless on (a) info"#, r#"c_total{a="y"} 70.000000"#),
    (r#"info or on (a) c_total"#, r#"c_total{a="y"} 70.000000; info{a="x", v="7"} 1.000000"#),
    (r#"absent(nothing{a="b",c=~"d"})"#, r#"{a="b"} 1.000000"#),
    ("absent(g)", ""),
    ("absent_over_time(nothing[1m])", "{} 1.000000"),
    (r#"clamp(g{a="x"}, 6, 6.5)"#, r#"{a="x", k="1"} 6.000000; {a="x", k="2"} 6.500000"#),
    ("clamp(vector(1), 2, 1)", ""),
    ("clamp(vector(1), 0/0, 1)", "{} NaN"),
    (r#"scalar(g{k="2"})"#, "7"),
    ("scalar(g)", "NaN"),
    ("round(vector(2.5))", "{} 3.000000"),
    (r#"max_over_time(sum(c_total)[1m:15s])"#, "{} 130.000000"),
    (r#"rate({a="x",k="1"}[1m])"#, r#"{a="x", k="1"} 0.066667"#),
    (r#"timestamp(g{k="2"})"#, r#"{a="x", k="2"} 60.000000"#),
];

#[test]
fn results_are_those_of_prometheus() {
    for &(text, expected) in RESULTS {
        let found = at_minute(text);
        // The error of a wrong match differs in its end only.
        let equal =
            if expected.starts_with("error") { found.starts_with("error") } else { found == expected };
        assert!(equal, "{text}\n expected {expected}\n found    {found}");
    }
}

#[test]
fn what_costs_too_much_ends() {
    let few = Limits { series: 2, samples: 4, steps: 10, work: 50, ..Limits::default() };
    for (text, what) in [
        ("g", "series"),
        (r#"rate(c_total{a="x"}[10m])"#, "samples"),
        ("max_over_time(vector(1)[30m:1s])", "steps of subqueries"),
        ("max_over_time(max_over_time(vector(1)[9s:1s])[9s:1s])", "steps of subqueries"),
    ] {
        let (result, _) = evaluate(&parse(text).unwrap(), 60_000, &memory(), &few);
        assert!(
            matches!(&result, Err(EvalError::TooMuch { what: w, .. }) if *w == what),
            "{text}: {result:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_time_and_no_value_panics(
        samples in prop::collection::vec((proptest::num::i64::ANY, proptest::num::f64::ANY), 0..30),
        now: i64,
        expr in prop::sample::select(vec![
            "rate(m[5m])", "predict_linear(m[1h] offset 1h, 3600)", "anomaly(m[7d], 0.99)", "m offset -1h",
            "forecast_until(m[100y], 0, 0.9)", "quantile_over_time(0.5, m[100y])", "topk(2, m / m)",
            "max_over_time(m[1m:1s])", "mad_over_time(m[100y])", "anomaly_rate(m[100y], 0.9)", "irate(m[100y])",
        ]),
    ) {
        let mut memory = Memory::default();
        let samples = samples.into_iter().map(|(at, value)| Sample { at, value });
        memory.push(Labels::new([("__name__", "m")]), samples);
        let (result, _) = evaluate(&parse(expr).unwrap(), now, &memory, &Limits::default());
        prop_assert!(result.is_ok(), "{expr}: {result:?}");
    }
}
