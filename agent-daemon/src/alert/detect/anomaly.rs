//! Is the newest value unusual for this series? Compared with the same time of day on the days before, where there
//! are enough of them, else with the last two hours.
//!
//! The centre is a median, the spread from [`robust::scale`]. Nothing is said where there is too little to compare
//! with, or where the newest sample is old. A change that lasts longer than half of what it is compared with is the
//! new normal.

use super::robust;
use crate::alert::eval::{Millis, Sample};

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/// How far from the time of day a sample may be, to compare with it.
const SAME_TIME: Millis = 30 * MINUTE;
/// On how many earlier days there must be samples of that time.
const FEWEST_DAYS: i64 = 3;
/// How many days back it is looked.
const MOST_DAYS: i64 = 366;
/// How many samples of that time there must be in all.
const FEWEST_SEASONAL: usize = 12;
/// How far back recent samples go.
const RECENT: Millis = 120 * MINUTE;
/// How many recent samples there must be.
const FEWEST_RECENT: usize = 30;
/// The least spread, as a share of the centre: below it, differences mean nothing.
const LEAST_SPREAD: f64 = 0.01;

/// What the newest value was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The same time of day on earlier days.
    TimeOfDay,
    /// The last two hours.
    Recent,
}

/// How unusual the newest value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// What was to be expected.
    pub baseline: f64,
    /// How far values spread around it.
    pub spread: f64,
    /// How many spreads the value is above it; negative: below.
    pub deviation: f64,
    /// How surely it is none of those: 0 to 1.
    pub confidence: f64,
    /// What it was compared with.
    pub basis: Basis,
    /// With how many samples.
    pub compared: usize,
}

/// Judges the newest of some samples in the order of their times. `None`: there is not enough to say.
#[must_use]
pub fn judge(samples: &[Sample]) -> Option<Verdict> {
    let (newest, history) = samples.split_last()?;
    if !newest.value.is_finite() {
        return None;
    }
    let (basis, mut values) = match same_time_of_day(history, newest.at) {
        Some(values) => (Basis::TimeOfDay, values),
        None => (Basis::Recent, recent(history, newest.at)?),
    };
    let compared = values.len();
    let baseline = robust::median(&mut values)?;
    let spread = spread(values, baseline)?;
    let deviation = (newest.value - baseline) / spread;
    Some(Verdict { baseline, spread, deviation, confidence: robust::confidence(deviation), basis, compared })
}

fn same_time_of_day(history: &[Sample], at: Millis) -> Option<Vec<f64>> {
    let oldest = history.first()?.at;
    let mut values = Vec::new();
    let mut days = 0;
    for day in 1..=MOST_DAYS {
        let middle = at.saturating_sub(day.saturating_mul(DAY));
        let before = values.len();
        values.extend(finite(history, middle.saturating_sub(SAME_TIME), middle.saturating_add(SAME_TIME)));
        days += i64::from(values.len() > before);
        if middle < oldest {
            break;
        }
    }
    (days >= FEWEST_DAYS && values.len() >= FEWEST_SEASONAL).then_some(values)
}

fn recent(history: &[Sample], at: Millis) -> Option<Vec<f64>> {
    let values: Vec<f64> = finite(history, at.saturating_sub(RECENT), at).collect();
    (values.len() >= FEWEST_RECENT).then_some(values)
}

/// Finite values from one instant to another.
fn finite(history: &[Sample], from: Millis, to: Millis) -> impl Iterator<Item = f64> {
    let first = history.partition_point(|sample| sample.at < from);
    let end = history.partition_point(|sample| sample.at <= to);
    let within = history.get(first..end.max(first)).unwrap_or_default();
    within.iter().map(|sample| sample.value).filter(|value| value.is_finite())
}

/// `None` where every value is zero: then nobody can say how far is far.
fn spread(mut values: Vec<f64>, baseline: f64) -> Option<f64> {
    let count = values.len() as f64;
    let furthest = values.iter().map(|value| (value - baseline).abs()).fold(0.0, f64::max);
    let mut spread = robust::scale(&mut values, baseline);
    if spread == 0.0 {
        // Mostly one value: what was seen once already is no surprise.
        spread = furthest;
    }
    // The median itself is uncertain, more so with few samples.
    let spread = spread * (1.0 + std::f64::consts::FRAC_PI_2 / count).sqrt();
    let spread = spread.max(baseline.abs() * LEAST_SPREAD);
    (spread > 0.0 && spread.is_finite()).then_some(spread)
}
