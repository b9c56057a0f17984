//! Calls of language models, added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{operation::MAX_GROUPS, seconds};
use crate::{
    model::{
        id::AgentId,
        operation::Sum,
        time::{TimeRange, Timestamp},
    },
    store::query::Group,
};

/// Calls of models, added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmSummary)]
pub struct LlmSummaryDto {
    /// Start of the range; null where it has none.
    pub from: Option<Timestamp>,
    /// End of the range; null where it has none.
    pub to: Option<Timestamp>,
    /// All together.
    pub total: LlmSumDto,
    /// By what was asked for, most time first; the 100 first.
    pub groups: Vec<LlmGroupDto>,
    /// What `total` has and `groups` does not.
    pub left_out: LeftOutDto,
}

/// Groups beyond those that are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LeftOut)]
pub struct LeftOutDto {
    /// How many they are.
    pub groups: usize,
    /// The calls in them.
    pub calls: u64,
}

impl LeftOutDto {
    /// Of all groups, when no more are listed than there is room for.
    pub(super) fn of<'s>(sums: impl Iterator<Item = &'s Sum>) -> Self {
        let left_out =
            |left: Self, sum: &Sum| Self { groups: left.groups + 1, calls: left.calls + sum.count };
        sums.skip(MAX_GROUPS).fold(Self::default(), left_out)
    }
}

/// What the calls of a group have in common, and their sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmGroup)]
pub struct LlmGroupDto {
    /// Who answered, as `gen_ai.provider.name` has it; null where calls are added up by agent.
    #[schema(example = "anthropic")]
    pub provider: Option<String>,
    /// The model that was asked for; null where it was not seen, or calls are not added up by model.
    pub model: Option<String>,
    /// The agent whose processes called; null where calls are not added up by agent.
    pub agent: Option<String>,
    /// The sum.
    #[serde(flatten)]
    pub sum: LlmSumDto,
}

/// What calls of a group have in common: provider, model, agent.
pub type LlmGroupKey = (Option<String>, Option<String>, Option<AgentId>);

impl LlmSummaryDto {
    /// Adds up groups that have the same in common.
    pub fn new(range: TimeRange, groups: impl Iterator<Item = (LlmGroupKey, Sum)>, total: &Sum) -> Self {
        let mut sums: BTreeMap<LlmGroupKey, Sum> = BTreeMap::new();
        for (key, sum) in groups {
            sums.entry(key).or_default().merge(&sum);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.total_ns));
        let group = |((provider, model, agent), sum): (LlmGroupKey, Sum)| LlmGroupDto {
            provider,
            model,
            agent: agent.map(|agent| agent.to_string()),
            sum: LlmSumDto::from(&sum),
        };
        let (from, to) = range.bounds();
        Self {
            from,
            to,
            total: LlmSumDto::from(total),
            left_out: LeftOutDto::of(sums.iter().map(|(_, sum)| sum)),
            groups: sums.into_iter().take(MAX_GROUPS).map(group).collect(),
        }
    }
}

/// Calls of one model, added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmModel)]
pub struct LlmModelDto {
    /// Who answered, and what was asked for.
    #[schema(example = "anthropic chat")]
    pub name: String,
    /// The model that was asked for; null where it was not seen, `other` for what came when an agent had too many.
    pub model: Option<String>,
    /// The sum.
    #[serde(flatten)]
    pub sum: LlmSumDto,
}

/// What calls of models come to together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmSum)]
pub struct LlmSumDto {
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were not the first of their request.
    pub retries: u64,
    /// Calls of which something was not seen.
    pub partial: u64,
    /// How long all took together.
    pub total_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Half took no longer. To within 3.2 %.
    pub p50_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
    /// Mean time to the first content of streams.
    pub first_content_mean_seconds: Option<f64>,
    /// Calls whose tokens the provider told: the tokens are of these. Where there are none, they are null, and not 0; where
    /// there are, what single ones did not tell (a provider without a cache, say) is counted as 0.
    pub calls_with_usage: u64,
    /// Calls whose tokens are an estimate, which are in the sums as well: only where `llm.estimate_tokens` is on.
    pub calls_estimated: u64,
    /// Tokens that the model read.
    pub input_tokens: Option<u64>,
    /// Tokens that it wrote.
    pub output_tokens: Option<u64>,
    /// Of the input: read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input: written into a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the output: reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Tokens that it wrote for each second that calls took, with or without usage.
    pub output_tokens_per_second: Option<f64>,
    /// What those calls cost whose price is configured, US dollars; null where that is none of them.
    pub cost_usd: Option<f64>,
    /// How many these are.
    pub priced: u64,
}

impl From<&(Group, Sum)> for LlmModelDto {
    fn from((group, sum): &(Group, Sum)) -> Self {
        Self {
            name: group.name.clone().unwrap_or_else(|| "other".to_owned()),
            model: group.model.clone(),
            sum: LlmSumDto::from(sum),
        }
    }
}

impl From<&Sum> for LlmSumDto {
    fn from(sum: &Sum) -> Self {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns).map(seconds);
        let (used, total_seconds) = (&sum.llm, seconds(sum.total_ns));
        let per_second = |tokens: Option<u64>| {
            tokens.filter(|_| total_seconds > 0.0).map(|tokens| tokens as f64 / total_seconds)
        };
        Self {
            calls: sum.count,
            failures: sum.errors,
            retries: used.retries,
            partial: used.partial,
            total_seconds,
            max_seconds: seconds(sum.max_ns),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
            first_content_mean_seconds: used.first_content_ns.checked_div(used.streams).map(seconds),
            calls_with_usage: used.counted,
            calls_estimated: used.estimated,
            input_tokens: used.told(used.input),
            output_tokens: used.told(used.output),
            cache_read_tokens: used.told(used.cache_read),
            cache_write_tokens: used.told(used.cache_write),
            reasoning_tokens: used.told(used.reasoning),
            output_tokens_per_second: per_second(used.told(used.output)),
            cost_usd: (used.priced > 0).then(|| used.cost.usd()),
            priced: used.priced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, llm_call_at};

    #[test]
    fn groups_that_are_not_listed_are_told_of() {
        let group = |n: usize| {
            let (mut sum, seconds) = (Sum::default(), 1 + (n % 200) as u64);
            (0..=n / 100).for_each(|_| sum.add(&llm_call_at(at(0), seconds)));
            ((Some("openai".to_owned()), Some(format!("model {n}")), None), sum)
        };
        let total = |groups: usize| {
            (0..groups).map(group).fold(Sum::default(), |mut total, (_, sum)| {
                total.merge(&sum);
                total
            })
        };
        for (groups, left_out) in [(0, 0), (MAX_GROUPS, 0), (MAX_GROUPS + 17, 17)] {
            let total = total(groups);
            let summary = LlmSummaryDto::new(TimeRange::ALL, (0..groups).map(group), &total);
            assert_eq!((summary.groups.len(), summary.left_out.groups), (groups - left_out, left_out));
            let listed: u64 = summary.groups.iter().map(|group| group.sum.calls).sum();
            assert_eq!(listed + summary.left_out.calls, summary.total.calls);
        }
    }
}
