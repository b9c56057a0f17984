//! How much an evaluation may cost. Work is counted, not timed: the same rules over the same series cost the same
//! on every host, so a rule that passes its test does not fail under load.

use super::EvalError;
use crate::alert::expr::{DEFAULT_STEP, MAX_STEPS};

/// Bounds of one evaluation of one expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series that all its selectors may find together.
    pub series: u64,
    /// Samples that they may bring.
    pub samples: u64,
    /// Steps of subqueries.
    pub steps: u64,
    /// Work units: about one for each sample or element that is looked at. A million take some milliseconds.
    pub work: u64,
    /// How old the newest sample of a series may be for it to have a value, milliseconds.
    pub lookback: i64,
    /// The step of a subquery that names none, milliseconds.
    pub step: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 20_000,
            samples: 4_000_000,
            steps: MAX_STEPS.unsigned_abs(),
            work: 100_000_000,
            lookback: 300_000,
            step: DEFAULT_STEP,
        }
    }
}

/// What an evaluation has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Series found.
    pub series: u64,
    /// Samples read.
    pub samples: u64,
    /// Steps of subqueries.
    pub steps: u64,
    /// Work units.
    pub work: u64,
}

/// Limits and what of them is used up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) limits: Limits,
    pub(super) spent: Spent,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, spent: Spent::default() }
    }

    pub(super) fn work(&mut self, units: u64) -> Result<(), EvalError> {
        take(&mut self.spent.work, units, self.limits.work, "work units")
    }

    pub(super) fn step(&mut self) -> Result<(), EvalError> {
        take(&mut self.spent.steps, 1, self.limits.steps, "steps of subqueries")
    }

    pub(super) fn series(&mut self, series: u64, samples: u64) -> Result<(), EvalError> {
        take(&mut self.spent.series, series, self.limits.series, "series")?;
        take(&mut self.spent.samples, samples, self.limits.samples, "samples")?;
        self.work(series.saturating_add(samples))
    }

    /// What a selector may still find: series, samples.
    pub(super) fn room(&self) -> (usize, usize) {
        let left =
            |limit: u64, spent: u64| usize::try_from(limit.saturating_sub(spent)).unwrap_or(usize::MAX);
        (left(self.limits.series, self.spent.series), left(self.limits.samples, self.spent.samples))
    }
}

fn take(spent: &mut u64, more: u64, limit: u64, what: &'static str) -> Result<(), EvalError> {
    *spent = spent.saturating_add(more);
    if *spent > limit { Err(EvalError::TooMuch { what, limit }) } else { Ok(()) }
}
