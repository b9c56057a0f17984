//! Runs tests: the rules over the given series from time zero on, and what was to be expected.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::{
    Failure, TestReport, notation,
    raw::{RawAlertTest, RawExprTest, RawTest, RawTests},
};
use crate::alert::{
    error::FileError,
    eval::{Element, Limits, Memory, Millis, Sample, evaluate},
    expr::{
        self,
        duration::{format_millis, parse_millis},
    },
    labels::{ALERT_NAME, Labels},
    rule::{RuleSet, error_at, read},
    state::{Engine, Options, Phase},
};

/// The most evaluations of one test.
const MAX_STEPS: i64 = 200_000;
/// How often rules are evaluated, and samples come, where the file does not say, milliseconds.
const MINUTE: Millis = 60_000;

/// Runs the tests of a file over rules.
///
/// # Errors
/// The file is no test file; what does not hold is in the report.
pub fn run_tests(tests: &str, rules: &RuleSet) -> Result<TestReport, FileError> {
    let raw: RawTests = read(tests)?;
    let every = duration(raw.evaluation_interval.as_ref())?.unwrap_or(MINUTE);
    let mut report = TestReport::default();
    for (index, test) in raw.tests.iter().enumerate() {
        let name = test.value.name.clone().unwrap_or_else(|| (index + 1).to_string());
        let run = Run { name, every, series: series(&test.value, every)?, rules };
        run.alerts(&test.value, &mut report)?;
        run.expressions(&test.value, &mut report)?;
    }
    Ok(report)
}

struct Run<'a> {
    name: String,
    every: Millis,
    series: Memory,
    rules: &'a RuleSet,
}

impl Run<'_> {
    fn fail(&self, report: &mut TestReport, line: u64, message: String) {
        report.failures.push(Failure { test: self.name.clone(), line, message });
    }

    fn alerts(&self, test: &RawTest, report: &mut TestReport) -> Result<(), FileError> {
        let mut expected = Vec::new();
        for wanted in &test.alert_rule_test {
            expected.push((required(&wanted.value.eval_time)?, wanted));
        }
        expected.sort_by_key(|(at, _)| *at);
        let last = expected.last().map_or(0, |(at, _)| *at);
        if last / self.every > MAX_STEPS {
            let place = expected.last().map_or(Location::UNKNOWN, |(_, wanted)| wanted.referenced);
            return Err(error_at(place, format!("a test may take {MAX_STEPS} evaluations at most")));
        }
        let options = Options { interval: self.every, ..Options::default() };
        let mut engine = Engine::new(self.rules.clone(), options);
        let mut expected = expected.into_iter().peekable();
        let mut now = 0;
        while expected.peek().is_some() {
            engine.evaluate(now, &self.series);
            while let Some((at, wanted)) = expected.next_if(|(at, _)| *at < now + self.every) {
                report.checks += 1;
                if let Err(message) = compare_alerts(&engine, &wanted.value, at) {
                    self.fail(report, wanted.referenced.line(), message);
                }
            }
            now += self.every;
        }
        Ok(())
    }

    fn expressions(&self, test: &RawTest, report: &mut TestReport) -> Result<(), FileError> {
        for wanted in &test.promql_expr_test {
            report.checks += 1;
            let at = required(&wanted.value.eval_time)?;
            if let Err(message) = self.compare_samples(&wanted.value, at)? {
                self.fail(report, wanted.referenced.line(), message);
            }
        }
        Ok(())
    }

    fn compare_samples(&self, wanted: &RawExprTest, at: Millis) -> Result<Result<(), String>, FileError> {
        let place = wanted.expr.referenced;
        let parsed = expr::parse(&wanted.expr.value).map_err(|error| error_at(place, error.what))?;
        let mut expected = Vec::new();
        for sample in &wanted.exp_samples {
            let labels = notation::labels(&sample.labels.value);
            let labels = labels.map_err(|message| error_at(sample.labels.referenced, message))?;
            let value = sample.value.value.parse();
            let value = value.map_err(|_| error_at(sample.value.referenced, "value is a number"))?;
            expected.push(Element { labels, value });
        }
        let found = match evaluate(&parsed, at, &self.series, &Limits::default()).0 {
            Ok(value) => value.into_elements(),
            Err(error) => return Ok(Err(format!("{}: {error}", wanted.expr.value))),
        };
        let show = |mut elements: Vec<Element>| {
            elements.sort_by(|a, b| a.labels.cmp(&b.labels));
            // Twelve digits: what differs behind them is how sums were rounded.
            elements.iter().map(|e| format!("{} {:.12e}", e.labels, e.value)).collect::<Vec<_>>()
        };
        Ok(same(&format!("{} at {}", wanted.expr.value, format_millis(at)), show(expected), show(found)))
    }
}

fn compare_alerts(engine: &Engine, wanted: &RawAlertTest, at: Millis) -> Result<(), String> {
    let annotated = wanted.exp_alerts.iter().any(|alert| alert.exp_annotations.is_some());
    let show = |labels: &Labels, annotations: Option<&BTreeMap<String, String>>| match annotations {
        Some(annotations) if annotated => format!("{labels} {annotations:?}"),
        _ => labels.to_string(),
    };
    let firing = engine.alerts().filter(|alert| alert.phase == Phase::Firing);
    let found = firing.filter(|alert| alert.labels.get(ALERT_NAME) == wanted.alertname);
    let found = found.map(|alert| show(&alert.labels, Some(&alert.annotations)));
    let name = [(ALERT_NAME, wanted.alertname.as_str())];
    let expected = wanted.exp_alerts.iter().map(|alert| {
        let labels = alert.exp_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        show(&Labels::new(labels.chain(name)), alert.exp_annotations.as_ref())
    });
    let what = format!("{} at {}", wanted.alertname, format_millis(at));
    same(&what, expected.collect(), found.collect())
}

fn same(what: &str, mut expected: Vec<String>, mut found: Vec<String>) -> Result<(), String> {
    expected.sort();
    found.sort();
    if expected == found {
        return Ok(());
    }
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join("\n    ") };
    Err(format!("{what}\n  expected:\n    {}\n  found:\n    {}", list(&expected), list(&found)))
}

fn series(test: &RawTest, every: Millis) -> Result<Memory, FileError> {
    let interval = duration(test.interval.as_ref())?.unwrap_or(every);
    let mut memory = Memory::default();
    for raw in &test.input_series {
        let wrong = |at: &Spanned<String>, message| error_at(at.referenced, message);
        let labels = notation::labels(&raw.series.value).map_err(|message| wrong(&raw.series, message))?;
        let values = notation::values(&raw.values.value).map_err(|message| wrong(&raw.values, message))?;
        let times = (0..).map(|n: Millis| n.saturating_mul(interval));
        let samples = times.zip(values).filter_map(|(at, value)| Some(Sample { at, value: value? }));
        memory.push(labels, samples);
    }
    Ok(memory)
}

fn duration(text: Option<&Spanned<String>>) -> Result<Option<Millis>, FileError> {
    let millis = text.map(required).transpose()?;
    match (millis, text) {
        (Some(0), Some(text)) => Err(error_at(text.referenced, "an interval is above zero")),
        _ => Ok(millis),
    }
}

fn required(text: &Spanned<String>) -> Result<Millis, FileError> {
    let wrong = || error_at(text.referenced, format!("{:?} is no duration such as 5m", text.value));
    parse_millis(&text.value).ok_or_else(wrong)
}
