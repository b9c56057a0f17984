//! Detection as functions of the expression language.
//!
//! | function | value |
//! |---|---|
//! | `anomaly(v[7d], c)` | spreads above (below: negative) what was to be expected, of series unusual with confidence c |
//! | `anomaly_rate(v[7d], c)` | the same of a counter's rate |
//! | `anomaly_confidence(v[7d])` | how surely the newest value is unusual, 0 to 1 |
//! | `anomaly_baseline(v[7d])` | what was to be expected |
//! | `forecast(v[6h], t)` | the value t seconds from now |
//! | `forecast_low(v[6h], t, c)`, `forecast_high` | the bounds of its interval of confidence c |
//! | `forecast_slope(v[6h])` | change per second, robust |
//! | `forecast_until(v[6h], x, c)` | seconds until it reaches x, at the slowest slope of confidence c |
//!
//! A series of which too little is known has no element in any of them.

use super::{
    anomaly::{Verdict, judge},
    forecast::Line,
};
use crate::alert::eval::{
    Millis, Sample,
    samples::{Window, seconds_between},
};

/// How old the newest sample may be, milliseconds, of short ranges; of long ones a five-hundredth of the range.
const FRESH: Millis = 300_000;

pub(crate) fn anomaly(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    unusual(verdict(window, window.samples)?, numbers)
}

pub(crate) fn anomaly_rate(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    unusual(verdict(window, &rates(window))?, numbers)
}

pub(crate) fn anomaly_confidence(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    verdict(window, window.samples).map(|verdict| verdict.confidence)
}

pub(crate) fn anomaly_baseline(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    verdict(window, window.samples).map(|verdict| verdict.baseline)
}

pub(crate) fn forecast(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    Some(line(window)?.at(*numbers.first()?))
}

pub(crate) fn forecast_low(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    Some(line(window)?.between(*numbers.first()?, *numbers.get(1)?).0)
}

pub(crate) fn forecast_high(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    Some(line(window)?.between(*numbers.first()?, *numbers.get(1)?).1)
}

pub(crate) fn forecast_slope(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    line(window).map(|line| line.slope)
}

pub(crate) fn forecast_until(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    line(window)?.until(*numbers.first()?, *numbers.get(1)?)
}

fn verdict(window: &Window<'_>, samples: &[Sample]) -> Option<Verdict> {
    fresh(window).then(|| judge(samples))?
}

fn unusual(verdict: Verdict, numbers: &[f64]) -> Option<f64> {
    (verdict.confidence >= *numbers.first()?).then_some(verdict.deviation)
}

fn line(window: &Window<'_>) -> Option<Line> {
    let range = (window.from, window.to);
    fresh(window).then(|| Line::fit(window.samples, range, window.now))?
}

fn fresh(window: &Window<'_>) -> bool {
    let newest = window.samples.last().map_or(window.from, |sample| sample.at);
    let range = window.to.saturating_sub(window.from);
    window.to.saturating_sub(newest) <= FRESH.max(range / 500)
}

/// A counter's increase per second between each two samples, at the later one's time.
fn rates(window: &Window<'_>) -> Vec<Sample> {
    let rate = |(before, after): (Sample, Sample)| {
        let grown = if after.value < before.value { after.value } else { after.value - before.value };
        Sample { at: after.at, value: grown / seconds_between(before.at, after.at) }
    };
    window.pairs().map(rate).collect()
}
