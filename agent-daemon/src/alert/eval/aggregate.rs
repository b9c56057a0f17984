//! Aggregations: elements into groups, groups into one element, or the largest of each group.

use rustc_hash::FxHashMap;

use super::{Element, over_time::quantile_of};
use crate::alert::{
    expr::ast::{Aggregation, Grouping},
    labels::Labels,
};

/// Aggregates elements. `param` is how many for `topk` and `bottomk`, or which quantile.
pub(super) fn aggregate(
    op: Aggregation,
    grouping: &Grouping,
    param: Option<f64>,
    elements: Vec<Element>,
) -> Vec<Element> {
    let groups = group(grouping, elements);
    match op {
        Aggregation::TopK | Aggregation::BottomK => {
            let keep = param.unwrap_or_default();
            // NaN and what is below one keep nothing.
            let keep = if keep >= 1.0 { keep as usize } else { 0 };
            groups.into_iter().flat_map(|(_, members)| extremes(op, keep, members)).collect()
        }
        _ => groups
            .into_iter()
            .map(|(labels, members)| Element { labels, value: reduce(op, param, &members) })
            .collect(),
    }
}

/// Groups in the order of their first members.
fn group(grouping: &Grouping, elements: Vec<Element>) -> Vec<(Labels, Vec<Element>)> {
    let mut indexes: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut groups: Vec<(Labels, Vec<Element>)> = Vec::new();
    for element in elements {
        let key = match grouping {
            Grouping::Only(names) => element.labels.only(names),
            Grouping::Except(names) => element.labels.except(names),
        };
        let index = *indexes.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, members)) = groups.get_mut(index) {
            members.push(element);
        }
    }
    groups
}

fn extremes(op: Aggregation, keep: usize, mut members: Vec<Element>) -> Vec<Element> {
    // NaN is last either way; labels decide between equals, so that the answer does not change by itself.
    members.sort_by(|a, b| {
        let order =
            if op == Aggregation::TopK { b.value.total_cmp(&a.value) } else { a.value.total_cmp(&b.value) };
        a.value.is_nan().cmp(&b.value.is_nan()).then(order).then_with(|| a.labels.cmp(&b.labels))
    });
    members.truncate(keep);
    members
}

fn reduce(op: Aggregation, param: Option<f64>, members: &[Element]) -> f64 {
    let count = members.len() as f64;
    let values = || members.iter().map(|member| member.value);
    let mean = || values().sum::<f64>() / count;
    let variance = || {
        let mean = mean();
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    match op {
        Aggregation::Sum => values().sum(),
        Aggregation::Avg => mean(),
        Aggregation::Min => values().fold(f64::NAN, f64::min),
        Aggregation::Max => values().fold(f64::NAN, f64::max),
        Aggregation::Count => count,
        Aggregation::Group | Aggregation::TopK | Aggregation::BottomK => 1.0,
        Aggregation::Stdvar => variance(),
        Aggregation::Stddev => variance().sqrt(),
        Aggregation::Quantile => quantile_of(param.unwrap_or(f64::NAN), &mut values().collect::<Vec<_>>()),
    }
}
