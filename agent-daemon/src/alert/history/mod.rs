//! What rules look at, remembered: the series of `/metrics` that some rule selects, as far back as it looks, in memory.
//!
//! Samples are taken of the same counters that others scrape, so a rule sees what a dashboard shows. A series that is
//! no longer shown gets a stale marker, so conditions on it end with it. Ranges of more than 4,096 samples are kept
//! more coarsely, and what `anomaly` and `forecast` look at as coarsely as these ask for.
//!
//! Bounds: [`MAX_SERIES`] series and [`MAX_SAMPLES`] samples of 16 bytes. Where there is no room, series that have
//! ended go first; new ones that find none are counted. A history is empty when the daemon starts, and is filled
//! from the store by replaying it, beside the rounds ([`History::adopt`]).

mod kept;
mod plan;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use rustc_hash::{FxHashMap, FxHasher};

use self::{kept::Kept, plan::Plan};
use super::{
    eval::{Limits, Millis, Query, Sample, Series, Source, SourceError},
    labels::{Labels, NAME},
    matcher::all_match,
    rule::RuleSet,
};
use crate::model::{exposition::Samples, time::Timestamp};

/// The most series.
pub const MAX_SERIES: usize = 20_000;
/// The most samples of all series, 64 MB.
pub const MAX_SAMPLES: usize = 4_000_000;
/// What rules look at, remembered.
#[derive(Debug)]
pub struct History {
    plan: Plan,
    interval: Millis,
    metrics: FxHashMap<String, Metric>,
    series: usize,
    samples: usize,
    newest: Millis,
    /// For how long samples have been taken, milliseconds.
    observed: Millis,
    /// Series that found no room.
    refused: u64,
}

/// The series of one metric.
#[derive(Debug, Default)]
struct Metric {
    series: Vec<Kept>,
    /// By a hash of labels and values, in the order in which they are shown.
    places: FxHashMap<u64, usize>,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Series.
    pub series: usize,
    /// Samples.
    pub samples: usize,
    /// Series that found no room since the start.
    pub refused: u64,
}

impl History {
    /// An empty one for these rules; samples come every `interval` milliseconds.
    #[must_use]
    pub fn new(rules: &RuleSet, interval: Millis) -> Self {
        let plan = Plan::of(rules, interval, Limits::default().lookback);
        let (metrics, series, samples, newest, observed, refused) = Default::default();
        Self { plan, interval, metrics, series, samples, newest, observed, refused }
    }

    /// Takes a sample of everything that rules look at.
    pub fn record(&mut self, at: Timestamp, samples: &dyn Samples) {
        let now = at.as_millisecond();
        if now <= self.newest {
            self.clock_went_back(now);
        }
        if self.newest > 0 {
            let passed = now.saturating_sub(self.newest).clamp(0, self.interval.saturating_mul(3));
            self.observed = self.observed.saturating_add(passed);
        }
        self.newest = now;
        // What is shown is looked up while it is shown: no label is copied that is known.
        let plan = std::mem::take(&mut self.plan);
        samples.samples(at, &|name| plan.wants(name), &mut |name, labels, value| {
            self.push(&plan, name, labels, Sample { at: now, value });
        });
        self.plan = plan;
        self.end_what_is_gone(now);
    }

    /// Other rules: what they do not look at is forgotten.
    pub fn replan(&mut self, rules: &RuleSet) {
        self.plan = Plan::of(rules, self.interval, Limits::default().lookback);
        for metric in self.metrics.values_mut() {
            for kept in &mut metric.series {
                kept.replan(self.plan.tiers(&kept.labels), self.newest);
            }
        }
        self.forget_empty();
    }

    /// Takes over what another one, made for the same rules, knows of the time before. What is not shown in the next
    /// round has ended.
    pub fn adopt(&mut self, older: Self) {
        for (name, metric) in older.metrics {
            let own = self.metrics.entry(name).or_default();
            for (place, index) in metric.places.iter().map(|(place, index)| (*place, *index)) {
                let Some(kept) = metric.series.get(index).cloned() else { continue };
                if self.samples >= MAX_SAMPLES {
                    self.refused += 1;
                    continue;
                }
                self.samples += kept.len();
                match own.places.get(&place).and_then(|index| own.series.get_mut(*index)) {
                    Some(known) if known.labels == kept.labels => known.adopt(kept),
                    Some(_) => {}
                    None if self.series < MAX_SERIES => {
                        own.places.insert(place, own.series.len());
                        own.series.push(kept);
                        self.series += 1;
                    }
                    None => self.refused += 1,
                }
            }
        }
        self.samples = self.metrics.values().flat_map(|metric| &metric.series).map(Kept::len).sum();
    }

    /// Without counters: what another one counted does not go on where this one's begin.
    #[must_use]
    pub fn without_counters(mut self) -> Self {
        let counts =
            |name: &str| ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end));
        self.metrics.retain(|name, _| !counts(name));
        self
    }

    /// How far back each sample counts, and how far back anything does, milliseconds.
    #[must_use]
    pub fn reach(&self) -> (Millis, Millis) {
        self.plan.reach()
    }

    /// How close samples need be of what lies so far back, milliseconds.
    #[must_use]
    pub fn grain_at(&self, back: Millis) -> Millis {
        self.plan.grain_at(back)
    }

    /// Whether rules look at any series of this metric.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.plan.wants(name)
    }

    /// Which of these metrics have no series.
    #[must_use]
    pub fn missing<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
        let has = |name: &str| self.metrics.get(name).is_some_and(|metric| !metric.series.is_empty());
        names.into_iter().filter(|name| !has(name)).map(str::to_owned).collect()
    }

    /// How much is remembered.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { series: self.series, samples: self.samples, refused: self.refused }
    }

    fn push(&mut self, plan: &Plan, name: &str, labels: &[(&str, &str)], sample: Sample) {
        let place = place(labels);
        if !self.metrics.contains_key(name) {
            self.metrics.insert(name.to_owned(), Metric::default());
        }
        let Some(metric) = self.metrics.get_mut(name) else { return };
        if let Some(kept) = metric.places.get(&place).and_then(|index| metric.series.get_mut(*index)) {
            let same = labels.iter().all(|(name, value)| kept.labels.get(name) == *value);
            // Two series of one hash: the later is as one without room.
            if same && self.samples < MAX_SAMPLES {
                self.samples = self.samples.saturating_add_signed(kept.push(sample, self.interval));
            } else {
                self.refused += 1;
            }
            return;
        }
        let own = Labels::new(labels.iter().copied().chain([(NAME, name)]));
        let tiers = plan.tiers(&own);
        if tiers.is_empty() {
            return;
        }
        if self.series >= MAX_SERIES || self.samples >= MAX_SAMPLES {
            self.refused += 1;
            return;
        }
        let mut kept = Kept::new(own, tiers);
        self.samples = self.samples.saturating_add_signed(kept.push(sample, self.interval));
        metric.places.insert(place, metric.series.len());
        metric.series.push(kept);
        self.series += 1;
    }

    /// Marks what was shown in the round before and is not in this one, and forgets what has no samples left.
    fn end_what_is_gone(&mut self, now: Millis) {
        let full = self.series >= MAX_SERIES || self.samples >= MAX_SAMPLES;
        let mut empty = false;
        for kept in self.metrics.values_mut().flat_map(|metric| &mut metric.series) {
            if kept.shown.is_some_and(|shown| shown < now) {
                let more = kept.end(now, self.interval);
                self.samples = self.samples.saturating_add_signed(more);
            }
            if kept.shown.is_none() {
                let before = kept.len();
                // A series that has ended only makes room where there is none.
                kept.expire(if full { Millis::MAX } else { now });
                self.samples = self.samples.saturating_sub(before - kept.len());
                empty = empty || kept.len() == 0;
            }
        }
        if empty {
            self.forget_empty();
        }
    }

    fn forget_empty(&mut self) {
        for metric in self.metrics.values_mut() {
            if metric.series.iter().all(|kept| kept.len() > 0) {
                continue;
            }
            let places: FxHashMap<usize, u64> = metric.places.iter().map(|(p, i)| (*i, *p)).collect();
            let old = std::mem::take(metric);
            for (index, kept) in old.series.into_iter().enumerate().filter(|(_, kept)| kept.len() > 0) {
                let Some(place) = places.get(&index) else { continue };
                metric.places.insert(*place, metric.series.len());
                metric.series.push(kept);
            }
        }
        self.metrics.retain(|_, metric| !metric.series.is_empty());
        self.series = self.metrics.values().map(|metric| metric.series.len()).sum();
        self.samples = self.metrics.values().flat_map(|metric| &metric.series).map(Kept::len).sum();
    }

    /// What lies ahead of a clock that went back is forgotten: it would hide what comes now.
    fn clock_went_back(&mut self, now: Millis) {
        for kept in self.metrics.values_mut().flat_map(|metric| &mut metric.series) {
            kept.forget_from(now);
        }
        self.samples = self.metrics.values().flat_map(|metric| &metric.series).map(Kept::len).sum();
    }
}

impl Source for History {
    fn select<'s>(&'s self, query: &Query<'_>) -> Result<Vec<Series<'s>>, SourceError> {
        // A rate needs two samples, and counters of agents move when their first window is closed.
        if self.observed < self.interval.saturating_mul(3) / 2 {
            return Err(SourceError::NoData);
        }
        let mut found = Vec::new();
        let mut samples = 0;
        for metric in self.chosen(query) {
            for kept in metric.series.iter().filter(|kept| all_match(query.matchers, &kept.labels)) {
                let range = kept.range(query.from, query.to, query.resolution, self.newest);
                if range.is_empty() {
                    continue;
                }
                samples += range.len();
                found.push(Series { labels: Cow::Borrowed(&kept.labels), samples: Cow::Borrowed(range) });
                if found.len() > query.max_series || samples > query.max_samples {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

impl History {
    /// The metrics whose name fits: one where it is named, which is the rule.
    fn chosen<'s>(&'s self, query: &Query<'_>) -> Vec<&'s Metric> {
        use super::matcher::MatchOp;
        let name = query.matchers.iter().find(|m| m.name() == NAME && m.op() == MatchOp::Equal);
        if let Some(name) = name {
            return self.metrics.get(name.value()).into_iter().collect();
        }
        // In the order of their names, so that equal series give equal answers.
        let all: BTreeMap<&str, &Metric> = self.metrics.iter().map(|(n, m)| (n.as_str(), m)).collect();
        all.into_values().collect()
    }
}

/// What stands for labels and values, in their order.
fn place(labels: &[(&str, &str)]) -> u64 {
    let mut hasher = FxHasher::default();
    labels.hash(&mut hasher);
    hasher.finish()
}
