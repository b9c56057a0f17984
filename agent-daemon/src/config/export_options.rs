//! The options of the doors out, part of the table of options.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    OtlpProtocol,
    duration::{format_duration, parse_duration},
    options::{Opt, boolean, put, receiver_url},
    size::{format_bytes, parse_bytes},
};

/// In place of an address or a file: there is none.
const NONE: &str = "none";
const A_URL: &str = "an address as in https://host:port/path, without credentials, or none";
const A_FILE: &str = "an absolute path, or none";

const TOKEN_DOC: &str = "File with a bearer token, or none. It is read anew for each request.";
const HEADERS_DOC: &str =
    "File with headers to send, Name: value in each line, or none. It is read anew for each request.";
const CA_DOC: &str = "File with certificates (PEM) that are trusted besides the system's, or none.";
const TIMEOUT_DOC: &str = "How long an answer may take, 100ms to 10m.";

/// The option that is a receiver's address.
macro_rules! url {
    ($key:literal, $($field:ident).+, $doc:expr $(,)?) => {
        Opt { key: $key, doc: $doc, get: |c| text(&c.$($field).+), set: |c, t| url(&mut c.$($field).+, t) }
    };
}

/// The option that is a file.
macro_rules! file {
    ($key:literal, $($field:ident).+, $doc:expr $(,)?) => {
        Opt { key: $key, doc: $doc, get: |c| path(c.$($field).+.as_deref()), set: |c, t| file(&mut c.$($field).+, t) }
    };
}

/// The option that is how often something is done.
macro_rules! interval {
    ($key:literal, $($field:ident).+, $doc:expr $(,)?) => {
        Opt { key: $key, doc: $doc, get: |c| format_duration(c.$($field).+), set: |c, t| interval(&mut c.$($field).+, t) }
    };
}

/// The option that is how long an answer may take.
macro_rules! timeout {
    ($key:literal, $($field:ident).+ $(,)?) => {
        Opt { key: $key, doc: TIMEOUT_DOC, get: |c| format_duration(c.$($field).+), set: |c, t| timeout(&mut c.$($field).+, t) }
    };
}

/// Their part of the table.
pub(super) const OPTIONS: [Opt; 22] = [
    Opt {
        key: "export.enabled",
        doc: "Whether anything is sent at all. Nothing is unless a receiver is named below.",
        get: |c| c.export.enabled.to_string(),
        set: |c, t| put(&mut c.export.enabled, boolean(t), "true or false"),
    },
    Opt {
        key: "export.spool_directory",
        doc: "Folder for what waits to be sent, an absolute path.",
        get: |c| c.export.spool_directory.display().to_string(),
        set: |c, t| {
            let path = Some(PathBuf::from(t)).filter(|path| path.is_absolute());
            put(&mut c.export.spool_directory, path, "an absolute path")
        },
    },
    url!(
        "export.remote_write.url",
        export.remote_write.receiver.url,
        "Where metrics are sent by Prometheus's remote write, as in http://127.0.0.1:9090/api/v1/write, or none."
    ),
    interval!(
        "export.remote_write.interval",
        export.remote_write.interval,
        "How often samples are taken, 100ms to 1h."
    ),
    Opt {
        key: "export.remote_write.spool_size",
        doc: "Bytes on disk that may wait to be sent, 1MB to 100GB; beyond, the oldest are dropped.",
        get: |c| format_bytes(c.export.remote_write.spool_bytes),
        set: |c, t| {
            let range = |bytes: &u64| (1_000_000..=100_000_000_000).contains(bytes);
            put(
                &mut c.export.remote_write.spool_bytes,
                parse_bytes(t).filter(range),
                "a size from 1MB to 100GB",
            )
        },
    },
    timeout!("export.remote_write.timeout", export.remote_write.receiver.timeout),
    file!("export.remote_write.bearer_token_file", export.remote_write.receiver.bearer_token_file, TOKEN_DOC),
    file!("export.remote_write.headers_file", export.remote_write.receiver.headers_file, HEADERS_DOC),
    file!("export.remote_write.ca_file", export.remote_write.receiver.ca_file, CA_DOC),
    url!(
        "export.otlp.endpoint",
        export.otlp.target.receiver.url,
        "Where metrics, spans and events are sent by the OpenTelemetry protocol, as in http://127.0.0.1:4317,\nor none. OTEL_EXPORTER_OTLP_* and OTEL_SERVICE_NAME are understood, too, and lie over this file."
    ),
    Opt {
        key: "export.otlp.protocol",
        doc: "How: grpc or http/protobuf.",
        get: |c| match c.export.otlp.target.protocol {
            OtlpProtocol::Grpc => "grpc".to_owned(),
            OtlpProtocol::Http => "http/protobuf".to_owned(),
        },
        set: |c, t| {
            let protocol = match t {
                "grpc" => Some(OtlpProtocol::Grpc),
                "http/protobuf" => Some(OtlpProtocol::Http),
                _ => None,
            };
            put(&mut c.export.otlp.target.protocol, protocol, "grpc or http/protobuf")
        },
    },
    interval!(
        "export.otlp.interval",
        export.otlp.interval,
        "How often metrics, and profiles, are sent, 100ms to 1h."
    ),
    timeout!("export.otlp.timeout", export.otlp.target.receiver.timeout),
    Opt {
        key: "export.otlp.compression",
        doc: "gzip or none.",
        get: |c| if c.export.otlp.target.gzip { "gzip".to_owned() } else { NONE.to_owned() },
        set: |c, t| {
            let gzip = match t {
                "gzip" => Some(true),
                NONE => Some(false),
                _ => None,
            };
            put(&mut c.export.otlp.target.gzip, gzip, "gzip or none")
        },
    },
    file!("export.otlp.headers_file", export.otlp.target.receiver.headers_file, HEADERS_DOC),
    file!("export.otlp.ca_file", export.otlp.target.receiver.ca_file, CA_DOC),
    Opt {
        key: "export.otlp.profiles",
        doc: "Whether profiles are sent, too. Their protocol (v1development) still changes.",
        get: |c| c.export.otlp.profiles.to_string(),
        set: |c, t| put(&mut c.export.otlp.profiles, boolean(t), "true or false"),
    },
    url!(
        "export.pyroscope.url",
        export.pyroscope.receiver.url,
        "A server that takes profiles as Pyroscope does, by POST /ingest, as in http://127.0.0.1:4040, or none."
    ),
    interval!(
        "export.pyroscope.interval",
        export.pyroscope.interval,
        "What length of time a profile is of, 100ms to 1h; it is made of whole windows."
    ),
    file!("export.pyroscope.bearer_token_file", export.pyroscope.receiver.bearer_token_file, TOKEN_DOC),
    file!("export.pyroscope.headers_file", export.pyroscope.receiver.headers_file, HEADERS_DOC),
    file!("export.pyroscope.ca_file", export.pyroscope.receiver.ca_file, CA_DOC),
];

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| NONE.to_owned())
}

fn path(value: Option<&Path>) -> String {
    value.map_or_else(|| NONE.to_owned(), |path| path.display().to_string())
}

fn url(slot: &mut Option<String>, text: &str) -> Result<(), String> {
    put(slot, if text == NONE { Some(None) } else { receiver_url(text).map(Some) }, A_URL)
}

fn file(slot: &mut Option<PathBuf>, text: &str) -> Result<(), String> {
    let path = Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    put(slot, if text == NONE { Some(None) } else { path.map(Some) }, A_FILE)
}

fn interval(slot: &mut Duration, text: &str) -> Result<(), String> {
    let range = |length: &Duration| (100..=3_600_000).contains(&length.as_millis());
    put(slot, parse_duration(text).filter(range), "a duration from 100ms to 1h")
}

fn timeout(slot: &mut Duration, text: &str) -> Result<(), String> {
    let range = |length: &Duration| (100..=600_000).contains(&length.as_millis());
    put(slot, parse_duration(text).filter(range), "a duration from 100ms to 10m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn an_address_has_no_credentials() {
        let mut config = Config::default();
        let option = OPTIONS.iter().find(|option| option.key == "export.remote_write.url").unwrap();
        for wrong in ["http://a:s3cr3t@host/", "ftp://host", "host:9090", "/write", ""] {
            assert!((option.set)(&mut config, wrong).is_err(), "{wrong}");
        }
        for fine in ["http://host:9090/api/v1/write", "https://[::1]/w?x=1", "none"] {
            assert!((option.set)(&mut config, fine).is_ok(), "{fine}");
        }
    }
}
