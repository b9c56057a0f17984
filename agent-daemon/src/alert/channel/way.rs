//! What all channels have in common, and the one list of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use super::{
    alertmanager::Alertmanager, auth::Auth, command::Command, email::Email, http::Endpoint,
    journald::Journald, message::Message, outcome::Outcome, pagerduty::PagerDuty, slack::Slack, sms::Sms,
    text::Texts, url::UrlSource, webhook::Webhook,
};
use crate::alert::{eval::Millis, labels::Fingerprint};

/// A try under way.
pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Recipients that have a message already, by its id.
pub(super) type HalfTold = BTreeMap<Fingerprint, BTreeSet<String>>;

/// A way to a receiver.
pub(super) trait Way: fmt::Debug + Send + Sync {
    /// What may be shown of where it leads.
    fn shown(&self) -> String;

    /// For how long the receiver believes what it was told, where it forgets.
    fn valid_for(&self) -> Option<Millis> {
        None
    }

    /// Who has which message while somebody else has not, where it goes to several.
    fn half_told(&self) -> HalfTold {
        HalfTold::new()
    }

    /// Goes on for another way, which had come so far.
    fn resume(&self, _half_told: HalfTold) {}

    /// Tries once. Ends within the configured time; what is dropped before leaves nothing behind.
    fn deliver<'a>(&'a self, message: &'a Message, attempt: u32) -> Sending<'a>;
}

/// What a receiver says for every kind of channel.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) timeout: Duration,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) auth: Option<Auth>,
    pub(super) texts: Texts,
}

impl Common {
    /// The way to an HTTP server.
    pub(super) fn endpoint(&self, url: UrlSource) -> Result<Endpoint, String> {
        Endpoint::new(url, self.auth.clone(), self.ca_file.as_deref(), self.timeout)
    }

    /// # Errors
    /// There is an `auth`, and the channel has another way to say who we are.
    pub(super) fn without_auth(&self) -> Result<(), String> {
        if self.auth.is_some() { Err("this kind of channel takes no auth".to_owned()) } else { Ok(()) }
    }
}

macro_rules! kinds {
    ($($name:literal $variant:ident($channel:ident, $module:ident)),* $(,)?) => {
        /// Which channel it is, with what that kind needs to know.
        #[derive(Clone, Debug, Deserialize)]
        pub(super) enum Via {
            $(
                #[serde(rename = $name)]
                $variant(super::$module::Config),
            )*
        }

        /// The names of all kinds.
        #[cfg(test)]
        pub(super) const KINDS: &[&str] = &[$($name),*];

        impl Via {
            /// The name of its kind.
            pub(super) const fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            /// # Errors
            /// What is wrong with its configuration.
            pub(super) fn open(&self, common: &Common) -> Result<Arc<dyn Way>, String> {
                Ok(match self { $(Self::$variant(config) => Arc::new($channel::open(config, common)?)),* })
            }
        }
    };
}

// A new kind of channel is a file and a line here.
kinds! {
    "webhook" Webhook(Webhook, webhook),
    "slack" Slack(Slack, slack),
    "email" Email(Email, email),
    "alertmanager" Alertmanager(Alertmanager, alertmanager),
    "pagerduty" PagerDuty(PagerDuty, pagerduty),
    "sms" Sms(Sms, sms),
    "journald" Journald(Journald, journald),
    "command" Command(Command, command),
}
