//! Where agentperf sends what it knows. Nothing is sent unless a receiver is named.

use std::{fmt, path::PathBuf, time::Duration};

/// Where agentperf sends what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Whether anything is sent at all.
    pub enabled: bool,
    /// The folder for what waits to be sent.
    pub spool_directory: PathBuf,
    /// Metrics, by Prometheus's remote write.
    pub remote_write: RemoteWrite,
    /// Metrics, spans, events and profiles, by the OpenTelemetry protocol.
    pub otlp: Otlp,
    /// Profiles, to servers that speak Pyroscope's.
    pub pyroscope: Pyroscope,
}

/// A server that takes what is sent, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its address; `None` sends nothing.
    pub url: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// A file with a bearer token.
    pub bearer_token_file: Option<PathBuf>,
    /// A file with headers, `Name: value` in each line.
    pub headers_file: Option<PathBuf>,
    /// Headers from the environment.
    pub headers: Headers,
    /// A CA that is trusted besides the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

/// Headers with secrets in them: shown by name only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Metrics, by Prometheus's remote write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteWrite {
    /// To whom.
    pub receiver: Receiver,
    /// How often samples are taken.
    pub interval: Duration,
    /// Bytes on disk that may wait to be sent.
    pub spool_bytes: u64,
}

/// Profiles, to servers that speak Pyroscope's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pyroscope {
    /// To whom.
    pub receiver: Receiver,
    /// What length of time a profile is of.
    pub interval: Duration,
}

/// Metrics, spans, events and profiles, by the OpenTelemetry protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// To whom, by what, for every signal that has nothing of its own.
    pub target: OtlpTarget,
    /// What the environment says of one signal only.
    pub own: [OtlpOwn; OtlpSignal::ALL.len()],
    /// How often metrics, and profiles, are sent.
    pub interval: Duration,
    /// Whether profiles are sent, by a protocol that is still in development.
    pub profiles: bool,
    /// What the daemon is called.
    pub service_name: String,
    /// More attributes of the resource.
    pub resource: Vec<(String, String)>,
}

/// What is sent by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpSignal {
    /// Metrics.
    Metrics,
    /// Agents and processes, as spans.
    Traces,
    /// Events.
    Logs,
    /// Profiles.
    Profiles,
}

impl OtlpSignal {
    /// Every signal.
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Traces, Self::Logs, Self::Profiles];

    /// The last part of its path over HTTP.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Metrics => "v1/metrics",
            Self::Traces => "v1/traces",
            Self::Logs => "v1/logs",
            Self::Profiles => "v1development/profiles",
        }
    }
}

/// A receiver of OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpTarget {
    /// Where it is.
    pub receiver: Receiver,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Whether messages are compressed by gzip.
    pub gzip: bool,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// What a signal has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpOwn {
    /// It is not sent.
    pub off: bool,
    /// The address, to be used as it stands.
    pub endpoint: Option<String>,
    /// How it is spoken to.
    pub protocol: Option<OtlpProtocol>,
    /// Headers in place of the general ones.
    pub headers: Option<Headers>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Whether messages are compressed.
    pub gzip: Option<bool>,
    /// A CA in place of the general one.
    pub ca_file: Option<PathBuf>,
}

impl Otlp {
    /// Where this signal goes, if it goes anywhere: the receiver's `url` is the whole address then (of gRPC, without
    /// the method).
    #[must_use]
    pub fn target(&self, signal: OtlpSignal) -> Option<OtlpTarget> {
        let own = self.own.get(signal as usize)?;
        if own.off || signal == OtlpSignal::Profiles && !self.profiles {
            return None;
        }
        let mut target = self.target.clone();
        target.protocol = own.protocol.unwrap_or(target.protocol);
        target.gzip = own.gzip.unwrap_or(target.gzip);
        let receiver = &mut target.receiver;
        receiver.url = match (&own.endpoint, receiver.url.take()) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(base)) if target.protocol == OtlpProtocol::Http => {
                Some(format!("{}/{}", base.trim_end_matches('/'), signal.path()))
            }
            (None, base) => base,
        };
        receiver.url.as_ref()?;
        receiver.timeout = own.timeout.unwrap_or(receiver.timeout);
        receiver.headers = own.headers.clone().unwrap_or_else(|| receiver.headers.clone());
        receiver.ca_file = own.ca_file.clone().or_else(|| receiver.ca_file.take());
        Some(target)
    }
}

impl Default for Export {
    fn default() -> Self {
        Self {
            enabled: true,
            spool_directory: PathBuf::from("/var/lib/agentperf/spool"),
            remote_write: RemoteWrite::default(),
            otlp: Otlp::default(),
            pyroscope: Pyroscope::default(),
        }
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_secs(30),
            bearer_token_file: None,
            headers_file: None,
            headers: Headers::default(),
            ca_file: None,
        }
    }
}

impl Default for RemoteWrite {
    fn default() -> Self {
        Self { receiver: Receiver::default(), interval: Duration::from_secs(15), spool_bytes: 256_000_000 }
    }
}

impl Default for Pyroscope {
    fn default() -> Self {
        Self { receiver: Receiver::default(), interval: Duration::from_secs(15) }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        let receiver = Receiver { timeout: Duration::from_secs(10), ..Receiver::default() };
        Self {
            target: OtlpTarget { receiver, protocol: OtlpProtocol::Grpc, gzip: false },
            own: Default::default(),
            interval: Duration::from_secs(60),
            profiles: false,
            service_name: "agentperf".to_owned(),
            resource: Vec::new(),
        }
    }
}
