//! The way of one signal to its receiver, by gRPC or by HTTP.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use hyper::{Uri, header::HeaderValue};
use prost::Message;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    config::{OtlpProtocol, OtlpSignal, OtlpTarget},
    export::{
        account::Account,
        http::{Backoff, Client, Credentials, Outcome, Version, grpc, shown},
    },
    telemetry::Telemetry,
    tls::TlsError,
};

/// How long the last attempts may take when the daemon stops.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The way of one signal.
#[derive(Debug)]
pub(super) struct Channel {
    to: Uri,
    client: Client,
    credentials: Credentials,
    protocol: OtlpProtocol,
    gzip: bool,
    pub(super) account: Account,
}

/// What all answers of OTLP look like: how many items were not taken, and why.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    why: String,
}

impl Channel {
    /// The way to this target; `None` where its address is none.
    pub(super) fn open(
        signal: OtlpSignal,
        target: &OtlpTarget,
        telemetry: &std::sync::Arc<Telemetry>,
    ) -> Result<Option<Self>, TlsError> {
        let address = target.receiver.url.as_deref().and_then(|url| address(url, signal, target.protocol));
        let Some(to) = address else { return Ok(None) };
        let version = match target.protocol {
            OtlpProtocol::Grpc => Version::Http2,
            OtlpProtocol::Http => Version::Http1,
        };
        Ok(Some(Self {
            client: Client::new(&target.receiver, version)?,
            credentials: Credentials::of(&target.receiver),
            protocol: target.protocol,
            gzip: target.gzip,
            account: Account::open(name(signal), shown(&to), telemetry),
            to,
        }))
    }

    /// Sends a message of so many items, again and again until it is taken or refused, or until `deadline`; once the
    /// daemon stops, for little longer. What was not taken is counted.
    pub(super) async fn deliver(
        &self,
        message: &impl Message,
        items: u64,
        deadline: Option<Instant>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let bytes = message.encode_to_vec();
        let mut backoff = Backoff::default();
        loop {
            let attempt = self.attempt(&bytes);
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                () = stopped_for(stop.clone(), LAST_PATIENCE) => Outcome::Later(None, "the daemon stops".to_owned()),
            };
            let (asked, why) = match outcome {
                Outcome::Taken(rejected) => return self.taken(items, rejected),
                Outcome::Refused(why) => return self.account.refused(items, &why),
                Outcome::Later(asked, why) => (asked, why),
            };
            self.account.failed(&why);
            let pause = backoff.pause(asked);
            let late = deadline.is_some_and(|deadline| Instant::now() + pause >= deadline);
            let stopped = !late
                && tokio::select! {
                    () = sleep(pause) => false,
                    _ = stop.wait_for(|stop| *stop) => true,
                };
            if late || stopped {
                return self.account.dropped(items);
            }
        }
    }

    fn taken(&self, items: u64, rejected: Option<(u64, String)>) {
        let rejected_items = rejected.as_ref().map_or(0, |(n, _)| (*n).min(items));
        self.account.sent(items - rejected_items);
        if let Some((_, why)) = rejected.filter(|(n, _)| *n > 0) {
            self.account.refused(rejected_items, &why);
        }
    }

    async fn attempt(&self, message: &[u8]) -> Outcome {
        let secrets = match self.credentials.read() {
            Ok(secrets) => secrets,
            Err(error) => return Outcome::Later(None, error.to_string()),
        };
        let packed = if self.gzip { gzipped(message) } else { message.to_vec() };
        let answer = match self.protocol {
            OtlpProtocol::Grpc => {
                grpc::call(&self.client, &self.to, secrets.clone(), &packed, self.gzip).await
            }
            OtlpProtocol::Http => {
                let mut headers = secrets.clone();
                headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
                if self.gzip {
                    headers.insert("content-encoding", HeaderValue::from_static("gzip"));
                }
                let answer = self.client.post(&self.to, headers, packed.into()).await;
                match Outcome::of(answer.as_ref(), &secrets) {
                    Outcome::Taken(_) => Ok(answer.map(|answer| answer.body).unwrap_or_default()),
                    other => Err(other),
                }
            }
        };
        match answer {
            Err(outcome) => outcome,
            // A receiver that answers something else has taken it all the same.
            Ok(body) => {
                Outcome::Taken(Answer::decode(body).ok().and_then(|answer| answer.partial).map(|partial| {
                    (u64::try_from(partial.rejected).unwrap_or(0), Credentials::clean(&secrets, &partial.why))
                }))
            }
        }
    }
}

/// The whole address: of HTTP it stands in the configuration; of gRPC the method is its path.
fn address(url: &str, signal: OtlpSignal, protocol: OtlpProtocol) -> Option<Uri> {
    match protocol {
        OtlpProtocol::Http => url.parse().ok(),
        OtlpProtocol::Grpc => {
            let (package, service) = match signal {
                OtlpSignal::Metrics => ("metrics.v1", "MetricsService"),
                OtlpSignal::Traces => ("trace.v1", "TraceService"),
                OtlpSignal::Logs => ("logs.v1", "LogsService"),
                OtlpSignal::Profiles => ("profiles.v1development", "ProfilesService"),
            };
            let base = url.trim_end_matches('/');
            format!("{base}/opentelemetry.proto.collector.{package}.{service}/Export").parse().ok()
        }
    }
}

fn name(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Metrics => "otlp_metrics",
        OtlpSignal::Traces => "otlp_traces",
        OtlpSignal::Logs => "otlp_logs",
        OtlpSignal::Profiles => "otlp_profiles",
    }
}

/// Returns this long after the daemon was told to stop.
async fn stopped_for(mut stop: watch::Receiver<bool>, patience: Duration) {
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(patience).await;
}

fn gzipped(message: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = gzip.write_all(message);
    gzip.finish().unwrap_or_default()
}
