//! What a channel is given to deliver: a notification of the router's, and what is known besides.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::alert::{
    eval::Millis,
    labels::{ALERT_NAME, Fingerprint, Labels, SEVERITY},
    route::{Notification, Status},
    rule::{RuleId, Severity},
    state::{Alert, Phase},
};

/// Who tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The host's name.
    pub host: String,
    /// Where people reach the daemon, if they do.
    pub link: Option<String>,
}

/// Why it happened, as far as the daemon knows: what it found in the window that fired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Findings, the most telling first.
    pub findings: Vec<Finding>,
    /// Where there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// One kind of evidence, such as the stacks with the most CPU time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What the lines are.
    pub title: String,
    /// Evidence, the most telling first.
    pub lines: Vec<String>,
}

/// A message to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What is told.
    pub notification: Notification,
    /// What is known of its alerts, by their ids.
    pub diagnoses: BTreeMap<Fingerprint, Diagnosis>,
    /// Who tells.
    pub about: Arc<About>,
}

impl Message {
    /// The labels that all its alerts have.
    pub(super) fn common_labels(&self) -> BTreeMap<&str, &str> {
        common(self.notification.alerts.iter().map(|alert| alert.labels.iter().collect()))
    }

    /// The annotations that all its alerts have.
    pub(super) fn common_annotations(&self) -> BTreeMap<&str, &str> {
        common(self.notification.alerts.iter().map(|alert| {
            alert.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
        }))
    }

    /// Where an alert is shown.
    pub(super) fn link(&self, alert: &Alert) -> Option<&str> {
        let own = self.diagnoses.get(&alert.id).and_then(|diagnosis| diagnosis.link.as_deref());
        own.or(self.about.link.as_deref())
    }

    /// A message that does no harm: something was wrong, and is no longer. It is of no rule.
    pub(super) fn test(receiver: &str, about: Arc<About>, now: Millis) -> serde_json::Result<Self> {
        let labels = Labels::new([
            (ALERT_NAME, "AgentperfTest"),
            (SEVERITY, Severity::Info.name()),
            ("host", about.host.as_str()),
        ]);
        let alert = Alert {
            id: labels.fingerprint(),
            rule: no_rule(&labels)?,
            labels: labels.clone(),
            annotations: BTreeMap::from([(
                "summary".to_owned(),
                "A test of this channel: nothing is wrong.".to_owned(),
            )]),
            severity: Severity::Info,
            value: 0.0,
            phase: Phase::Resolved,
            active_at: now,
            fired_at: Some(now),
            resolved_at: Some(now),
            flapping: false,
            dedup: None,
            action: None,
        };
        let group = labels.only(&[ALERT_NAME.to_owned(), "host".to_owned()]);
        // Each test is a message of its own.
        let id = group.with("at", &now.to_string()).fingerprint();
        let notification = Notification {
            id,
            group: group.fingerprint(),
            receiver: receiver.to_owned(),
            labels: group,
            status: Status::Resolved,
            severity: Severity::Info,
            alerts: vec![alert],
            made_at: now,
            attempt: 1,
        };
        Ok(Self { notification, diagnoses: BTreeMap::new(), about })
    }
}

/// Rules have ids that only files of rules give; as saved it is the fingerprint of something.
fn no_rule(labels: &Labels) -> serde_json::Result<RuleId> {
    serde_json::from_value(serde_json::to_value(labels.fingerprint())?)
}

/// The pairs that all have.
fn common<'a>(mut all: impl Iterator<Item = BTreeMap<&'a str, &'a str>>) -> BTreeMap<&'a str, &'a str> {
    let mut shared = all.next().unwrap_or_default();
    for other in all {
        shared.retain(|name, value| other.get(name) == Some(value));
    }
    shared
}

/// A time as RFC 3339 has it. What no calendar knows is its nearest end.
pub(super) fn rfc3339(at: Millis) -> String {
    let bound = if at < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at).unwrap_or(bound).to_string()
}
