//! A message as people read it: a title, and a text for each alert, by templates. Bounded, whatever is told.
//!
//! Titles know the labels that all alerts share, and `status`, `count`, `severity` and `host`; texts know the alert's
//! labels, its annotations under their names where no label has that name, and the same four.

use super::message::{Message, rfc3339};
use crate::{
    alert::{
        labels::{ALERT_NAME, Labels, SEVERITY},
        route::Status,
        rule::Severity,
        state::{Alert, Phase},
        template::Template,
    },
    model::shown::is_shown,
};

/// The most alerts that are told one by one.
pub(super) const MAX_ALERTS: usize = 10;
/// The most findings of an alert, and lines of a finding.
const MAX_FINDINGS: usize = 6;
const MAX_LINES: usize = 5;
/// The longest line of evidence, characters.
const MAX_LINE: usize = 200;
/// The longest title, characters.
const MAX_TITLE: usize = 200;

/// What titles and texts look like unless the configuration says otherwise.
pub(super) const DEFAULT_TITLE: &str = "[{{ $labels.status }}:{{ $labels.count }}] {{ $labels.alertname }} ({{ $labels.severity }}) on {{ $labels.host }}";
/// See [`DEFAULT_TITLE`].
pub(super) const DEFAULT_TEXT: &str = "{{ $labels.summary }}";

/// The templates of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Texts {
    pub(super) title: Template,
    pub(super) text: Template,
}

/// A message as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) title: String,
    pub(super) firing: bool,
    pub(super) severity: Severity,
    pub(super) alerts: Vec<RenderedAlert>,
    /// Alerts that are not told one by one.
    pub(super) more: usize,
}

/// An alert as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RenderedAlert {
    pub(super) firing: bool,
    pub(super) severity: Severity,
    pub(super) text: String,
    /// `name=value`, without those that all share.
    pub(super) labels: String,
    /// Since when it fires, or is resolved.
    pub(super) since: String,
    pub(super) evidence: Vec<String>,
    pub(super) link: Option<String>,
}

impl Texts {
    /// Renders a message.
    pub(super) fn render(&self, message: &Message) -> Rendered {
        let told = &message.notification;
        let shared: Vec<&str> = message.common_labels().into_keys().collect();
        let title = self.title.expand(&title_labels(message), 0.0);
        let one = |alert: &Alert| RenderedAlert {
            firing: alert.phase != Phase::Resolved,
            severity: alert.severity,
            text: self.text(message, alert),
            labels: labels(alert, if told.alerts.len() > 1 { &shared } else { &[ALERT_NAME, SEVERITY] }),
            since: rfc3339(alert.resolved_at.or(alert.fired_at).unwrap_or(alert.active_at)),
            evidence: evidence(message, alert),
            link: message.link(alert).map(str::to_owned),
        };
        Rendered {
            title: one_line(&title, MAX_TITLE),
            firing: told.status == Status::Firing,
            severity: told.severity,
            alerts: told.alerts.iter().take(MAX_ALERTS).map(one).collect(),
            more: told.alerts.len().saturating_sub(MAX_ALERTS),
        }
    }

    fn text(&self, message: &Message, alert: &Alert) -> String {
        let annotations = alert.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let status = if alert.phase == Phase::Resolved { "RESOLVED" } else { "FIRING" };
        let own = [("status", status), ("count", "1")];
        let host = [("host", message.about.host.as_str())];
        let known = Labels::new(host.into_iter().chain(annotations).chain(alert.labels.iter()).chain(own));
        let text = self.text.expand(&known, alert.value);
        // A rule without the annotation that the template names still says what it is.
        if text.trim().is_empty() { alert.labels.get(ALERT_NAME).to_owned() } else { text }
    }
}

impl Rendered {
    /// All of it as plain text, without the title.
    pub(super) fn plain(&self) -> String {
        let mut out = String::new();
        for alert in &self.alerts {
            let word = if alert.firing { alert.severity.name() } else { "resolved" };
            out.push_str(&format!("{word}: {}\n", alert.text.trim_end()));
            out.push_str(&format!("  since {}\n", alert.since));
            if !alert.labels.is_empty() {
                out.push_str(&format!("  {}\n", alert.labels));
            }
            alert.evidence.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
            if let Some(link) = &alert.link {
                out.push_str(&format!("  {link}\n"));
            }
            out.push('\n');
        }
        if self.more > 0 {
            out.push_str(&format!("and {} more\n", self.more));
        }
        out
    }
}

/// What titles know.
pub(super) fn title_labels(message: &Message) -> Labels {
    let told = &message.notification;
    let status = match told.status {
        Status::Firing => "FIRING",
        Status::Resolved => "RESOLVED",
    };
    let fires = |alert: &&Alert| (alert.phase != Phase::Resolved) == (told.status == Status::Firing);
    let count = told.alerts.iter().filter(fires).count().to_string();
    let first = told.alerts.first().map_or("", |alert| alert.labels.get(ALERT_NAME));
    let weak = [("host", message.about.host.as_str()), (ALERT_NAME, first)];
    let strong = [("status", status), ("count", count.as_str()), (SEVERITY, told.severity.name())];
    Labels::new(weak.into_iter().chain(message.common_labels()).chain(strong))
}

fn labels(alert: &Alert, without: &[&str]) -> String {
    let own = alert.labels.iter().filter(|(name, _)| !without.contains(name));
    let text: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    one_line(&text.join(" "), 5 * MAX_LINE)
}

fn evidence(message: &Message, alert: &Alert) -> Vec<String> {
    let Some(diagnosis) = message.diagnoses.get(&alert.id) else { return Vec::new() };
    let mut lines = Vec::new();
    for finding in diagnosis.findings.iter().take(MAX_FINDINGS) {
        lines.push(one_line(&format!("{}:", finding.title), MAX_LINE));
        let own = finding.lines.iter().take(MAX_LINES);
        lines.extend(own.map(|line| format!("- {}", one_line(line, MAX_LINE))));
    }
    lines
}

/// A text on one line, no longer than that many characters.
pub(super) fn one_line(text: &str, characters: usize) -> String {
    let line: String = text.chars().map(|c| if is_shown(c) { c } else { ' ' }).collect();
    cut(line.trim(), characters)
}

/// The beginning of a text, no more than that many characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters.saturating_sub(1)).chain(['…']).collect(),
    }
}
