//! Text messages, by whatever gateway takes an HTTP request. What it is told are fields with templates in them: as a
//! query, a form or JSON. They are put together here, so that no text of an alert is taken for anything else.
//!
//! Fields know what titles know, and `title`, `text` (the title and the first alert's text, short) and `id`.

use std::{collections::BTreeMap, path::PathBuf};

use hyper::Method;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    auth::reveal,
    http::{Endpoint, Post},
    message::Message,
    outcome::Outcome,
    secret::{Cleaner, Secret},
    text::{Texts, one_line},
    url::{Url, UrlSource, encoded},
    way::{Common, Sending, Way},
};
use crate::alert::{labels::Labels, template::Template};

/// How long `text` may be, characters: three messages of a phone's.
const MAX_TEXT: usize = 459;
/// The most fields.
const MAX_FIELDS: usize = 32;

/// How fields are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    /// `GET`, behind the address.
    Query,
    /// `POST`, as a form.
    #[default]
    Form,
    /// `POST`, as an object.
    Json,
}

/// What a gateway needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    url: Option<Url>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    #[serde(rename = "as")]
    encoding: Encoding,
    fields: BTreeMap<String, Field>,
    /// Fields whose values are secrets: `name_file: path` and `name_env: NAME`.
    secret_fields: BTreeMap<String, String>,
}

/// A template within a map.
#[derive(Clone, Debug)]
struct Field(Template);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Template::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A gateway.
#[derive(Debug)]
pub(super) struct Sms {
    endpoint: Endpoint,
    encoding: Encoding,
    fields: BTreeMap<String, Field>,
    secrets: BTreeMap<String, Secret>,
    texts: Texts,
}

impl Sms {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        let kept = Secret::choose("url", config.url_file.as_ref(), config.url_env.as_ref())?;
        let endpoint = common.endpoint(UrlSource::choose(config.url.as_ref(), kept)?)?;
        let mut secrets = BTreeMap::new();
        for (key, place) in &config.secret_fields {
            let (name, secret) = if let Some(name) = key.strip_suffix("_file") {
                (name, Secret::File(place.into()))
            } else if let Some(name) = key.strip_suffix("_env") {
                (name, Secret::Environment(place.clone()))
            } else {
                return Err(format!("the secret field {key} must end in _file or _env"));
            };
            if config.fields.contains_key(name) || secrets.insert(name.to_owned(), secret).is_some() {
                return Err(format!("there are two fields {name}"));
            }
        }
        if config.fields.is_empty() || config.fields.len() + secrets.len() > MAX_FIELDS {
            return Err(format!("it needs fields, {MAX_FIELDS} at most"));
        }
        let (encoding, fields) = (config.encoding, config.fields.clone());
        Ok(Self { endpoint, encoding, fields, secrets, texts: common.texts.clone() })
    }

    async fn send(&self, message: &Message) -> Outcome {
        let mut cleaner = Cleaner::default();
        let fields = match self.values(message, &mut cleaner) {
            Ok(fields) => fields,
            Err(why) => return Outcome::later(why),
        };
        let key = ("idempotency-key", message.notification.id.to_string());
        let mut post = match self.encoding {
            Encoding::Query | Encoding::Form => Post {
                method: Method::POST,
                content_type: "application/x-www-form-urlencoded",
                headers: Vec::new(),
                body: form(&fields).into_bytes(),
            },
            Encoding::Json => Post::json(serde_json::to_vec(&fields).unwrap_or_default()),
        };
        post.headers.push(key);
        if self.encoding == Encoding::Query {
            post.method = Method::GET;
            let query = String::from_utf8(std::mem::take(&mut post.body)).unwrap_or_default();
            return self.endpoint.send(cleaner, |url| url.query(&query), post).await;
        }
        self.endpoint.send(cleaner, |url| Some(url.uri.clone()), post).await
    }

    fn values(&self, message: &Message, cleaner: &mut Cleaner) -> Result<BTreeMap<&str, String>, String> {
        let known = self.known(message);
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for (name, field) in &self.fields {
            values.insert(name, field.0.expand(&known, 0.0));
        }
        for (name, secret) in &self.secrets {
            values.insert(name, reveal(secret, cleaner)?.expose().to_owned());
        }
        Ok(values)
    }

    fn known(&self, message: &Message) -> Labels {
        let rendered = self.texts.render(message);
        let first = rendered.alerts.first().map_or("", |alert| alert.text.as_str());
        let text = one_line(&format!("{} {first}", rendered.title), MAX_TEXT);
        let id = message.notification.id.to_string();
        let own = [("title", rendered.title.as_str()), ("text", &text), ("id", &id)];
        Labels::new(super::text::title_labels(message).iter().chain(own))
    }
}

impl Way for Sms {
    fn shown(&self) -> String {
        self.endpoint.shown()
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message))
    }
}

fn form(fields: &BTreeMap<&str, String>) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}
