//! A webhook: Alertmanager's payload, posted, and signed if there is a secret.
//!
//! The signature is HMAC-SHA256 over the timestamp's text, a dot, and the body. A receiver that computes it anew and
//! looks at the timestamp knows who sent it, that nobody changed it, and that it is no old one sent again.

use std::path::PathBuf;

use ring::hmac;
use serde::Deserialize;

use super::{
    auth::reveal,
    http::{Endpoint, Post},
    lane::now,
    message::Message,
    outcome::Outcome,
    payload,
    secret::{Cleaner, Secret},
    url::{Url, UrlSource},
    way::{Common, Sending, Way},
};

/// What a webhook needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    url: Option<Url>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
}

/// A webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    secret: Option<Secret>,
}

impl Webhook {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        let kept = Secret::choose("url", config.url_file.as_ref(), config.url_env.as_ref())?;
        let endpoint = common.endpoint(UrlSource::choose(config.url.as_ref(), kept)?)?;
        let secret = Secret::choose("secret", config.secret_file.as_ref(), config.secret_env.as_ref())?;
        Ok(Self { endpoint, secret })
    }

    async fn send(&self, message: &Message, attempt: u32) -> Outcome {
        let mut cleaner = Cleaner::default();
        let mut post = Post::json(payload::json(message));
        let timestamp = (now() / 1000).to_string();
        if let Some(secret) = &self.secret {
            let secret = match reveal(secret, &mut cleaner) {
                Ok(secret) => secret,
                Err(why) => return Outcome::later(why),
            };
            let signature = signature(secret.expose().as_bytes(), &timestamp, &post.body);
            post.headers.push(("x-agentperf-signature", format!("sha256={signature}")));
        }
        post.headers.extend([
            ("x-agentperf-timestamp", timestamp),
            ("x-agentperf-attempt", attempt.to_string()),
            ("idempotency-key", message.notification.id.to_string()),
        ]);
        self.endpoint.send(cleaner, |url| Some(url.uri.clone()), post).await
    }
}

impl Way for Webhook {
    fn shown(&self) -> String {
        self.endpoint.shown()
    }

    fn deliver<'a>(&'a self, message: &'a Message, attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message, attempt))
    }
}

fn signature(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_signature_is_what_others_compute() {
        // Python: hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest()
        let expected = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
        assert_eq!(signature(b"key", "1700000000", b"{}"), expected);
    }
}
