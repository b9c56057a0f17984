//! Operations in the journal: one by one, or sums of them, of which each row is a line.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    DataError, Kind,
    hexadecimal::Hex,
    llm::{LlmData, LlmSumData},
    process_id::Id,
    tool::{BillData, ToolData},
};
use crate::model::{
    id::AgentId,
    operation::{
        Bill, Call, Distinct, Durations, Llm, LlmSum, Operation, Source, Sum, SumKey, Sums, Tool,
        TraceContext,
    },
    time::Timestamp,
};

/// One operation.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct OperationData {
    v: u32,
    id: Hex<8>,
    project: String,
    source: String,
    kind: String,
    name: String,
    start: Timestamp,
    duration_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceData>,
    /// Key and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<CallData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<ToolData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    llm: Option<LlmData>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TraceData {
    trace_id: Hex<16>,
    span_id: Hex<8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Hex<8>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CallData {
    depth: u8,
    name: String,
    duration_ns: u64,
}

/// A row of sums.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct SumData {
    v: u32,
    start: Timestamp,
    end: Timestamp,
    project: String,
    source: String,
    kind: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    count: u64,
    errors: u64,
    total_ns: u64,
    max_ns: u64,
    bytes: u64,
    /// Number of the bucket and count.
    durations: Vec<(u16, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<Hex<8>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<Hex<8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bill: Option<BillData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    llm: Option<LlmSumData>,
}

impl From<&Operation> for OperationData {
    fn from(operation: &Operation) -> Self {
        let call = |call: &Call| CallData {
            depth: call.depth,
            name: call.name.clone(),
            duration_ns: call.duration_ns,
        };
        Self {
            v: Kind::Operation.version(),
            id: operation.id.into(),
            project: operation.project.to_string(),
            source: operation.source.name().to_owned(),
            kind: operation.kind.clone(),
            name: operation.name.clone(),
            start: operation.start,
            duration_ns: operation.duration_ns,
            bytes: operation.bytes,
            success: operation.success,
            error_type: operation.error_type.clone(),
            method: operation.method.clone(),
            status: operation.status,
            model: operation.model.clone(),
            user: operation.user.clone(),
            session: operation.session.clone(),
            trace: operation.trace.map(|TraceContext { trace, span, parent }| TraceData {
                trace_id: Hex(trace),
                span_id: Hex(span),
                parent_span_id: parent.map(Hex),
            }),
            labels: operation.labels.clone(),
            calls: operation.calls.iter().map(call).collect(),
            agent: operation.agent.as_ref().map(ToString::to_string),
            process: operation.process.map(Id),
            tool: operation.tool.as_deref().map(ToolData::from),
            llm: operation.llm.as_deref().map(LlmData::from),
        }
    }
}

impl TryFrom<OperationData> for Operation {
    type Error = DataError;

    fn try_from(data: OperationData) -> Result<Self, DataError> {
        let call = |CallData { depth, name, duration_ns }| Call { depth, name, duration_ns };
        Ok(Self {
            id: data.id.into(),
            project: data.project.into(),
            source: source(&data.source)?,
            kind: data.kind,
            name: data.name,
            start: data.start,
            duration_ns: data.duration_ns,
            bytes: data.bytes,
            success: data.success,
            error_type: data.error_type,
            method: data.method,
            status: data.status,
            model: data.model,
            user: data.user,
            session: data.session,
            trace: data.trace.map(|TraceData { trace_id, span_id, parent_span_id }| TraceContext {
                trace: trace_id.0,
                span: span_id.0,
                parent: parent_span_id.map(|parent| parent.0),
            }),
            labels: data.labels,
            calls: data.calls.into_iter().map(call).collect(),
            agent: agent(data.agent)?,
            process: data.process.map(|process| process.0),
            tool: data.tool.map(Tool::try_from).transpose()?.map(Box::new),
            llm: data.llm.map(Llm::try_from).transpose()?.map(Box::new),
        })
    }
}

impl SumData {
    /// A row of a stretch.
    pub(in crate::export::journal) fn new(
        (start, end): (Timestamp, Timestamp),
        (key, sum): (&SumKey, &Sum),
    ) -> Self {
        Self {
            v: Kind::OperationSum.version(),
            start,
            end,
            project: key.project.to_string(),
            source: key.source.name().to_owned(),
            kind: key.kind.clone(),
            name: key.name.clone(),
            model: key.model.clone(),
            agent: key.agent.as_ref().map(ToString::to_string),
            count: sum.count,
            errors: sum.errors,
            total_ns: sum.total_ns,
            max_ns: sum.max_ns,
            bytes: sum.bytes,
            durations: sum.durations.buckets().collect(),
            users: sum.users.hashes().map(Hex::from).collect(),
            sessions: sum.sessions.hashes().map(Hex::from).collect(),
            bill: Some(BillData::from(sum.bill)).filter(|_| sum.bill != Bill::default()),
            llm: Some(LlmSumData::from(sum.llm)).filter(|_| sum.llm != LlmSum::default()),
        }
    }
}

impl TryFrom<SumData> for Sums {
    type Error = DataError;

    fn try_from(data: SumData) -> Result<Self, DataError> {
        if data.end < data.start {
            return Err(DataError::Value("sums that end before they begin"));
        }
        let mut durations = Durations::default();
        data.durations.iter().for_each(|(bucket, count)| durations.add_to_bucket(*bucket, *count));
        let key = SumKey {
            project: Arc::from(data.project),
            source: source(&data.source)?,
            kind: data.kind,
            name: data.name,
            model: data.model,
            agent: agent(data.agent)?,
        };
        let sum = Sum {
            count: data.count,
            errors: data.errors,
            total_ns: data.total_ns,
            max_ns: data.max_ns,
            bytes: data.bytes,
            durations,
            users: distinct(data.users),
            sessions: distinct(data.sessions),
            bill: data.bill.map(Bill::from).unwrap_or_default(),
            llm: data.llm.map(LlmSum::from).unwrap_or_default(),
        };
        Ok(Self { rows: [(key, sum)].into(), ..Self::new(data.start, data.end) })
    }
}

fn distinct(hashes: Vec<Hex<8>>) -> Distinct {
    let mut seen = Distinct::default();
    hashes.into_iter().for_each(|hash| seen.add_hash(hash.into()));
    seen
}

fn source(name: &str) -> Result<Source, DataError> {
    let found = Source::ALL.into_iter().find(|source| source.name() == name);
    found.ok_or(DataError::Value("a source of operations"))
}

fn agent(id: Option<String>) -> Result<Option<AgentId>, DataError> {
    id.map(|id| id.parse()).transpose().map_err(|_| DataError::Value("an agent's id"))
}
