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
    Opt {
        key: "export.remote_write.url",
        doc: "Where metrics are sent by Prometheus's remote write, as in http://127.0.0.1:9090/api/v1/write, or none.",
        get: |c| text(&c.export.remote_write.receiver.url),
        set: |c, t| url(&mut c.export.remote_write.receiver.url, t),
    },
    Opt {
        key: "export.remote_write.interval",
        doc: "How often samples are taken, 100ms to 1h.",
        get: |c| format_duration(c.export.remote_write.interval),
        set: |c, t| interval(&mut c.export.remote_write.interval, t),
    },
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
    Opt {
        key: "export.remote_write.timeout",
        doc: TIMEOUT_DOC,
        get: |c| format_duration(c.export.remote_write.receiver.timeout),
        set: |c, t| timeout(&mut c.export.remote_write.receiver.timeout, t),
    },
    Opt {
        key: "export.remote_write.bearer_token_file",
        doc: TOKEN_DOC,
        get: |c| path(c.export.remote_write.receiver.bearer_token_file.as_deref()),
        set: |c, t| file(&mut c.export.remote_write.receiver.bearer_token_file, t),
    },
    Opt {
        key: "export.remote_write.headers_file",
        doc: HEADERS_DOC,
        get: |c| path(c.export.remote_write.receiver.headers_file.as_deref()),
        set: |c, t| file(&mut c.export.remote_write.receiver.headers_file, t),
    },
    Opt {
        key: "export.remote_write.ca_file",
        doc: CA_DOC,
        get: |c| path(c.export.remote_write.receiver.ca_file.as_deref()),
        set: |c, t| file(&mut c.export.remote_write.receiver.ca_file, t),
    },
    Opt {
        key: "export.otlp.endpoint",
        doc: "Where metrics, spans and events are sent by the OpenTelemetry protocol, as in http://127.0.0.1:4317,\nor none. OTEL_EXPORTER_OTLP_* and OTEL_SERVICE_NAME are understood, too, and lie over this file.",
        get: |c| text(&c.export.otlp.target.receiver.url),
        set: |c, t| url(&mut c.export.otlp.target.receiver.url, t),
    },
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
    Opt {
        key: "export.otlp.interval",
        doc: "How often metrics, and profiles, are sent, 100ms to 1h.",
        get: |c| format_duration(c.export.otlp.interval),
        set: |c, t| interval(&mut c.export.otlp.interval, t),
    },
    Opt {
        key: "export.otlp.timeout",
        doc: TIMEOUT_DOC,
        get: |c| format_duration(c.export.otlp.target.receiver.timeout),
        set: |c, t| timeout(&mut c.export.otlp.target.receiver.timeout, t),
    },
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
    Opt {
        key: "export.otlp.headers_file",
        doc: HEADERS_DOC,
        get: |c| path(c.export.otlp.target.receiver.headers_file.as_deref()),
        set: |c, t| file(&mut c.export.otlp.target.receiver.headers_file, t),
    },
    Opt {
        key: "export.otlp.ca_file",
        doc: CA_DOC,
        get: |c| path(c.export.otlp.target.receiver.ca_file.as_deref()),
        set: |c, t| file(&mut c.export.otlp.target.receiver.ca_file, t),
    },
    Opt {
        key: "export.otlp.profiles",
        doc: "Whether profiles are sent, too. Their protocol (v1development) still changes.",
        get: |c| c.export.otlp.profiles.to_string(),
        set: |c, t| put(&mut c.export.otlp.profiles, boolean(t), "true or false"),
    },
    Opt {
        key: "export.pyroscope.url",
        doc: "A server that takes profiles as Pyroscope does, by POST /ingest, as in http://127.0.0.1:4040, or none.",
        get: |c| text(&c.export.pyroscope.receiver.url),
        set: |c, t| url(&mut c.export.pyroscope.receiver.url, t),
    },
    Opt {
        key: "export.pyroscope.interval",
        doc: "What length of time a profile is of, 100ms to 1h; it is made of whole windows.",
        get: |c| format_duration(c.export.pyroscope.interval),
        set: |c, t| interval(&mut c.export.pyroscope.interval, t),
    },
    Opt {
        key: "export.pyroscope.bearer_token_file",
        doc: TOKEN_DOC,
        get: |c| path(c.export.pyroscope.receiver.bearer_token_file.as_deref()),
        set: |c, t| file(&mut c.export.pyroscope.receiver.bearer_token_file, t),
    },
    Opt {
        key: "export.pyroscope.headers_file",
        doc: HEADERS_DOC,
        get: |c| path(c.export.pyroscope.receiver.headers_file.as_deref()),
        set: |c, t| file(&mut c.export.pyroscope.receiver.headers_file, t),
    },
    Opt {
        key: "export.pyroscope.ca_file",
        doc: CA_DOC,
        get: |c| path(c.export.pyroscope.receiver.ca_file.as_deref()),
        set: |c, t| file(&mut c.export.pyroscope.receiver.ca_file, t),
    },
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
