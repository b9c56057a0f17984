//! Functions of the values of a series within a range.

use super::samples::Window;
use crate::alert::detect::robust;

fn fold(window: &Window<'_>, with: impl Fn(f64, f64) -> f64) -> Option<f64> {
    window.values().reduce(with)
}

/// `sum_over_time`
pub(crate) fn sum(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(window.values().sum())
}

/// `avg_over_time`. Sums that overflow are avoided by dividing first.
pub(crate) fn avg(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(mean(window))
}

fn mean(window: &Window<'_>) -> f64 {
    let count = window.samples.len() as f64;
    let sum: f64 = window.values().sum();
    if sum.is_finite() { sum / count } else { window.values().map(|value| value / count).sum() }
}

/// `min_over_time`: NaN only where there is nothing else.
pub(crate) fn min(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    fold(window, f64::min)
}

/// `max_over_time`: NaN only where there is nothing else.
pub(crate) fn max(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    fold(window, f64::max)
}

/// `count_over_time`
pub(crate) fn count(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(window.samples.len() as f64)
}

/// `last_over_time`
pub(crate) fn last(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    fold(window, |_, value| value)
}

/// `present_over_time`: 1.
pub(crate) fn present(_: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(1.0)
}

/// `stdvar_over_time`, of the population.
pub(crate) fn stdvar(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let mean = mean(window);
    let squares: f64 = window.values().map(|value| (value - mean).powi(2)).sum();
    Some(squares / window.samples.len() as f64)
}

/// `stddev_over_time`, of the population.
pub(crate) fn stddev(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    stdvar(window, numbers).map(f64::sqrt)
}

/// `quantile_over_time(q, …)`
pub(crate) fn quantile(window: &Window<'_>, numbers: &[f64]) -> Option<f64> {
    let mut values: Vec<f64> = window.values().collect();
    Some(quantile_of(numbers.first().copied().unwrap_or(f64::NAN), &mut values))
}

/// `mad_over_time`: the median distance from the median, not scaled.
pub(crate) fn mad(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let mut values: Vec<f64> = window.values().collect();
    let median = robust::median(&mut values)?;
    robust::median_distance(&mut values, median)
}

/// `changes`: how often the value differs from the one before; NaN after NaN is no change.
pub(crate) fn changes(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let changed =
        window.pairs().filter(|(a, b)| a.value != b.value && !(a.value.is_nan() && b.value.is_nan()));
    Some(changed.count() as f64)
}

/// `resets`: how often the value is lower than the one before.
pub(crate) fn resets(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(window.pairs().filter(|(a, b)| b.value < a.value).count() as f64)
}

/// A quantile as Prometheus has it: between ranks in proportion, below 0 and above 1 infinite, NaN the smallest.
pub(crate) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| nan_first(*a).total_cmp(&nan_first(*b)));
    robust::between_ranks(values, q)
}

/// A negative NaN sorts before everything.
const fn nan_first(value: f64) -> f64 {
    if value.is_nan() { -f64::NAN.abs() } else { value }
}
