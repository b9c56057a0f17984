//! What the figures are held against: a sentence, and whether they bear it out.

use super::{contest::Series, stats::Summary};

/// A sentence about the figures.
#[derive(Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) text: String,
    /// `None` if it cannot be told: a contender dropped out.
    pub(super) holds: Option<bool>,
}

/// What is called unmeasurable stays below this share of the baseline. With a program attached to them, even
/// untraced system calls cost half as much again; what a sampled process pays anyway is a third of a hundredth.
const UNMEASURABLE: f64 = 0.03;

/// `ours` adds at most what `theirs` adds, by the median of the rounds' differences.
pub(super) fn at_most(series: &[Series], ours: &str, theirs: &str) -> Claim {
    let holds = find(series, ours)
        .zip(find(series, theirs))
        .and_then(|(ours, theirs)| ours.above(theirs))
        .map(|difference| difference.median <= 0.0);
    Claim { text: format!("{ours} costs at most what {theirs} costs"), holds }
}

/// `ours` adds at most what `theirs` adds, as far as the run can tell: `noise` is a series of differences between
/// nothing and nothing. Where those are larger than `bound`, it cannot.
pub(super) fn at_most_but_noise(
    series: &[Series],
    ours: &str,
    theirs: &str,
    noise: &str,
    bound: f64,
) -> Claim {
    let noise = find(series, noise).and_then(Series::absolute).map(largest);
    let holds = noise.filter(|noise| *noise <= bound).and_then(|noise| {
        let difference = find(series, ours)?.above(find(series, theirs)?)?;
        Some(difference.median <= noise)
    });
    Claim { text: format!("{ours} costs at most what {theirs} costs, but for the run's noise"), holds }
}

/// `ours` adds less than [`UNMEASURABLE`], by the median of the rounds' differences. That these leave out zero
/// says nothing: with few rounds, those of `again`, which measures the baseline a second time, do so too. A run
/// in which `again` differs by more than the bound cannot tell.
pub(super) fn nothing_measurable(series: &[Series], ours: &str, again: &str) -> Claim {
    let holds = || {
        let base = series.first()?;
        let bound = UNMEASURABLE * base.absolute()?.median;
        let noise = largest(find(series, again)?.above(base)?);
        let difference = find(series, ours)?.above(base)?;
        (noise <= bound).then_some(difference.median <= bound)
    };
    let percent = 100.0 * UNMEASURABLE;
    Claim { text: format!("{ours}: nothing measurable, less than {percent} %"), holds: holds() }
}

/// The farther one of the quartiles from zero.
fn largest(difference: Summary) -> f64 {
    difference.low.abs().max(difference.high.abs())
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
            series("gone", &[]),
        ];
        assert_eq!(at_most(&all, "ours", "theirs").holds, Some(true));
        assert_eq!(at_most(&all, "theirs", "ours").holds, Some(false));
        assert_eq!(at_most(&all, "ours", "gone").holds, None);
        assert_eq!(below(&all, "ours", 150.0, "ns").holds, Some(false));
        assert_eq!(below(&all, "ours", 151.0, "ns").holds, Some(true));
        assert_eq!(at_least(&all, "ours", 150.0, "ns").holds, Some(true));
        assert_eq!(at_least(&all, "ours", 151.0, "ns").holds, Some(false));
        assert_eq!(at_least(&all, "gone", 1.0, "ns").holds, None);
    }
    #[test]
    fn a_run_that_is_too_noisy_cannot_tell_that_something_costs_nothing() {
        let all = [
            series("base", &[100.0, 101.0, 100.0]),
            series("quiet", &[100.5, 100.0, 101.0]),
            series("noisy", &[110.0, 120.0, 90.0]),
            series("close", &[101.7, 102.8, 101.8]),
            series("far", &[104.0, 106.0, 105.0]),
        ];
        let holds = |ours, again| nothing_measurable(&all, ours, again).holds;
        assert_eq!(holds("close", "quiet"), Some(true), "though no difference is zero");
        assert_eq!(holds("far", "quiet"), Some(false));
        assert_eq!(holds("close", "noisy"), None);
        assert_eq!(holds("nobody", "quiet"), None);
    }

    #[test]
    fn a_difference_within_the_runs_noise_is_none() {
        let all = [
            series("ours", &[1.5, 1.6, 1.4]),
            series("theirs", &[1.2, 1.3, 1.1]),
            series("cheap", &[0.1, 0.1, 0.1]),
            series("noise", &[0.5, -0.4, 0.5]),
            series("uproar", &[9.0, -9.0, 8.0]),
        ];
        let holds = |theirs, noise| at_most_but_noise(&all, "ours", theirs, noise, 3.0).holds;
        assert_eq!(holds("theirs", "noise"), Some(true));
        assert_eq!(holds("cheap", "noise"), Some(false));
        assert_eq!(holds("cheap", "uproar"), None);
    }
}
