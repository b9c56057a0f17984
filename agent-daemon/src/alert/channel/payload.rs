//! A message as JSON: Alertmanager's payload for webhooks, version 4, so that what takes that takes ours, and what
//! only we know under keys of our own. The same message is the same bytes at every try.

use std::collections::BTreeMap;

use serde::Serialize;

use super::message::{Diagnosis, Message, rfc3339};
use crate::alert::{
    labels::{Fingerprint, Labels},
    route::Status,
    rule::Severity,
    state::{Alert, Phase},
};

/// The most alerts of one payload; how many more there are is said.
pub(super) const MAX_ALERTS: usize = 500;
/// How Alertmanager writes that something has not ended: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A payload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'m> {
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
    status: Status,
    receiver: &'m str,
    group_labels: &'m Labels,
    common_labels: BTreeMap<&'m str, &'m str>,
    common_annotations: BTreeMap<&'m str, &'m str>,
    #[serde(rename = "externalURL")]
    external_url: &'m str,
    alerts: Vec<PayloadAlert<'m>>,
    /// Ours.
    id: Fingerprint,
    host: &'m str,
    severity: Severity,
}

/// An alert of a payload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAlert<'m> {
    status: Status,
    labels: &'m Labels,
    annotations: &'m BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'m str,
    fingerprint: Fingerprint,
    /// Ours; null where it is no number.
    value: f64,
    flapping: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<&'m Diagnosis>,
}

/// The message's bytes.
pub(super) fn json(message: &Message) -> Vec<u8> {
    let told = &message.notification;
    let payload = Payload {
        version: "4",
        group_key: format!("{}:{}", told.group, told.labels),
        truncated_alerts: told.alerts.len().saturating_sub(MAX_ALERTS),
        status: told.status,
        receiver: &told.receiver,
        group_labels: &told.labels,
        common_labels: message.common_labels(),
        common_annotations: message.common_annotations(),
        external_url: message.about.link.as_deref().unwrap_or_default(),
        alerts: told.alerts.iter().take(MAX_ALERTS).map(|alert| one(message, alert)).collect(),
        id: told.id,
        host: &message.about.host,
        severity: told.severity,
    };
    // Nothing in it refuses to be written.
    serde_json::to_vec(&payload).unwrap_or_default()
}

fn one<'m>(message: &'m Message, alert: &'m Alert) -> PayloadAlert<'m> {
    let resolved = alert.phase == Phase::Resolved;
    PayloadAlert {
        status: if resolved { Status::Resolved } else { Status::Firing },
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: rfc3339(alert.fired_at.unwrap_or(alert.active_at)),
        ends_at: match alert.resolved_at {
            Some(at) if resolved => rfc3339(at),
            _ => NEVER.to_owned(),
        },
        generator_url: message.link(alert).unwrap_or_default(),
        fingerprint: alert.id,
        value: alert.value,
        flapping: alert.flapping,
        diagnosis: message.diagnoses.get(&alert.id),
    }
}
