//! E-mail, to a server that relays it. TLS from the beginning, or by STARTTLS, without which nothing is sent unless
//! the configuration says so.
//!
//! The dialogue is our own, in [`smtp`]: lines and replies are bounded, and what a server said before TLS is
//! forgotten once it stands.

mod mime;
mod smtp;

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::smtp::{Account, Fault, Security, Session};
use super::{
    auth::{Auth, reveal},
    message::Message,
    outcome::Outcome,
    secret::Cleaner,
    text::Texts,
    way::{Common, HalfTold, Sending, Way},
};
use crate::{alert::labels::Fingerprint, tls};

/// The most recipients.
const MAX_TO: usize = 32;
/// The most messages of which it is known that some recipients have them and some do not.
const MAX_PARTIAL: usize = 256;

/// What e-mail needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tls: Security,
    from: String,
    to: Vec<String>,
    /// What we call ourselves; at first `localhost`.
    #[serde(default)]
    hello: Option<String>,
}

/// E-mail.
pub(super) struct Email {
    server: (String, u16),
    security: Security,
    connector: TlsConnector,
    from: String,
    to: Vec<String>,
    hello: String,
    auth: Option<Auth>,
    texts: Texts,
    timeout: Duration,
    /// Who has which message, while somebody else has not.
    partial: Mutex<HalfTold>,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Email {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        if matches!(common.auth, Some(Auth::Bearer(_))) {
            return Err("e-mail takes a username with a password, no token".to_owned());
        }
        if config.tls == Security::None && common.auth.is_some() {
            return Err("without TLS no password is sent".to_owned());
        }
        if config.to.is_empty() || config.to.len() > MAX_TO {
            return Err(format!("it needs recipients, {MAX_TO} at most"));
        }
        for address in config.to.iter().chain([&config.from]) {
            mime::check_address(address)?;
        }
        let hello = config.hello.clone().unwrap_or_else(|| "localhost".to_owned());
        for name in [&hello, &config.host] {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b)) {
                return Err(format!("{name:?} is no host"));
            }
        }
        let tls = tls::client(common.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(std::sync::Arc::new(tls));
        Ok(Self {
            server: (config.host.clone(), config.port.unwrap_or(config.tls.port())),
            security: config.tls,
            connector,
            from: config.from.clone(),
            to: config.to.clone(),
            hello,
            auth: common.auth.clone(),
            texts: common.texts.clone(),
            timeout: common.timeout,
            partial: Mutex::default(),
        })
    }

    async fn send(&self, message: &Message) -> Outcome {
        let mut cleaner = Cleaner::default();
        let account = match self.account(&mut cleaner) {
            Ok(account) => account,
            Err(why) => return Outcome::later(why),
        };
        let id = message.notification.id;
        let have = self.partial().get(&id).cloned().unwrap_or_default();
        let left: Vec<&str> = self.to.iter().map(String::as_str).filter(|to| !have.contains(*to)).collect();
        let mail = mime::mail(message, &self.texts.render(message), &self.from, &self.to);
        match timeout(self.timeout, self.talk(account, &left, &mail)).await {
            Err(_) => Outcome::unreached(format!("not done within {:?}", self.timeout)),
            Ok(Err(Fault::Unreached(why))) => Outcome::unreached(cleaner.clean(&why)),
            Ok(Err(Fault::Later(why))) => Outcome::later(cleaner.clean(&why)),
            // Somebody has it: told anew, the same would be there twice.
            Ok(Err(Fault::Refused(why))) if !have.is_empty() => {
                self.partial().remove(&id);
                Outcome::Taken(cleaner.clean(&why))
            }
            Ok(Err(Fault::Refused(why))) => Outcome::Refused(cleaner.clean(&why)),
            Ok(Ok(sent)) => self.settle(id, have, sent, &cleaner),
        }
    }

    /// Some recipients may have been put off: they are tried again, the others not.
    fn settle(
        &self,
        id: Fingerprint,
        mut have: BTreeSet<String>,
        sent: smtp::Sent,
        cleaner: &Cleaner,
    ) -> Outcome {
        let said = cleaner.clean(&[sent.said, sent.complaints.join("; ")].join(" ").replace('\n', " "));
        let mut partial = self.partial();
        if !sent.put_off {
            partial.remove(&id);
            return Outcome::Taken(said);
        }
        have.extend(sent.settled);
        if partial.len() >= MAX_PARTIAL {
            partial.pop_first();
        }
        partial.insert(id, have);
        Outcome::later(said)
    }

    fn partial(&self) -> MutexGuard<'_, HalfTold> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, cleaner: &mut Cleaner) -> Result<Option<Account>, String> {
        let Some(Auth::Basic(name, secret)) = &self.auth else { return Ok(None) };
        let password = reveal(secret, cleaner)?;
        let account = Account { name: name.clone(), password };
        account.forms().iter().for_each(|form| cleaner.hide(form));
        Ok(Some(account))
    }

    async fn talk(&self, account: Option<Account>, to: &[&str], mail: &str) -> Result<smtp::Sent, Fault> {
        let mut session = Session::open(&self.server, self.security, &self.connector, &self.hello).await?;
        if let Some(account) = account {
            session.authenticate(&account).await?;
        }
        session.send(&self.from, to, mail).await
    }
}

impl Way for Email {
    fn shown(&self) -> String {
        format!("{}:{}", self.server.0, self.server.1)
    }

    fn half_told(&self) -> HalfTold {
        self.partial().clone()
    }

    fn resume(&self, half_told: HalfTold) {
        *self.partial() = half_told;
    }

    fn deliver<'a>(&'a self, message: &'a Message, _attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message))
    }
}
