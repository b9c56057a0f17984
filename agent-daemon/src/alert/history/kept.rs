//! One series that is remembered: its samples, in one tier for each grain that rules ask for.

use super::plan::{MAX_TIER_SAMPLES, Tier};
use crate::alert::{
    eval::{Millis, STALE, Sample},
    labels::Labels,
};

/// A series.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) labels: Labels,
    tiers: Vec<(Tier, Vec<Sample>)>,
    /// When it was last shown, and not only said to have ended.
    pub(super) shown: Option<Millis>,
}

impl Kept {
    pub(super) fn new(labels: Labels, tiers: Vec<Tier>) -> Self {
        Self { labels, tiers: tiers.into_iter().map(|tier| (tier, Vec::new())).collect(), shown: None }
    }

    /// Adds a sample, and forgets what is too old. How many more samples there are now.
    pub(super) fn push(&mut self, sample: Sample, interval: Millis) -> isize {
        if !sample.is_stale() {
            self.shown = Some(sample.at);
        }
        let before = self.len();
        for (tier, samples) in &mut self.tiers {
            add(*tier, samples, sample, interval);
        }
        self.len().cast_signed() - before.cast_signed()
    }

    /// Says that it ended.
    pub(super) fn end(&mut self, at: Millis, interval: Millis) -> isize {
        self.shown = None;
        self.push(Sample { at, value: STALE }, interval)
    }

    /// Forgets what lies at this instant and after it.
    pub(super) fn forget_from(&mut self, at: Millis) {
        for (_, samples) in &mut self.tiers {
            samples.truncate(samples.partition_point(|sample| sample.at < at));
        }
        self.shown = self.shown.filter(|shown| *shown < at);
    }

    /// Forgets what nobody looks at any more.
    pub(super) fn expire(&mut self, now: Millis) {
        for (tier, samples) in &mut self.tiers {
            let old = too_old(*tier, samples, now);
            samples.drain(..old);
        }
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.tiers.iter().map(|(_, samples)| samples.len()).sum()
    }

    /// The samples after `from` and up to `to`, from the coarsest tier that is close enough and goes far enough back.
    pub(super) fn range(&self, from: Millis, to: Millis, resolution: Millis, now: Millis) -> &[Sample] {
        let covers = |tier: &Tier| now.saturating_sub(tier.reach) <= from;
        let close = |tier: &Tier| tier.grain <= resolution;
        let best = self.tiers.iter().rev().find(|(tier, _)| covers(tier) && close(tier));
        let best = best.or_else(|| self.tiers.iter().find(|(tier, _)| covers(tier)));
        let Some((_, samples)) = best.or_else(|| self.tiers.iter().max_by_key(|(tier, _)| tier.reach)) else {
            return &[];
        };
        let first = samples.partition_point(|sample| sample.at <= from);
        let end = samples.partition_point(|sample| sample.at <= to);
        samples.get(first..end).unwrap_or_default()
    }

    /// Takes over what another history knows of the time before.
    pub(super) fn adopt(&mut self, older: Self) {
        for (tier, before) in older.tiers {
            // Of another grain where the rules changed meanwhile.
            let Some((_, samples)) = self.tiers.iter_mut().find(|(own, _)| *own == tier) else { continue };
            let begin = samples.first().map_or(Millis::MAX, |sample| sample.at);
            let mut all: Vec<Sample> = before.into_iter().filter(|sample| sample.at < begin).collect();
            // Where the one ended the other goes on.
            if !samples.is_empty() && all.last().is_some_and(|sample| sample.is_stale()) {
                all.pop();
            }
            all.append(samples);
            *samples = all;
        }
        self.shown = self.shown.or(older.shown);
    }

    /// The same with other tiers, as far as the samples go.
    pub(super) fn replan(&mut self, tiers: Vec<Tier>, now: Millis) {
        let reach = |tier: &Tier| now.saturating_sub(tier.reach);
        let fill = |tier: Tier| {
            let mut samples = Vec::new();
            for sample in self.range(reach(&tier), Millis::MAX, tier.grain, now) {
                add(tier, &mut samples, *sample, 0);
            }
            (tier, samples)
        };
        self.tiers = tiers.into_iter().map(fill).collect();
    }
}

/// Adds a sample; one that follows the last within the tier's grain takes its place.
fn add(tier: Tier, samples: &mut Vec<Sample>, sample: Sample, interval: Millis) {
    if samples.last().is_some_and(|last| last.at >= sample.at) {
        return;
    }
    let before = samples.len().checked_sub(2).and_then(|index| samples.get(index));
    let replaces = match samples.last() {
        Some(last) if tier.grain > 0 => last.at.div_euclid(tier.grain) == sample.at.div_euclid(tier.grain),
        // What comes between windows, since something happened, does not make a history longer.
        Some(_) => before.is_some_and(|before| sample.at.saturating_sub(before.at) < interval / 4 * 3),
        None => false,
    };
    match samples.last_mut() {
        Some(last) if replaces => *last = sample,
        _ => samples.push(sample),
    }
    let old = too_old(tier, samples, sample.at);
    let over = samples.len().saturating_sub(2 * MAX_TIER_SAMPLES as usize);
    // Now and then, since what is behind moves up.
    if old.max(over) > samples.len() / 4 + 8 {
        samples.drain(..old.max(over));
    }
}

fn too_old(tier: Tier, samples: &[Sample], now: Millis) -> usize {
    let begin = now.saturating_sub(tier.reach).saturating_sub(tier.grain);
    samples.partition_point(|sample| sample.at <= begin)
}
