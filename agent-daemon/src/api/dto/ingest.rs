//! What applications send, for the document, and what they are told. Requests are read in `ingest`, one record at a time;
//! these types say what they look like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ingest::{Outcome, otlp},
    model::time::Timestamp,
};

/// One operation, as an application tells it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OperationRecord)]
pub struct OperationRecordDto {
    /// What sort of work: letters, digits and `_`.
    #[schema(example = "job")]
    pub kind: String,
    /// What it is called: a template, without ids and without a query.
    pub name: String,
    /// How long it took.
    pub duration_seconds: f64,
    /// When it began; if absent, so that it ends now.
    #[schema(required = false)]
    pub start: Option<Timestamp>,
    /// Bytes moved.
    #[schema(required = false)]
    pub size_bytes: Option<u64>,
    /// Whether it went well; true if absent.
    #[schema(required = false)]
    pub success: Option<bool>,
    /// The class of the failure.
    #[schema(required = false)]
    pub error_type: Option<String>,
    /// HTTP's method.
    #[schema(required = false)]
    pub method: Option<String>,
    /// HTTP's status.
    #[schema(required = false)]
    pub status: Option<u16>,
    /// The language model.
    #[schema(required = false)]
    pub model: Option<String>,
    /// For whom; kept as a pseudonym.
    #[schema(required = false)]
    pub user: Option<String>,
    /// In which session; kept as a pseudonym.
    #[schema(required = false)]
    pub session: Option<String>,
    /// Labels; only those of the allow-list and of the project are kept.
    #[schema(required = false)]
    pub labels: BTreeMap<String, String>,
    /// What it was made of.
    #[schema(required = false)]
    pub calls: Vec<CallRecordDto>,
}

/// One entry of a call tree, as an application tells it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CallRecord)]
pub struct CallRecordDto {
    /// What was called.
    pub name: String,
    /// How long it took.
    pub duration_seconds: f64,
    /// What it called in turn: entries like this one, 32 levels at most.
    #[schema(required = false, value_type = Vec<Object>)]
    pub calls: Vec<serde_json::Value>,
}

/// Many operations.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OperationBatch)]
pub struct OperationBatchDto {
    /// At most 1,000.
    pub operations: Vec<OperationRecordDto>,
}

/// What a page tells.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FrontendMetrics)]
pub struct FrontendMetricsDto {
    /// The session; kept as a pseudonym.
    #[schema(required = false)]
    pub session: Option<String>,
    /// For whom; kept as a pseudonym.
    #[schema(required = false)]
    pub user: Option<String>,
    /// At most 1,000.
    pub metrics: Vec<FrontendMetricDto>,
}

/// One timing of a page.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FrontendMetric)]
pub struct FrontendMetricDto {
    /// `page_load`, `api_call`, `long_task` (50 ms or more) or `resource`.
    #[schema(example = "api_call")]
    pub kind: String,
    /// A path; its query and its ids are cut out.
    pub name: String,
    /// Duration in milliseconds.
    pub duration_ms: f64,
    /// Start in milliseconds since the epoch: `performance.timeOrigin + entry.startTime`.
    pub start_ms: f64,
    /// Bytes moved.
    #[schema(required = false)]
    pub size_bytes: Option<u64>,
    /// HTTP's method.
    #[schema(required = false)]
    pub method: Option<String>,
    /// HTTP's status; 0 for unknown.
    #[schema(required = false)]
    pub status: Option<u16>,
    /// Whether it went well; by the status if absent.
    #[schema(required = false)]
    pub success: Option<bool>,
}

/// What became of what was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Accepted)]
pub struct AcceptedDto {
    /// Records that are kept.
    pub accepted: u64,
    /// Records that the project's sample ratio leaves out.
    pub unsampled: u64,
    /// Labels that are not on the allow-list, or one too many.
    pub labels_dropped: u64,
    /// Records that are refused.
    pub refused: u64,
    /// The first 20 of them.
    pub refusals: Vec<RefusalDto>,
}

/// A record that is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Refusal)]
pub struct RefusalDto {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Why: the end of a sentence that begins with "the record".
    pub reason: String,
}

impl From<&Outcome> for AcceptedDto {
    fn from(outcome: &Outcome) -> Self {
        let told = |r: &crate::ingest::Refused| RefusalDto { index: r.index, reason: r.reason.clone() };
        Self {
            accepted: outcome.accepted,
            unsampled: outcome.unsampled,
            labels_dropped: outcome.labels_dropped,
            refused: outcome.refused,
            refusals: outcome.refusals.iter().map(told).collect(),
        }
    }
}

/// OTLP's answer: empty where all was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OtlpResponse)]
#[serde(rename_all = "camelCase")]
pub struct OtlpResponseDto {
    /// What was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_success: Option<OtlpPartialDto>,
}

/// What of a request of OTLP was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OtlpPartial)]
#[serde(rename_all = "camelCase")]
pub struct OtlpPartialDto {
    /// Spans, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_spans: Option<String>,
    /// Points of metrics, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_data_points: Option<String>,
    /// Why.
    pub error_message: String,
}

impl OtlpResponseDto {
    /// The answer to spans, or to metrics.
    #[must_use]
    pub fn new(outcome: &Outcome, spans: bool) -> Self {
        let refused = outcome.refused.to_string();
        let partial = otlp::message(outcome).map(|error_message| OtlpPartialDto {
            rejected_spans: spans.then(|| refused.clone()),
            rejected_data_points: (!spans).then(|| refused.clone()),
            error_message,
        });
        Self { partial_success: partial }
    }
}
