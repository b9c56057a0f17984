//! Where series come from, and a source in memory for tests and for `rules test`.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Millis, Sample, Series};
use crate::alert::{
    labels::Labels,
    matcher::{Matcher, all_match},
};

/// What is asked of a source.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// Conditions, all of which a series fulfils; the one on `__name__` is among them.
    pub matchers: &'q [Matcher],
    /// Samples after this instant.
    pub from: Millis,
    /// Samples up to this instant.
    pub to: Millis,
    /// Samples need be no closer than this, milliseconds; 0: all of them. A source may answer from coarser windows.
    pub resolution: Millis,
    /// More series than this need not be found: the evaluation ends with an error.
    pub max_series: usize,
    /// More samples than this likewise.
    pub max_samples: usize,
}

/// Why a source has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing is known about this time: the daemon did not run, or has just begun. What the rule said before
    /// stays as it was.
    #[error("there is no data of this time")]
    NoData,
    /// Reading failed.
    #[error("cannot read the series: {0}")]
    Unreadable(String),
}

/// Where series come from.
///
/// A series that is missing while others are there is *missing*: conditions on it do not hold. A time of which
/// nothing is known is [`SourceError::NoData`]: conditions are unknown, and alerts stay as they are.
pub trait Source {
    /// The series that fulfil the conditions and have a sample in the range; samples in the order of their times,
    /// each time once. What is out of order is left out by the evaluation.
    ///
    /// # Errors
    /// There is no answer for this time.
    fn select<'s>(&'s self, query: &Query<'_>) -> Result<Vec<Series<'s>>, SourceError>;
}

/// Series in memory, by name.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    series: BTreeMap<String, BTreeMap<Labels, Vec<Sample>>>,
}

impl Memory {
    /// Adds samples to a series. Those that are not later than its last one are left out.
    pub fn push(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        let name = labels.name().unwrap_or_default().to_owned();
        let own = self.series.entry(name).or_default().entry(labels).or_default();
        for sample in samples {
            if own.last().is_none_or(|last| last.at < sample.at) {
                own.push(sample);
            }
        }
    }
}

impl Source for Memory {
    fn select<'s>(&'s self, query: &Query<'_>) -> Result<Vec<Series<'s>>, SourceError> {
        let mut found = Vec::new();
        let wanted = |name: &&String| {
            query.matchers.iter().filter(|m| m.name() == crate::alert::labels::NAME).all(|m| m.accepts(name))
        };
        for (name, series) in &self.series {
            if !wanted(&name) {
                continue;
            }
            for (labels, samples) in series.iter().filter(|(labels, _)| all_match(query.matchers, labels)) {
                let first = samples.partition_point(|sample| sample.at <= query.from);
                let end = samples.partition_point(|sample| sample.at <= query.to);
                let Some(samples) = samples.get(first..end).filter(|s| !s.is_empty()) else { continue };
                found.push(Series { labels: Cow::Borrowed(labels), samples: Cow::Borrowed(samples) });
                if found.len() > query.max_series {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}
