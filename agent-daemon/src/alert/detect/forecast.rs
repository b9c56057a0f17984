//! Where is a series going? A straight line by Theil and Sen (the median of the slopes between all pairs of points:
//! up to 29 % of the points may be wrong), with an interval for the slope by Kendall's statistic, as in P. K. Sen,
//! "Estimates of the regression coefficient based on Kendall's tau", 1968.
//!
//! The interval takes the noise of points for independent of each other; points are medians of blocks of samples,
//! which makes that less untrue. What grows in steps or curves is no line.

use super::robust;
use crate::alert::eval::{Millis, Sample, samples::seconds_between};

/// The most points, of which all pairs are looked at.
const MAX_POINTS: usize = 100;
/// How few points say nothing.
const FEWEST_POINTS: usize = 10;

/// A line through samples.
#[derive(Clone, Debug)]
pub struct Line {
    /// Change per second.
    pub slope: f64,
    /// The value at the origin.
    pub level: f64,
    /// How far the points spread around the line, as a standard deviation.
    pub spread: f64,
    /// Slopes of all pairs, sorted.
    slopes: Vec<f64>,
    points: usize,
}

/// A point: seconds from the origin, value.
type Point = (f64, f64);

impl Line {
    /// A line through the finite samples between two instants; its origin is `origin`. `None`: there are fewer than
    /// ten, or they cover less than half of that time.
    #[must_use]
    pub fn fit(samples: &[Sample], (from, to): (Millis, Millis), origin: Millis) -> Option<Self> {
        let finite: Vec<Sample> = samples.iter().copied().filter(|s| s.value.is_finite()).collect();
        let (first, last) = (finite.first()?, finite.last()?);
        if seconds_between(first.at, last.at) * 2.0 < seconds_between(from, to) {
            return None;
        }
        let points = thin(&finite, origin);
        if points.len() < FEWEST_POINTS {
            return None;
        }
        let mut slopes = slopes(&points);
        let slope = robust::median(&mut slopes)?;
        slopes.sort_unstable_by(f64::total_cmp);
        let mut levels: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
        let level = robust::median(&mut levels)?;
        // 1.4826 median distances are a standard deviation of normal noise.
        let spread = 1.4826 * robust::median_distance(&mut levels, level)?;
        Some(Self { slope, level, spread, slopes, points: points.len() })
    }

    /// The value so many seconds after the origin.
    #[must_use]
    pub fn at(&self, seconds: f64) -> f64 {
        self.level + self.slope * seconds
    }

    /// The slopes that the true one is between with this confidence (0.5 to 1).
    #[must_use]
    pub fn slope_between(&self, confidence: f64) -> (f64, f64) {
        let (n, pairs) = (self.points as f64, self.slopes.len() as f64);
        let width = robust::normal_width(confidence) * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
        let rank = |pairs_below: f64| pairs_below / (pairs - 1.0).max(1.0);
        let quantile = |below: f64| robust::between_ranks(&self.slopes, rank(below));
        (quantile((pairs - width) / 2.0 - 1.0), quantile((pairs + width) / 2.0))
    }

    /// The values that one so many seconds after the origin is between with this confidence.
    #[must_use]
    pub fn between(&self, seconds: f64, confidence: f64) -> (f64, f64) {
        let (low, high) = self.slope_between(confidence);
        let ends = (self.level + low * seconds, self.level + high * seconds);
        let noise = robust::normal_width(confidence) * self.spread;
        (ends.0.min(ends.1) - noise, ends.0.max(ends.1) + noise)
    }

    /// In how many seconds the line reaches a value, by the slowest slope of this confidence: sooner is likely.
    /// `None` where not even the direction is sure.
    #[must_use]
    pub fn until(&self, value: f64, confidence: f64) -> Option<f64> {
        let distance = value - self.level;
        let (low, high) = self.slope_between(confidence);
        let slowest = if distance > 0.0 { low } else { high };
        let seconds = distance / slowest;
        (distance == 0.0 || slowest * distance > 0.0).then_some(if distance == 0.0 { 0.0 } else { seconds })
    }
}

/// At most [`MAX_POINTS`]: of more, the medians of blocks.
fn thin(samples: &[Sample], origin: Millis) -> Vec<Point> {
    let block = samples.len().div_ceil(MAX_POINTS).max(1);
    let middle = |block: &[Sample]| {
        let mut values: Vec<f64> = block.iter().map(|sample| sample.value).collect();
        let time = block.iter().map(|s| seconds_between(origin, s.at)).sum::<f64>() / block.len() as f64;
        Some((time, robust::median(&mut values)?))
    };
    samples.chunks(block).filter_map(middle).collect()
}

fn slopes(points: &[Point]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, (x, y)) in points.iter().enumerate() {
        let later = points.iter().skip(index + 1).filter(|(later, _)| later > x);
        slopes.extend(later.map(|(later, value)| (value - y) / (later - x)));
    }
    slopes
}
