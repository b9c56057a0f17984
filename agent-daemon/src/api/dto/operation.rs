//! Operations on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{names::OperationSourceDto, seconds};
use crate::{
    model::{
        operation::{Call, Operation, Source, Sum},
        time::{TimeRange, Timestamp},
    },
    store::query::{Group, OperationPage, OperationSummary},
};

/// A page of operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationList)]
pub struct OperationListDto {
    /// Start of the range; null where it has none.
    pub from: Option<Timestamp>,
    /// End of the range; null where it has none.
    pub to: Option<Timestamp>,
    /// All operations that match and are kept one by one.
    pub total: u64,
    /// Operations of the range that match and are left only as sums: the summary has them.
    pub added_up: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// The operations, in the order that was asked for.
    pub operations: Vec<OperationDto>,
}

impl OperationListDto {
    /// A page that begins at `offset`.
    #[must_use]
    pub fn new(
        page: &OperationPage,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        offset: usize,
    ) -> Self {
        Self {
            from,
            to,
            total: page.total,
            added_up: page.added_up,
            next_offset: page.next_offset(offset),
            operations: page.operations.iter().map(OperationDto::from).collect(),
        }
    }
}

/// Groups that are added up in one answer beside calls.
pub(super) const MAX_GROUPS: usize = 100;

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationDto {
    /// Unique in this store.
    pub id: String,
    /// Whose key the sender showed.
    pub project: String,
    /// How it came.
    pub source: OperationSourceDto,
    /// What sort of work it was.
    #[schema(example = "http_server")]
    pub kind: String,
    /// The route or endpoint.
    #[schema(example = "/orders/{id}")]
    pub name: String,
    /// When it began, by the sender's clock.
    pub start: Timestamp,
    /// How long it took.
    pub duration_seconds: f64,
    /// Bytes moved, where told.
    pub size_bytes: Option<u64>,
    /// Whether it went well.
    pub success: bool,
    /// The class of the failure.
    pub error_type: Option<String>,
    /// HTTP's method.
    pub method: Option<String>,
    /// HTTP's status.
    pub status: Option<u16>,
    /// The language model.
    pub model: Option<String>,
    /// For whom: a pseudonym, unless the project keeps plain names.
    pub user: Option<String>,
    /// In which session: a pseudonym likewise.
    pub session: Option<String>,
    /// The trace, hexadecimal.
    pub trace_id: Option<String>,
    /// Its span, hexadecimal.
    pub span_id: Option<String>,
    /// The span that it is part of, hexadecimal.
    pub parent_span_id: Option<String>,
    /// Labels from the allow-list.
    pub labels: BTreeMap<String, String>,
    /// What it was made of, each entry before those below it.
    pub calls: Vec<CallDto>,
    /// The agent whose process sent it, where the daemon saw that for itself.
    pub agent: Option<String>,
    /// The process that sent it.
    pub pid: Option<u32>,
    /// What that process did meanwhile; null where no agent's process sent it.
    pub stacks: Option<StackLinksDto>,
}

/// One entry of a call tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationCall)]
pub struct CallDto {
    /// 0 for what the operation called itself.
    pub depth: u8,
    /// What was called.
    pub name: String,
    /// How long it took.
    pub duration_seconds: f64,
}

/// Where the stacks of a process are for an operation's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StackLinks)]
pub struct StackLinksDto {
    /// Where it used the CPU: whole windows around the operation.
    pub cpu: String,
    /// What it waited for.
    pub off_cpu: String,
}

impl From<&Operation> for OperationDto {
    fn from(operation: &Operation) -> Self {
        let trace = operation.trace;
        Self {
            id: format!("{:016x}", operation.id),
            project: operation.project.to_string(),
            source: operation.source.into(),
            kind: operation.kind.clone(),
            name: operation.name.clone(),
            start: operation.start,
            duration_seconds: seconds(operation.duration_ns),
            size_bytes: operation.bytes,
            success: operation.success,
            error_type: operation.error_type.clone(),
            method: operation.method.clone(),
            status: operation.status,
            model: operation.model.clone(),
            user: operation.user.clone(),
            session: operation.session.clone(),
            trace_id: trace.map(|t| hexadecimal(&t.trace)),
            span_id: trace.map(|t| hexadecimal(&t.span)),
            parent_span_id: trace.and_then(|t| t.parent).map(|parent| hexadecimal(&parent)),
            labels: operation.labels.iter().cloned().collect(),
            calls: operation.calls.iter().map(CallDto::from).collect(),
            agent: operation.agent.as_ref().map(ToString::to_string),
            pid: operation.process.map(|process| process.pid()),
            stacks: links(operation),
        }
    }
}

impl From<&Call> for CallDto {
    fn from(call: &Call) -> Self {
        Self { depth: call.depth, name: call.name.clone(), duration_seconds: seconds(call.duration_ns) }
    }
}

pub(super) fn links(operation: &Operation) -> Option<StackLinksDto> {
    let (agent, pid) = (operation.agent.as_ref()?, operation.process?.pid());
    // A range has a length, whatever took none.
    let end = operation.end().max(operation.start + std::time::Duration::from_millis(1));
    let link = |kind| {
        let range = format!("from={}&to={end}&pid={pid}", operation.start);
        format!("/api/v1/agents/{agent}/profile?type={kind}&format=svg&{range}")
    };
    Some(StackLinksDto { cpu: link("cpu"), off_cpu: link("off_cpu") })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Operations added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationSummary)]
pub struct OperationSummaryDto {
    /// When the first operation began; null where there is none.
    pub from: Option<Timestamp>,
    /// When the last one ended.
    pub to: Option<Timestamp>,
    /// Everything together, but for `otlp_metrics` of a project's kind of which operations came in another way, too:
    /// what spans and metrics both tell is not added up.
    pub total: OperationSumDto,
    /// Everything that came in each way.
    pub sources: Vec<OperationGroupDto>,
    /// The groups, most time first.
    pub groups: Vec<OperationGroupDto>,
    /// Groups that there are, whether shown or not.
    pub groups_total: usize,
    /// Whether there were too many groups; the rest is one group for each source then, without a name.
    pub overflowed: bool,
}

/// A group of operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationGroup)]
pub struct OperationGroupDto {
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<OperationSourceDto>,
    /// The kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The route or endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The user, as far as operations are kept one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session, as far as operations are kept one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Their sum.
    #[serde(flatten)]
    pub sum: OperationSumDto,
}

/// Some operations added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationSum)]
pub struct OperationSumDto {
    /// Operations.
    pub count: u64,
    /// Operations a second, over the range that was asked for; null where that has no length.
    pub per_second: Option<f64>,
    /// Operations that failed.
    pub errors: u64,
    /// The share that failed; null where there are none.
    pub error_rate: Option<f64>,
    /// How long all took together.
    pub total_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Half took no longer. To within 3.2 %.
    pub p50_seconds: Option<f64>,
    /// 90 % took no longer.
    pub p90_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
    /// Bytes moved.
    pub size_bytes: u64,
    /// Users: exact up to 255, then to within about 6 %.
    pub users: u64,
    /// Sessions likewise.
    pub sessions: u64,
}

impl OperationSumDto {
    fn new(sum: &Sum, length: Option<f64>) -> Self {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns).map(seconds);
        Self {
            count: sum.count,
            per_second: length.filter(|length| *length > 0.0).map(|length| sum.count as f64 / length),
            errors: sum.errors,
            error_rate: (sum.count > 0).then(|| sum.errors as f64 / sum.count as f64),
            total_seconds: seconds(sum.total_ns),
            max_seconds: seconds(sum.max_ns),
            p50_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
            p99_seconds: quantile(0.99),
            size_bytes: sum.bytes,
            users: sum.users.count(),
            sessions: sum.sessions.count(),
        }
    }
}

fn of_source(source: Source, sum: &Sum) -> (Group, Sum) {
    (Group { source: Some(source), ..Group::default() }, sum.clone())
}

impl OperationSummaryDto {
    /// The `limit` groups that took most time.
    #[must_use]
    pub fn new(summary: &OperationSummary, asked: TimeRange, limit: usize) -> Self {
        // Of a range without a beginning, the time of which there is anything.
        let is_bounded = asked.from > Timestamp::MIN && asked.to < Timestamp::MAX;
        let bounds = if is_bounded { Some((asked.from, asked.to)) } else { summary.covered };
        let length = bounds.map(|(from, to)| to.duration_since(from).as_secs_f64());
        let group = |(group, sum): &(Group, Sum)| OperationGroupDto {
            project: group.project.clone(),
            source: group.source.map(Into::into),
            kind: group.kind.clone(),
            name: group.name.clone(),
            model: group.model.clone(),
            agent: group.agent.as_ref().map(ToString::to_string),
            user: group.user.clone(),
            session: group.session.clone(),
            sum: OperationSumDto::new(sum, length),
        };
        Self {
            from: summary.covered.map(|(from, _)| from),
            to: summary.covered.map(|(_, to)| to),
            total: OperationSumDto::new(&summary.total, length),
            sources: summary.sources.iter().map(|(source, sum)| group(&of_source(*source, sum))).collect(),
            groups: summary.groups.iter().take(limit).map(group).collect(),
            groups_total: summary.groups.len(),
            overflowed: summary.overflowed,
        }
    }
}
