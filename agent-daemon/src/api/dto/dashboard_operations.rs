//! Operations on the dashboard: all of a range together, and the slowest endpoints.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{names::OperationSourceDto, seconds};
use crate::{
    model::operation::Sum,
    store::query::{Group, OperationSummary},
};

/// What applications told of the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DashboardOperations)]
pub struct DashboardOperationsDto {
    /// All together; metrics of what is told by spans, too, are left out.
    #[serde(flatten)]
    pub total: LatenciesDto,
    /// The endpoints of which one operation in twenty took longest, slowest first.
    pub slowest: Vec<EndpointDto>,
    /// How many endpoints there are, of which `slowest` shows the first.
    pub endpoints_total: usize,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointDto {
    /// The project; null, with kind and name, for all endpoints that found no room.
    pub project: Option<String>,
    /// How they came.
    pub source: Option<OperationSourceDto>,
    /// The kind.
    #[schema(example = "http_server")]
    pub kind: Option<String>,
    /// The route or endpoint.
    #[schema(example = "/orders/{id}")]
    pub name: Option<String>,
    /// Its operations.
    #[serde(flatten)]
    pub sum: LatenciesDto,
}

/// How many, and how long they took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Latencies)]
pub struct LatenciesDto {
    /// Operations that began in the range; of old history, in a stretch that overlaps it.
    pub requests: u64,
    /// Of these, those that failed.
    pub errors: u64,
    /// Half took no longer, to within 3.2 %; null where there are none.
    pub p50_seconds: Option<f64>,
    /// 95 % took no longer.
    pub p95_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
}

impl DashboardOperationsDto {
    /// The sums of a range, with `most` endpoints.
    #[must_use]
    pub fn new(summary: &OperationSummary, most: usize) -> Self {
        let mut endpoints: Vec<_> = summary.groups.iter().collect();
        endpoints.sort_by_cached_key(|(group, sum)| {
            (Reverse(sum.durations.quantile(0.95, sum.max_ns)), Reverse(sum.count), group.clone())
        });
        Self {
            total: LatenciesDto::from(&summary.total),
            slowest: endpoints.into_iter().take(most).map(EndpointDto::from).collect(),
            endpoints_total: summary.groups.len(),
        }
    }
}

impl From<&(Group, Sum)> for EndpointDto {
    fn from((group, sum): &(Group, Sum)) -> Self {
        Self {
            project: group.project.clone(),
            source: group.source.map(Into::into),
            kind: group.kind.clone(),
            name: group.name.clone(),
            sum: sum.into(),
        }
    }
}

impl From<&Sum> for LatenciesDto {
    fn from(sum: &Sum) -> Self {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns).map(seconds);
        Self {
            requests: sum.count,
            errors: sum.errors,
            p50_seconds: quantile(0.5),
            p95_seconds: quantile(0.95),
            p99_seconds: quantile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, operation_at};

    #[test]
    fn the_slowest_come_first_and_no_more_than_asked_for() {
        let mut summary = OperationSummary::default();
        for n in 1..=30u64 {
            let (mut sum, group) = (Sum::default(), Group { name: Some(n.to_string()), ..Group::default() });
            (0..10).for_each(|_| sum.add(&operation_at(at(0), n)));
            summary.total.merge(&sum);
            summary.groups.push((group, sum));
        }
        let told = DashboardOperationsDto::new(&summary, 20);
        assert_eq!((told.slowest.len(), told.endpoints_total, told.total.requests), (20, 30, 300));
        assert_eq!(told.total.errors, 30);
        let first = &told.slowest[0];
        assert_eq!((first.name.as_deref(), first.sum.requests), (Some("30"), 10));
        assert!(first.sum.p95_seconds.is_some_and(|p95| (p95 - 0.03).abs() < 0.001));
        let nothing = DashboardOperationsDto::new(&OperationSummary::default(), 20);
        assert_eq!((nothing.total.p95_seconds, nothing.slowest.len()), (None, 0));
    }
}
