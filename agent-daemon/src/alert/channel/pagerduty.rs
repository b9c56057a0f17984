//! PagerDuty's Events API, version 2. A group of alerts is one incident, known by the group's id: a message that is
//! sent again, and the one that says that all is well, are of the same incident.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    auth::reveal,
    http::{Endpoint, Post},
    message::{Message, rfc3339},
    outcome::Outcome,
    secret::{Cleaner, Secret},
    text::{Texts, cut},
    url::{Url, UrlSource},
    way::{Common, Sending, Way},
};
use crate::alert::{labels::ALERT_NAME, route::Status, rule::Severity};

/// PagerDuty's own address.
const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
/// PagerDuty's bound of a summary, characters.
const MAX_SUMMARY: usize = 1024;

/// What PagerDuty needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    routing_key_file: Option<PathBuf>,
    routing_key_env: Option<String>,
    /// Another address, as its European service has one.
    url: Option<Url>,
}

/// PagerDuty.
#[derive(Debug)]
pub(super) struct PagerDuty {
    endpoint: Endpoint,
    key: Secret,
    texts: Texts,
}

impl PagerDuty {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        common.without_auth()?;
        let key =
            Secret::choose("routing_key", config.routing_key_file.as_ref(), config.routing_key_env.as_ref())?;
        let key = key.ok_or("it needs routing_key_file or routing_key_env")?;
        let url = match &config.url {
            Some(url) => url.clone(),
            None => Url::parse(EVENTS)?,
        };
        Ok(Self { endpoint: common.endpoint(UrlSource::Plain(url))?, key, texts: common.texts.clone() })
    }

    async fn send(&self, message: &Message) -> Outcome {
        let mut cleaner = Cleaner::default();
        let key = match reveal(&self.key, &mut cleaner) {
            Ok(key) => key,
            Err(why) => return Outcome::later(why),
        };
        let post = Post::json(self.event(message, key.expose()).to_string().into_bytes());
        self.endpoint.send(cleaner, |url| Some(url.uri.clone()), post).await
    }

    fn event(&self, message: &Message, key: &str) -> Value {
        let (told, rendered) = (&message.notification, self.texts.render(message));
        let since = told.alerts.iter().filter_map(|alert| alert.fired_at).min().unwrap_or(told.made_at);
        let mut event = json!({
            "routing_key": key,
            "event_action": match told.status { Status::Firing => "trigger", Status::Resolved => "resolve" },
            "dedup_key": told.group.to_string(),
            "client": "agentperf",
            "payload": {
                "summary": cut(&rendered.title, MAX_SUMMARY),
                "source": if message.about.host.is_empty() { "agentperf" } else { &message.about.host },
                "severity": match told.severity {
                    Severity::Info => "info",
                    Severity::Warning => "warning",
                    Severity::Critical => "critical",
                },
                "timestamp": rfc3339(since),
                "class": told.alerts.first().map_or("", |alert| alert.labels.get(ALERT_NAME)),
                "group": told.labels.to_string(),
                "custom_details": { "alerts": rendered.plain(), "labels": message.common_labels() },
            },
        });
        let link = told.alerts.first().and_then(|alert| message.link(alert));
        if let (Some(link), Some(event)) = (link, event.as_object_mut()) {
            event.insert("client_url".to_owned(), json!(link));
            event.insert("links".to_owned(), json!([{ "href": link, "text": "agentperf" }]));
        }
        event
    }
}

impl Way for PagerDuty {
    fn shown(&self) -> String {
        self.endpoint.shown()
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message))
    }
}
