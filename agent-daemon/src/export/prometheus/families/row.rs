//! One metric: its name for those that scrape and for those that it is sent to, its kind and its labels.

use prometheus_client::{metrics::MetricType, registry::Unit};

use super::Family;
use crate::export::prometheus::histogram::Bounds;

/// What every name of our own begins with.
const PREFIX: &str = "agentperf";

/// What the names of a histogram's series end with.
const HISTOGRAM: [&str; 3] = ["bucket", "sum", "count"];

/// One row of the registry.
#[derive(Debug)]
pub(in crate::export::prometheus) struct Row {
    pub(in crate::export::prometheus) family: Family,
    /// Without prefix, unit and `_total`, which the exposition adds. With dots it is a name of OpenTelemetry's conventions,
    /// which has no prefix.
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(in crate::export::prometheus) kind: Kind,
    pub(in crate::export::prometheus) labels: &'static [&'static str],
    pub(in crate::export::prometheus) help: &'static str,
}

/// Whether a metric only grows, and whether it is several series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::export) enum Kind {
    Counter,
    Gauge,
    Histogram(&'static Bounds),
}

pub(super) const fn row(
    family: Family,
    name: &'static str,
    unit: Option<Unit>,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Row {
    Row { family, name, unit, kind, labels, help }
}

impl Row {
    /// Whether it is named by OpenTelemetry's conventions.
    pub(in crate::export::prometheus) fn is_convention(&self) -> bool {
        self.name.contains('.')
    }

    /// The name that the library takes, which adds the unit and, to a counter, `_total`.
    pub(in crate::export::prometheus) fn base_name(&self) -> String {
        if self.is_convention() { self.name.replace('.', "_") } else { format!("{PREFIX}_{}", self.name) }
    }

    /// The name by OTLP, which a receiver that hands it on to Prometheus makes [`Self::full_name`] of.
    pub(in crate::export::prometheus) fn otlp_name(&self) -> String {
        if self.is_convention() { self.name.to_owned() } else { self.base_name() }
    }

    /// The unit, as part of the name.
    pub(in crate::export::prometheus) fn unit(&self) -> Option<&Unit> {
        self.unit.as_ref()
    }

    pub(in crate::export::prometheus) fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram(_) => MetricType::Histogram,
        }
    }

    /// The names as they are queried.
    pub(in crate::export::prometheus) fn names(&self) -> Vec<String> {
        let name = self.full_name();
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![name],
            Kind::Histogram(_) => HISTOGRAM.map(|suffix| format!("{name}_{suffix}")).to_vec(),
        }
    }

    /// The name as it is queried; of a histogram, what its series' names begin with.
    pub(in crate::export::prometheus) fn full_name(&self) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.base_name())
    }
}
