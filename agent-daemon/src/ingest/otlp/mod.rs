//! OTLP over HTTP: spans become operations, histograms of durations become sums of them.

mod attributes;
mod envelope;
mod messages;
mod metrics;
mod spans;

pub use envelope::Encoding;
pub(super) use metrics::Cumulative;
pub use metrics::Metrics;
pub use spans::Spans;

use prost::Message;

use self::messages::{PartialSuccess, Response};
use super::Outcome;

/// What is told of refused records, for people; `None` if none was.
#[must_use]
pub fn message(outcome: &Outcome) -> Option<String> {
    let told = outcome.refusals.iter().take(5).map(|r| format!("record {} {}", r.index, r.reason));
    let told: Vec<String> = told.collect();
    (outcome.refused > 0).then(|| format!("{} refused: {}", outcome.refused, told.join("; ")))
}

/// The answer in protocol buffers.
#[must_use]
pub fn response(outcome: &Outcome) -> Vec<u8> {
    let partial = |error_message| PartialSuccess {
        rejected: i64::try_from(outcome.refused).unwrap_or(i64::MAX),
        error_message,
    };
    Response { partial_success: message(outcome).map(partial) }.encode_to_vec()
}
