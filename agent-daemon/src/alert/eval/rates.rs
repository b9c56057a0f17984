//! How fast a series changes, as Prometheus computes it: counters survive resets, and what a range does not quite
//! cover is extrapolated to its edges.

use super::samples::{Sample, Window, seconds_between};

/// `rate`: increase per second.
pub(crate) fn rate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(extrapolated(window, true)? / seconds_between(window.from, window.to))
}

/// `increase`
pub(crate) fn increase(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, true)
}

/// `delta`: difference of a gauge between the range's ends.
pub(crate) fn delta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, false)
}

/// `irate`: increase per second between the last two samples.
pub(crate) fn irate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let (before, last) = window.pairs().last()?;
    let increase = if last.value < before.value { last.value } else { last.value - before.value };
    Some(increase / seconds_between(before.at, last.at))
}

/// `idelta`: difference of the last two samples.
pub(crate) fn idelta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    window.pairs().last().map(|(before, last)| last.value - before.value)
}

/// `deriv`: slope per second of the straight line of least squares.
pub(crate) fn deriv(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let origin = window.samples.first()?.at;
    least_squares(window.samples, origin).map(|(slope, _)| slope)
}

/// `predict_linear(…, t)`: that line's value t seconds from now.
pub(crate) fn predict_linear(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    let (slope, level) = least_squares(window.samples, window.now)?;
    Some(level + slope * numbers.first()?)
}

/// How much the range changed. Samples seldom lie on its edges: the change goes on to an edge that is nearer than
/// 1.1 mean distances of samples, else half a distance; a counter is never taken below zero.
fn extrapolated(window: &Window<'_>, counter: bool) -> Option<f64> {
    let (first, last) = (window.samples.first()?, window.samples.last()?);
    let sampled = seconds_between(first.at, last.at);
    if window.samples.len() < 2 || sampled <= 0.0 {
        return None;
    }
    let mut change = last.value - first.value;
    if counter {
        change += window.pairs().filter(|(a, b)| b.value < a.value).map(|(a, _)| a.value).sum::<f64>();
    }
    let spacing = sampled / (window.samples.len() - 1) as f64;
    let reach = |gap: f64| if gap >= spacing * 1.1 { spacing / 2.0 } else { gap };
    let mut before = reach(seconds_between(window.from, first.at));
    if counter && change > 0.0 && first.value >= 0.0 {
        // It was zero this long before the first sample.
        before = before.min(sampled * (first.value / change));
    }
    let after = reach(seconds_between(last.at, window.to));
    Some(change * ((sampled + before + after) / sampled))
}

/// Slope per second and value at the origin.
fn least_squares(samples: &[Sample], origin: i64) -> Option<(f64, f64)> {
    if samples.len() < 2 {
        return None;
    }
    let count = samples.len() as f64;
    // Means first: sums of squares of large numbers would lose their digits.
    let mean_x = samples.iter().map(|s| seconds_between(origin, s.at)).sum::<f64>() / count;
    let mean_y = samples.iter().map(|s| s.value).sum::<f64>() / count;
    let (mut xx, mut xy) = (0.0, 0.0);
    for sample in samples {
        let x = seconds_between(origin, sample.at) - mean_x;
        xx += x * x;
        xy += x * (sample.value - mean_y);
    }
    let slope = xy / xx;
    Some((slope, mean_y - slope * mean_x))
}
