//! Alertmanager's API, version 2. It groups, silences and tells by itself, and knows alerts by their labels: what is
//! sent again changes nothing there.
//!
//! Alertmanager takes an alert for resolved that it did not hear of for a while. Since ours are told once, and again
//! after `repeat_interval`, each says for how long it holds; [`super::Config::check`] compares the two.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    config::duration,
    http::{Endpoint, Post},
    message::{Message, rfc3339},
    outcome::Outcome,
    secret::{Cleaner, Secret},
    text::Texts,
    url::{Url, UrlSource},
    way::{Common, Sending, Way},
};
use crate::alert::{
    eval::Millis,
    labels::Labels,
    state::{Alert, Phase},
};

/// The most alerts of one request.
const MAX_ALERTS: usize = 500;
/// The annotation that evidence is told in.
const DIAGNOSIS: &str = "diagnosis";

/// What Alertmanager needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    url: Option<Url>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    #[serde(deserialize_with = "some_duration")]
    valid_for: Option<Duration>,
}

/// An Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {
    endpoint: Endpoint,
    texts: Texts,
    valid_for: Millis,
}

/// An alert as the API has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'m> {
    labels: &'m Labels,
    annotations: BTreeMap<&'m str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'m str>,
}

impl Alertmanager {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        let kept = Secret::choose("url", config.url_file.as_ref(), config.url_env.as_ref())?;
        let endpoint = common.endpoint(UrlSource::choose(config.url.as_ref(), kept)?)?;
        let valid_for = config.valid_for.unwrap_or(Duration::from_secs(12 * 3600));
        let valid_for = Millis::try_from(valid_for.as_millis()).map_err(|_| "valid_for is too long")?;
        Ok(Self { endpoint, texts: common.texts.clone(), valid_for })
    }

    async fn send(&self, message: &Message) -> Outcome {
        let rendered = self.texts.render(message);
        let mut evidence = rendered.alerts.iter().map(|alert| alert.evidence.join("\n"));
        let all: Vec<Posted<'_>> = message
            .notification
            .alerts
            .iter()
            .map(|alert| self.posted(message, alert, evidence.next().unwrap_or_default()))
            .collect();
        let mut outcome = Outcome::Taken("there was nothing to tell".to_owned());
        for some in all.chunks(MAX_ALERTS) {
            let post = Post::json(serde_json::to_vec(some).unwrap_or_default());
            outcome = self.endpoint.send(Cleaner::default(), |url| url.join("/api/v2/alerts"), post).await;
            if !matches!(outcome, Outcome::Taken(_)) {
                break;
            }
        }
        outcome
    }

    fn posted<'m>(&self, message: &'m Message, alert: &'m Alert, evidence: String) -> Posted<'m> {
        let mut annotations: BTreeMap<&str, String> =
            alert.annotations.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        if !evidence.is_empty() {
            annotations.entry(DIAGNOSIS).or_insert(evidence);
        }
        let starts = alert.fired_at.unwrap_or(alert.active_at);
        let ends = match alert.resolved_at {
            Some(at) if alert.phase == Phase::Resolved => at,
            _ => super::lane::now().saturating_add(self.valid_for),
        };
        Posted {
            labels: &alert.labels,
            annotations,
            starts_at: rfc3339(starts),
            // One that ends before it starts is refused.
            ends_at: rfc3339(ends.max(starts)),
            generator_url: message.link(alert),
        }
    }
}

impl Way for Alertmanager {
    fn shown(&self) -> String {
        self.endpoint.shown()
    }

    fn valid_for(&self) -> Option<Millis> {
        Some(self.valid_for)
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message))
    }
}

fn some_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}
