//! Prometheus's remote write 1.0: the samples of `/metrics`, sent to Prometheus, VictoriaMetrics, Mimir and their like.
//!
//! Samples are taken at an interval and go to a spool on disk first; another task sends from there, oldest first, one
//! request at a time, so that a receiver sees them in order. What a receiver cannot take now is tried again, with
//! growing pauses, for as long as the spool has room; what it refuses is dropped and counted. Neither task holds up
//! anything else.

mod encode;
mod messages;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{HeaderMap, Uri, header::HeaderValue};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};

use self::encode::Encoder;
use super::{
    account::Account,
    http::{Backoff, Client, Credentials, Outcome, Version, shown},
    prometheus::Metrics,
    spool::{Found, Message, Spool, SpoolError},
};
use crate::{config, model::time::Timestamp, telemetry::Telemetry, tls::TlsError};

/// Why remote write cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// Its spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Its client.
    #[error(transparent)]
    Client(#[from] TlsError),
}

/// Remote write to one receiver.
#[derive(Debug)]
pub struct RemoteWrite {
    config: config::RemoteWrite,
    to: Uri,
    client: Client,
    credentials: Credentials,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    /// Something was pushed.
    pushed: Notify,
    account: Account,
}

#[derive(Debug)]
struct Queue {
    encoder: Encoder,
    spool: Spool,
    /// Whether the disk refused the samples before these: said once.
    in_trouble: bool,
}

impl RemoteWrite {
    /// Opens the spool in `folder`; `None` where no receiver is configured. `instance` tells this host from others.
    ///
    /// # Errors
    /// The spool, or the CA file, cannot be opened.
    pub fn open(
        config: &config::RemoteWrite,
        folder: &Path,
        instance: &str,
        metrics: Arc<Metrics>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Option<Arc<Self>>, RemoteWriteError> {
        let Some(to) = config.receiver.url.as_deref().and_then(|url| url.parse::<Uri>().ok()) else {
            return Ok(None);
        };
        let account = Account::open("remote_write", shown(&to), telemetry);
        let (spool, found) = Spool::open(folder, config.spool_bytes)?;
        account.cut(found.cut);
        account.dropped(found.lost);
        account.set_spool_bytes(spool.bytes());
        let queue = Queue { encoder: Encoder::new(instance.to_owned()), spool, in_trouble: false };
        let (client, credentials) =
            (Client::new(&config.receiver, Version::Http1)?, Credentials::of(&config.receiver));
        let (config, queue, pushed) = (config.clone(), Mutex::new(queue), Notify::new());
        Ok(Some(Arc::new(Self { config, to, client, credentials, metrics, queue, pushed, account })))
    }

    /// Takes samples at the interval and sends them, until told to stop; then takes a last time, and leaves what was not
    /// sent to the next daemon.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let sender = tokio::spawn(Arc::clone(&self).send());
        let mut beat = interval(self.config.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                _ = beat.tick() => false,
            };
            let this = Arc::clone(&self);
            let _ = spawn_blocking(move || this.sample(Timestamp::now())).await;
            if stopped {
                return sender.abort();
            }
        }
    }

    /// Takes samples of this instant, and leaves them in the spool. Blocks on the disk.
    pub fn sample(&self, at: Timestamp) {
        let snapshot = self.metrics.snapshot(at);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for message in queue.encoder.encode(&snapshot) {
            match queue.spool.push(&message) {
                Ok(dropped) => {
                    self.account.dropped(dropped);
                    queue.in_trouble = false;
                }
                Err(error) => {
                    self.account.dropped(message.items.into());
                    if !std::mem::replace(&mut queue.in_trouble, true) {
                        tracing::error!(%error, "samples for remote write are lost");
                    }
                }
            }
        }
        self.account.set_spool_bytes(queue.spool.bytes());
        drop(queue);
        self.pushed.notify_one();
    }

    /// Sends what is in the spool, in order, for ever.
    pub async fn send(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let this = Arc::clone(&self);
            let Ok(Some(message)) = spawn_blocking(move || this.peek()).await else {
                self.pushed.notified().await;
                continue;
            };
            let items = u64::from(message.items);
            match self.post(message).await {
                Outcome::Later(asked, why) => {
                    self.account.failed(&why);
                    sleep(backoff.pause(asked)).await;
                    continue;
                }
                Outcome::Refused(why) => self.account.refused(items, &why),
                Outcome::Taken(_) => self.account.sent(items),
            }
            backoff.reset();
            let this = Arc::clone(&self);
            let _ = spawn_blocking(move || this.done()).await;
        }
    }

    fn peek(&self) -> Option<Message> {
        let mut found = Found::default();
        let message = self.queue.lock().unwrap_or_else(PoisonError::into_inner).spool.peek(&mut found);
        self.account.cut(found.cut);
        self.account.dropped(found.lost);
        message
    }

    fn done(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.spool.done();
        self.account.set_spool_bytes(queue.spool.bytes());
    }

    async fn post(&self, message: Message) -> Outcome {
        let secrets = match self.credentials.read() {
            Ok(secrets) => secrets,
            // Whoever writes the file may be about to.
            Err(error) => return Outcome::Later(None, error.to_string()),
        };
        let answer = self.client.post(&self.to, headers(&secrets), message.bytes.into()).await;
        Outcome::of(answer.as_ref(), &secrets)
    }
}

fn headers(secrets: &HeaderMap) -> HeaderMap {
    let mut headers = secrets.clone();
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}
