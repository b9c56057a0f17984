//! agentperf's own JSON: one operation, or a batch of them.
//!
//! A record is parsed by itself, so that one that is wrong costs only itself. Unknown keys are refused: a mistyped key
//! would be silence.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Desk, Draft, IngestError, limits, record};
use crate::model::{operation::Call, route, time::Timestamp};

/// One operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    kind: String,
    name: String,
    duration_seconds: f64,
    #[serde(default)]
    start: Option<Timestamp>,
    #[serde(default)]
    size_bytes: Option<u64>,
    #[serde(default = "yes")]
    success: bool,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    status: Option<u64>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    calls: Vec<Node>,
}

/// One entry of a call tree.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    name: String,
    duration_seconds: f64,
    #[serde(default)]
    calls: Vec<Node>,
}

fn yes() -> bool {
    true
}

/// A batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    operations: Vec<&'a RawValue>,
}

/// The records of a body, each as it is written.
#[derive(Debug)]
pub struct Records<'a>(Vec<&'a RawValue>);

impl<'a> Records<'a> {
    /// A body that is one operation.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn single(body: &'a [u8]) -> Result<Self, IngestError> {
        let record = serde_json::from_slice(body).map_err(|e| malformed(&e))?;
        Ok(Self(vec![record]))
    }

    /// A body of many: `{"operations": [...]}`.
    ///
    /// # Errors
    /// It is no such JSON.
    pub fn batch(body: &'a [u8]) -> Result<Self, IngestError> {
        let batch: Batch<'a> = serde_json::from_slice(body).map_err(|e| malformed(&e))?;
        Ok(Self(batch.operations))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings every record to the desk.
    pub fn take(&self, desk: &mut Desk<'_>) {
        for (index, record) in self.0.iter().enumerate() {
            let draft = draft(record.get(), desk.now);
            desk.take(index, draft);
        }
    }
}

/// What JSON is not, in a sentence that holds nothing of the body.
pub(super) fn malformed(error: &serde_json::Error) -> IngestError {
    let what = match error.classify() {
        serde_json::error::Category::Data => "it is JSON of another shape",
        serde_json::error::Category::Eof => "it is cut short",
        _ => "it is no JSON, or too deep",
    };
    IngestError::Malformed(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// One record as a draft.
fn draft(text: &str, now: Timestamp) -> Result<Draft, String> {
    let record: Record = record::read(text)?;
    let duration_ns = limits::seconds(record.duration_seconds)?;
    let mut calls = Vec::new();
    flatten(&record.calls, 0, &mut calls)?;
    let just_now = || now.checked_sub(Duration::from_nanos(duration_ns)).unwrap_or(now);
    Ok(Draft {
        kind: record.kind,
        name: record.name,
        start: record.start.unwrap_or_else(just_now),
        duration_ns,
        bytes: record.size_bytes,
        failed: !record.success,
        error_type: record.error_type,
        method: record.method,
        status: record.status,
        model: record.model,
        user: record.user,
        session: record.session,
        labels: record.labels.into_iter().collect(),
        calls,
        ..Draft::default()
    })
}

/// The tree as a list, each entry before those below it.
fn flatten(nodes: &[Node], depth: u8, calls: &mut Vec<Call>) -> Result<(), String> {
    if depth >= limits::MAX_DEPTH && !nodes.is_empty() {
        return Err(format!("has a call tree of more than {} levels", limits::MAX_DEPTH));
    }
    for node in nodes {
        let name = limits::text("call's name", &route::name_of(&node.name), limits::MAX_NAME)?;
        calls.push(Call { depth, name, duration_ns: limits::seconds(node.duration_seconds)? });
        if calls.len() > limits::MAX_CALLS {
            return Err(format!("has a call tree of more than {} entries", limits::MAX_CALLS));
        }
        flatten(&node.calls, depth + 1, calls)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Draft, String> {
        draft(text, Timestamp::now())
    }

    #[test]
    fn a_record_is_read_with_its_call_tree() {
        let draft = read(
            r#"{"kind": "db", "name": "orders", "duration_seconds": 0.5, "success": false, "labels": {"a": "b"},
                "calls": [{"name": "a", "duration_seconds": 0.1, "calls": [{"name": "b", "duration_seconds": 0}]},
                          {"name": "c", "duration_seconds": 0.2}]}"#,
        )
        .unwrap();
        assert_eq!((draft.duration_ns, draft.failed), (500_000_000, true));
        let calls: Vec<_> = draft.calls.iter().map(|c| (c.depth, c.name.as_str())).collect();
        assert_eq!(calls, [(0, "a"), (1, "b"), (0, "c")]);
    }

    #[test]
    fn what_is_wrong_is_said_without_what_was_sent() {
        let deep = |n: usize| {
            let open = r#"{"name":"x","duration_seconds":1,"calls":["#.repeat(n);
            format!(r#"{{"kind":"a","name":"b","duration_seconds":1,"calls":[{open}{}]}}"#, "]}".repeat(n))
        };
        let wrong = [
            ("{}".to_owned(), "lacks `kind`"),
            ("[]".to_owned(), "no object"),
            (r#"{"kind":"a","name":"b","duration_seconds":-1}"#.to_owned(), "negative"),
            (r#"{"kind":"a","name":"b","duration_seconds":1e999}"#.to_owned(), "wrong type"),
            (r#"{"kind":"a","name":"b","duration_seconds":"planted"}"#.to_owned(), "wrong type"),
            (r#"{"kind":"a","name":"b","duration_seconds":1,"planted":1}"#.to_owned(), "not known"),
            (r#"{"kind":"a","name":"b","duration_seconds":1,"kind":"planted"}"#.to_owned(), "twice"),
            (r#"{"kind":"a","name":"b","duration_seconds":1,"start":"planted"}"#.to_owned(), "wrong type"),
            (deep(33), "levels"),
            (deep(500), "too deep"),
            (format!(r#"{{"kind":"{}"}}"#, "x".repeat(70_000)), "larger than"),
        ];
        for (text, says) in wrong {
            let error = read(&text).unwrap_err();
            assert!(error.contains(says) && !error.contains("planted"), "{error}");
        }
        assert!(read(&deep(32)).is_ok());
    }

    #[test]
    fn a_body_of_another_shape_is_refused() {
        for body in ["", "{", "[]", r#"{"operations": 1}"#, r#"{"operations": [], "x": 1}"#] {
            assert!(Records::batch(body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!(r#"{{"operations": [{}]}}"#, "[".repeat(100_000));
        assert!(Records::batch(deep.as_bytes()).is_err());
        assert_eq!(Records::batch(br#"{"operations": [1, {}, "x"]}"#).unwrap().len(), 3);
    }
}
