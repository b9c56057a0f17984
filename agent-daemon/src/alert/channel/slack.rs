//! Slack, by an incoming webhook. Its address is the secret.
//!
//! Slack knows no repetitions: a message of which it is not known whether it arrived may be there twice.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    http::{Endpoint, Post},
    message::Message,
    secret::{Cleaner, Secret},
    text::{Rendered, RenderedAlert, Texts, cut},
    url::UrlSource,
    way::{Common, Sending, Way},
};
use crate::alert::rule::Severity;

/// Slack's bounds, characters: of a header, and of a section's text.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;

/// What Slack needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    url_file: Option<PathBuf>,
    url_env: Option<String>,
}

/// Slack.
#[derive(Debug)]
pub(super) struct Slack {
    endpoint: Endpoint,
    texts: Texts,
}

impl Slack {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        common.without_auth()?;
        let url = Secret::choose("url", config.url_file.as_ref(), config.url_env.as_ref())?;
        let url = url.ok_or("it needs url_file or url_env: the address is the secret")?;
        Ok(Self { endpoint: common.endpoint(UrlSource::Secret(url))?, texts: common.texts.clone() })
    }
}

impl Way for Slack {
    fn shown(&self) -> String {
        self.endpoint.shown()
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        let post = Post::json(body(&self.texts.render(message)).to_string().into_bytes());
        Box::pin(self.endpoint.send(Cleaner::default(), |url| Some(url.uri.clone()), post))
    }
}

fn body(rendered: &Rendered) -> Value {
    let color = match (rendered.firing, rendered.severity) {
        (false, _) => "#2eb886",
        (true, Severity::Critical) => "#c0392b",
        (true, Severity::Warning) => "#daa038",
        (true, Severity::Info) => "#3a87ad",
    };
    let header = json!({ "type": "plain_text", "text": cut(&rendered.title, MAX_HEADER), "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": header })];
    blocks.extend(rendered.alerts.iter().map(|alert| section(&alert_text(alert))));
    if rendered.more > 0 {
        blocks.push(section(&format!("and {} more", rendered.more)));
    }
    json!({ "text": escaped(&rendered.title), "attachments": [{ "color": color, "blocks": blocks }] })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// One alert. Each part is cut before it is escaped, so that no escape is cut in two.
fn alert_text(alert: &RenderedAlert) -> String {
    let word = if alert.firing { alert.severity.name() } else { "resolved" };
    let mut text = format!("*{word}* {}\nsince {}", escaped(&cut(alert.text.trim(), 500)), alert.since);
    let mut add = |part: String| {
        if text.chars().count() + part.chars().count() < MAX_SECTION {
            text.push_str(&part);
        }
    };
    if !alert.labels.is_empty() {
        add(format!("\n`{}`", escaped(&cut(&alert.labels, 300)).replace('`', "'")));
    }
    if let Some(link) = &alert.link {
        add(format!("\n<{}|more>", escaped(link).replace('|', "%7C")));
    }
    for line in &alert.evidence {
        add(format!("\n{}", escaped(line)));
    }
    text
}

/// The three characters that Slack gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{MAX_HEADER, MAX_SECTION, Rendered, RenderedAlert, Severity, body};

    #[test]
    fn a_message_keeps_slacks_bounds_and_means_nothing_by_accident() {
        let alert = RenderedAlert {
            firing: true,
            severity: Severity::Critical,
            text: "<!channel> & ".repeat(1000),
            labels: "a=`<b>`".repeat(1000),
            since: "2026-01-01T00:00:00Z".to_owned(),
            evidence: vec!["&<>".repeat(60); 40],
            link: Some("https://h/x|y".to_owned()),
        };
        let rendered = Rendered {
            title: "<!here>".repeat(100),
            firing: true,
            severity: Severity::Critical,
            alerts: vec![alert; 10],
            more: 7,
        };
        let body = body(&rendered);
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 12);
        assert_eq!(blocks[11]["text"]["text"], "and 7 more");
        assert_eq!(body["attachments"][0]["color"], "#c0392b");
        assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= MAX_HEADER);
        for block in &blocks[1..11] {
            let text = block["text"]["text"].as_str().unwrap();
            assert!(text.chars().count() <= MAX_SECTION);
            assert!(!text.contains("<!") && text.contains("|more>"), "{text}");
        }
        assert!(!body["text"].as_str().unwrap().contains('<'));
    }
}
