//! Small parts of OTLP's messages: attributes, the resource, the scope, times.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use crate::{config, model::time::Timestamp, telemetry::HostInfo};

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(super) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub(super) fn real(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

pub(super) fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

pub(super) fn texts(key: &str, values: &[String]) -> KeyValue {
    let values = values.iter().map(|value| AnyValue { value: Some(Value::StringValue(value.clone())) });
    attribute(key, Value::ArrayValue(ArrayValue { values: values.collect() }))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Who tells: this daemon on this host. What the operator says goes over what is found.
pub(super) fn resource(config: &config::Otlp, host: &HostInfo) -> Resource {
    let mut attributes = vec![
        text("service.name", &config.service_name),
        text("service.version", host.version),
        text("service.instance.id", &format!("{}-{}", host.hostname, host.started.as_millisecond())),
        text("host.name", &host.hostname),
        text("os.type", "linux"),
        text("os.version", &host.kernel),
    ];
    for (name, value) in &config.resource {
        // OTEL_SERVICE_NAME lies over the resource's attributes.
        let chosen = name == "service.name" && config.service_name != config::Otlp::default().service_name;
        if !chosen {
            attributes.retain(|attribute| attribute.key != *name);
            attributes.push(text(name, value));
        }
    }
    Resource { attributes, ..Resource::default() }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "agentperf".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Nanoseconds since the Unix epoch.
pub(super) fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
