//! What the figures are held against: a sentence, and whether they bear it out.

use super::contest::Series;

/// A sentence about the figures.
#[derive(Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) text: String,
    /// `None` if it cannot be told: a contender dropped out.
    pub(super) holds: Option<bool>,
}

/// A difference below this share of the baseline is none that anybody could notice.
const NOTICEABLE: f64 = 0.01;

/// `ours` adds at most what `theirs` adds, by the median of the rounds' differences.
pub(super) fn at_most(series: &[Series], ours: &str, theirs: &str) -> Claim {
    let holds = find(series, ours)
        .zip(find(series, theirs))
        .and_then(|(ours, theirs)| ours.above(theirs))
        .map(|difference| difference.median <= 0.0);
    Claim { text: format!("{ours} costs at most what {theirs} costs"), holds }
}

/// `ours` adds nothing: the middle half of the differences includes zero, or they are under a hundredth.
pub(super) fn nothing_measurable(series: &[Series], ours: &str) -> Claim {
    let base = series.first();
    let holds = base.zip(find(series, ours)).and_then(|(base, ours)| {
        let (difference, base) = (ours.above(base)?, base.absolute()?);
        Some(difference.low <= 0.0 || difference.median <= NOTICEABLE * base.median)
    });
    Claim { text: format!("{ours}: nothing measurable"), holds }
}

/// The median of `name` stays below `limit`.
pub(super) fn below(series: &[Series], name: &str, limit: f64, unit: &str) -> Claim {
    let holds = find(series, name).and_then(Series::absolute).map(|summary| summary.median < limit);
    Claim { text: format!("{name} is below {limit} {unit}"), holds }
}

/// The median of `name` is `limit` or more.
pub(super) fn at_least(series: &[Series], name: &str, limit: f64, unit: &str) -> Claim {
    let holds = find(series, name).and_then(Series::absolute).map(|summary| summary.median >= limit);
    Claim { text: format!("{name} is at least {limit} {unit}"), holds }
}

fn find<'a>(series: &'a [Series], name: &str) -> Option<&'a Series> {
    series.iter().find(|series| series.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, samples: &[f64]) -> Series {
        Series { name: name.to_owned(), samples: samples.to_vec(), dropped: None }
    }

    #[test]
    fn claims_hold_and_break_on_the_rounds_differences() {
        let all = [
            series("base", &[100.0, 200.0, 100.0]),
            series("ours", &[150.0, 250.0, 150.0]),
            series("theirs", &[151.0, 260.0, 140.0]),
            series("far", &[100.2, 200.3, 100.4]),
            series("gone", &[]),
        ];
        assert_eq!(at_most(&all, "ours", "theirs").holds, Some(true));
        assert_eq!(at_most(&all, "theirs", "ours").holds, Some(false));
        assert_eq!(at_most(&all, "ours", "gone").holds, None);
        assert_eq!(nothing_measurable(&all, "far").holds, Some(true));
        assert_eq!(nothing_measurable(&all, "ours").holds, Some(false));
        assert_eq!(nothing_measurable(&all, "nobody").holds, None);
        assert_eq!(below(&all, "ours", 150.0, "ns").holds, Some(false));
        assert_eq!(below(&all, "ours", 151.0, "ns").holds, Some(true));
        assert_eq!(at_least(&all, "ours", 150.0, "ns").holds, Some(true));
        assert_eq!(at_least(&all, "ours", 151.0, "ns").holds, Some(false));
        assert_eq!(at_least(&all, "gone", 1.0, "ns").holds, None);
    }
}
