//! What rules look at: which series, how far back, and how closely. Only that is remembered.

use std::collections::BTreeMap;

use crate::alert::{
    eval::Millis,
    expr::{
        Expr,
        ast::{Kind, Selector},
    },
    labels::Labels,
    matcher::{Matcher, all_match},
    rule::RuleSet,
};

/// The most samples that one series keeps for one tier. What would need more is kept more coarsely.
pub(super) const MAX_TIER_SAMPLES: Millis = 4096;
/// The farthest that is looked back, milliseconds: what the store keeps at most.
const MAX_REACH: Millis = 31 * 86_400_000;

/// How closely samples of a series are kept, and how far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tier {
    /// One sample in so many milliseconds; 0: all.
    pub(super) grain: Millis,
    /// How far back, milliseconds.
    pub(super) reach: Millis,
}

/// One selector's wish.
#[derive(Clone, Debug)]
struct Demand {
    matchers: Vec<Matcher>,
    tier: Tier,
}

/// Everything that some rules look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// By metric; by the empty name those that name none.
    demands: BTreeMap<String, Vec<Demand>>,
    /// How often samples come, milliseconds.
    interval: Millis,
    lookback: Millis,
}

impl Plan {
    /// What these rules need where samples come at this interval.
    pub(super) fn of(rules: &RuleSet, interval: Millis, lookback: Millis) -> Self {
        let mut plan = Self { demands: BTreeMap::new(), interval: interval.max(1), lookback };
        for rule in rules.rules() {
            plan.walk(&rule.expr, 0, None);
        }
        plan
    }

    /// Whether any series of this metric may be needed.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.demands.contains_key(name) || self.demands.contains_key("")
    }

    /// How a series is to be kept: each grain once, the finest first; empty: not at all.
    pub(super) fn tiers(&self, labels: &Labels) -> Vec<Tier> {
        let own = self.demands.get(labels.name().unwrap_or_default());
        let any = self.demands.get("");
        let mut tiers: Vec<Tier> = Vec::new();
        for demand in own.into_iter().chain(any).flatten().filter(|d| all_match(&d.matchers, labels)) {
            match tiers.iter_mut().find(|tier| tier.grain == demand.tier.grain) {
                Some(tier) => tier.reach = tier.reach.max(demand.tier.reach),
                None => tiers.push(demand.tier),
            }
        }
        tiers.sort_unstable_by_key(|tier| tier.grain);
        tiers
    }

    /// How far back the tiers go of which each sample counts, and how far all of them, milliseconds.
    pub(super) fn reach(&self) -> (Millis, Millis) {
        let all = || self.demands.values().flatten().map(|demand| demand.tier);
        let fine = all().filter(|tier| tier.grain <= self.interval).map(|tier| tier.reach).max();
        (fine.unwrap_or_default(), all().map(|tier| tier.reach).max().unwrap_or_default())
    }

    /// How close samples need be of what lies so far back, milliseconds.
    pub(super) fn grain_at(&self, back: Millis) -> Millis {
        let tiers = self.demands.values().flatten().map(|demand| demand.tier);
        let grains = tiers.filter(|tier| tier.reach >= back).map(|tier| tier.grain);
        grains.min().unwrap_or_default().max(self.interval)
    }

    /// `around` is how far back the expression itself is evaluated, by subqueries that it stands in.
    fn walk(&mut self, expr: &Expr, around: Millis, points: Option<u32>) {
        match &expr.kind {
            Kind::Selector(selector) => self.demand(selector, self.lookback, around, None),
            Kind::Range { selector, range } => self.demand(selector, *range, around, points),
            Kind::Subquery { inner, range, offset, .. } => {
                let around = around.saturating_add(*range).saturating_add((*offset).max(0));
                self.walk(inner, around, None);
            }
            Kind::Call { function, args } => {
                args.iter().for_each(|arg| self.walk(arg, around, function.points));
            }
            _ => {
                for child in expr.children() {
                    self.walk(child, around, None);
                }
            }
        }
    }

    fn demand(&mut self, selector: &Selector, range: Millis, around: Millis, points: Option<u32>) {
        let reach = range.saturating_add(selector.offset.max(0)).saturating_add(around).clamp(0, MAX_REACH);
        let enough = points.map_or(0, |points| range / Millis::from(points.max(1)));
        let grain = enough.max(reach / MAX_TIER_SAMPLES);
        let grain = if grain <= self.interval { 0 } else { grain };
        let demand = Demand { matchers: selector.matchers.clone(), tier: Tier { grain, reach } };
        self.demands.entry(selector.name().unwrap_or_default().to_owned()).or_default().push(demand);
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, Plan, RuleSet, Tier};

    fn plan(expr: &str) -> Plan {
        let text = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      {expr}\n");
        Plan::of(&RuleSet::parse(&text).unwrap(), 5000, 300_000)
    }

    fn tiers(expr: &str, series: &[(&str, &str)]) -> Vec<(i64, i64)> {
        let tiers = plan(expr).tiers(&Labels::new(series.iter().copied()));
        tiers.into_iter().map(|Tier { grain, reach }| (grain, reach / 1000)).collect()
    }

    #[test]
    fn what_is_looked_at_is_kept_and_nothing_else() {
        let m = [("__name__", "m"), ("a", "x")];
        assert_eq!(tiers("m > 1", &m), [(0, 300)]);
        assert_eq!(tiers("rate(m[2m]) > 1 and m > 0", &m), [(0, 300)]);
        assert_eq!(tiers("rate(m[2m] offset 1h) > 1", &m), [(0, 3720)]);
        assert_eq!(tiers("max_over_time(rate(m[5m])[1h:1m]) > 1", &m), [(0, 3900)]);
        assert_eq!(tiers(r#"m{a="y"} > 1"#, &m), []);
        assert_eq!(tiers("n > 1", &m), []);
        assert_eq!(tiers(r#"{a="x"} > 1"#, &m), [(0, 300)]);
    }

    #[test]
    fn what_need_not_be_close_is_kept_coarsely() {
        let m = [("__name__", "m")];
        assert_eq!(tiers("anomaly(m[7d], 0.999) > 0 and m > 0", &m), [(0, 300), (300_000, 604_800)]);
        // A week of windows would be 120,960 samples.
        assert_eq!(tiers("rate(m[7d]) > 1", &m), [(147_656, 604_800)]);
        assert_eq!(plan("anomaly(m[7d], 0.999) > 0 and m > 0").reach(), (300_000, 604_800_000));
        let plan = plan("anomaly(m[7d], 0.999) > 0 and m > 0");
        assert_eq!((plan.grain_at(300_000), plan.grain_at(300_001)), (5000, 300_000));
    }
}
