//! What a page in a browser tells: page loads, calls to its API, long tasks, resources. Times are milliseconds since the
//! epoch, as pages have them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Desk, Draft, IngestError, collect, limits, record};
use crate::model::time::Timestamp;

/// A task of a page's main thread is long from here on, ms.
const LONG_TASK_MS: f64 = 50.0;

/// A body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(borrow)]
    metrics: Vec<&'a RawValue>,
}

/// What is timed on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    PageLoad,
    ApiCall,
    LongTask,
    Resource,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::PageLoad => "page_load",
            Self::ApiCall => "api_call",
            Self::LongTask => "long_task",
            Self::Resource => "resource",
        }
    }
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    kind: Kind,
    name: String,
    duration_ms: f64,
    start_ms: f64,
    #[serde(default)]
    size_bytes: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    status: Option<u64>,
    #[serde(default)]
    success: Option<bool>,
}

/// The records of a body, each as it is written.
#[derive(Debug)]
pub struct Metrics<'a> {
    session: Option<String>,
    user: Option<String>,
    records: Vec<&'a RawValue>,
}

impl<'a> Metrics<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no such JSON.
    pub fn read(body: &'a [u8]) -> Result<Self, IngestError> {
        let body: Body<'a> = serde_json::from_slice(body).map_err(|e| collect::malformed(&e))?;
        Ok(Self { session: body.session, user: body.user, records: body.metrics })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Brings every record to the desk.
    pub fn take(&self, desk: &mut Desk<'_>) {
        for (index, record) in self.records.iter().enumerate() {
            let draft = draft(record.get()).map(|draft| Draft {
                user: self.user.clone(),
                session: self.session.clone(),
                ..draft
            });
            desk.take(index, draft);
        }
    }
}

fn draft(text: &str) -> Result<Draft, String> {
    let metric: Metric = record::read(text)?;
    let duration_ns = limits::seconds(metric.duration_ms / 1e3)?;
    if metric.kind == Kind::LongTask && metric.duration_ms < LONG_TASK_MS {
        return Err(format!("is a long task of less than {LONG_TASK_MS} ms"));
    }
    let failed = metric.status.is_some_and(|status| status >= 400);
    Ok(Draft {
        kind: metric.kind.name().to_owned(),
        name: metric.name,
        start: start(metric.start_ms)?,
        duration_ns,
        bytes: metric.size_bytes,
        failed: metric.success.map_or(failed, |success| !success),
        method: metric.method,
        status: metric.status.filter(|status| *status > 0),
        ..Draft::default()
    })
}

/// A time from milliseconds since the epoch, to the microsecond.
fn start(ms: f64) -> Result<Timestamp, String> {
    let wrong = || "has a start that is no time".to_owned();
    // Within 2^53 µs there is nothing to round.
    if !ms.is_finite() || ms.abs() > 1e13 {
        return Err(wrong());
    }
    Timestamp::from_microsecond((ms * 1e3).round() as i64).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let body = br#"{"session": "s", "metrics": [
            {"kind": "api_call", "name": "/api/x?token=planted", "duration_ms": 12.5, "start_ms": 1763738400123.4, "status": 503},
            {"kind": "long_task", "name": "self", "duration_ms": 49, "start_ms": 1763738400123}]}"#;
        let metrics = Metrics::read(body).unwrap();
        let drafts: Vec<_> = metrics.records.iter().map(|r| draft(r.get())).collect();
        let call = drafts[0].as_ref().unwrap();
        assert_eq!((call.duration_ns, call.failed, call.status), (12_500_000, true, Some(503)));
        assert_eq!(call.start.as_microsecond(), 1_763_738_400_123_400);
        assert!(drafts[1].as_ref().unwrap_err().contains("50 ms"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for metric in [
            r#"{"kind": "page_load", "name": "/", "duration_ms": -1, "start_ms": 1}"#,
            r#"{"kind": "page_load", "name": "/", "duration_ms": 1, "start_ms": 1e300}"#,
            r#"{"kind": "page_load", "name": "/", "duration_ms": null, "start_ms": 1}"#,
            r#"{"kind": "secret", "name": "/", "duration_ms": 1, "start_ms": 1}"#,
            r#"{"kind": "page_load", "name": 7, "duration_ms": 1, "start_ms": 1}"#,
        ] {
            assert!(draft(metric).is_err(), "{metric}");
        }
        assert!(Metrics::read(b"{}").is_err() && Metrics::read(b"\xff").is_err());
    }
}
