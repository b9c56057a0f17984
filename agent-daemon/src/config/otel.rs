//! OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_*`, `OTEL_SERVICE_NAME` and their like, which every program that
//! speaks OTLP understands. They lie over the file; `AGENTPERF_*` lies over them.

use std::{path::PathBuf, time::Duration};

use super::{
    Export,
    export::{Headers, OtlpProtocol, OtlpSignal},
    options::receiver_url,
};

/// Prefix of what is about all signals, or, with a signal's name behind it, of one.
const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// Takes one variable in, if it is one of these. The error ends a sentence that begins with the variable.
pub(super) fn take(export: &mut Export, name: &str, value: &str) -> Result<(), String> {
    let value = value.trim();
    // By OpenTelemetry's own rule an empty value is none.
    if value.is_empty() {
        return Ok(());
    }
    let otlp = &mut export.otlp;
    match name {
        "OTEL_SDK_DISABLED" if value.eq_ignore_ascii_case("true") => {
            otlp.own.iter_mut().for_each(|own| own.off = true);
        }
        "OTEL_SERVICE_NAME" => value.clone_into(&mut otlp.service_name),
        "OTEL_RESOURCE_ATTRIBUTES" => otlp.resource = pairs(value)?,
        _ => {
            return signal_of(name).map_or(Ok(()), |(signal, what)| of_exporter(export, signal, what, value));
        }
    }
    Ok(())
}

/// The signal, if it is of one, and what the variable is about.
fn signal_of(name: &str) -> Option<(Option<OtlpSignal>, &str)> {
    let signals = [
        ("METRICS", OtlpSignal::Metrics),
        ("TRACES", OtlpSignal::Traces),
        ("LOGS", OtlpSignal::Logs),
        ("PROFILES", OtlpSignal::Profiles),
    ];
    for (word, signal) in signals {
        if name.strip_prefix("OTEL_").and_then(|rest| rest.strip_suffix("_EXPORTER")) == Some(word) {
            return Some((Some(signal), "EXPORTER"));
        }
        let what = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(word));
        if let Some(what) = what.and_then(|rest| rest.strip_prefix('_')) {
            return Some((Some(signal), what));
        }
    }
    name.strip_prefix(PREFIX).map(|what| (None, what))
}

fn of_exporter(
    export: &mut Export,
    signal: Option<OtlpSignal>,
    what: &str,
    value: &str,
) -> Result<(), String> {
    let otlp = &mut export.otlp;
    let Some(own) = signal.and_then(|signal| otlp.own.get_mut(signal as usize)) else {
        let target = &mut otlp.target;
        match what {
            "ENDPOINT" => target.receiver.url = Some(url(value)?),
            "PROTOCOL" => target.protocol = protocol(value)?,
            "HEADERS" => target.receiver.headers = headers(value)?,
            "TIMEOUT" => target.receiver.timeout = milliseconds(value)?,
            "COMPRESSION" => target.gzip = gzip(value)?,
            "CERTIFICATE" => target.receiver.ca_file = Some(PathBuf::from(value)),
            _ => {}
        }
        return Ok(());
    };
    match what {
        "EXPORTER" => own.off = value == "none",
        "ENDPOINT" => own.endpoint = Some(url(value)?),
        "PROTOCOL" => own.protocol = Some(protocol(value)?),
        "HEADERS" => own.headers = Some(headers(value)?),
        "TIMEOUT" => own.timeout = Some(milliseconds(value)?),
        "COMPRESSION" => own.gzip = Some(gzip(value)?),
        "CERTIFICATE" => own.ca_file = Some(PathBuf::from(value)),
        _ => {}
    }
    Ok(())
}

fn url(value: &str) -> Result<String, String> {
    receiver_url(value)
        .ok_or_else(|| "must be an address as in http://127.0.0.1:4317, without credentials".to_owned())
}

fn protocol(value: &str) -> Result<OtlpProtocol, String> {
    match value {
        "grpc" => Ok(OtlpProtocol::Grpc),
        "http/protobuf" => Ok(OtlpProtocol::Http),
        _ => Err("must be grpc or http/protobuf".to_owned()),
    }
}

fn gzip(value: &str) -> Result<bool, String> {
    match value {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err("must be gzip or none".to_owned()),
    }
}

fn milliseconds(value: &str) -> Result<Duration, String> {
    let milliseconds = value.parse().ok().filter(|ms| (1..=600_000).contains(ms));
    milliseconds.map(Duration::from_millis).ok_or_else(|| "must be milliseconds, 1 to 600000".to_owned())
}

fn headers(value: &str) -> Result<Headers, String> {
    pairs(value).map(Headers)
}

/// `a=b,c=d`, percent-encoded. The error does not repeat what may be a secret.
fn pairs(value: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let (name, value) = (decoded(name.trim())?, decoded(value.trim())?);
        (!name.is_empty()).then_some((name, value))
    };
    let items = value.split(',').filter(|item| !item.trim().is_empty());
    items
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(|| "must be a list as in name=value,name=value".to_owned())
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            u8::try_from(high << 4 | low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load_from(None, variables, Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_general_ones_and_those_of_a_signal() {
        let config = load(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t%2C1, x = y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_SERVICE_NAME", "perf-7"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ])
        .unwrap();
        let otlp = &config.export.otlp;
        let metrics = otlp.target(OtlpSignal::Metrics).unwrap();
        assert_eq!(metrics.receiver.url.as_deref(), Some("http://collector:4318/v1/metrics"));
        assert_eq!((metrics.protocol, metrics.gzip), (OtlpProtocol::Http, true));
        assert_eq!(metrics.receiver.timeout, Duration::from_millis(2500));
        assert_eq!(metrics.receiver.headers.0[0], ("api-key".to_owned(), "s3cr3t,1".to_owned()));
        let traces = otlp.target(OtlpSignal::Traces).unwrap();
        assert_eq!(traces.receiver.url.as_deref(), Some("http://traces:4317"));
        assert_eq!((traces.protocol, traces.receiver.headers.0.len()), (OtlpProtocol::Grpc, 1));
        assert_eq!(otlp.target(OtlpSignal::Logs), None);
        assert_eq!(otlp.target(OtlpSignal::Profiles), None, "opt-in");
        assert_eq!((otlp.service_name.as_str(), otlp.resource.len()), ("perf-7", 1));
        assert!(!format!("{config:?}").contains("s3cr3t"), "a secret is not shown");
    }

    #[test]
    fn our_own_lie_over_them_and_nothing_is_sent_unasked() {
        let config = load(&[
            ("AGENTPERF_EXPORT_OTLP_ENDPOINT", "http://ours:1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:2"),
        ]);
        assert_eq!(config.unwrap().export.otlp.target.receiver.url.as_deref(), Some("http://ours:1"));
        for variables in
            [&[][..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_SDK_DISABLED", "true")]]
        {
            let config = load(variables).unwrap();
            assert!(OtlpSignal::ALL.iter().all(|signal| config.export.otlp.target(*signal).is_none()));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_what_may_be_secret() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cr3t"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%s3cr3t"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cr3t@host"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ] {
            let error = load(&[(name, value)]).unwrap_err();
            assert!(
                error.contains(name) && error.contains("must be") && !error.contains("s3cr3t"),
                "{error}"
            );
        }
    }
}
