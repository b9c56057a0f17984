//! Every series at one instant: what is shown to those that scrape, and what is sent to those that do not.

use super::{
    families::{Family, Kind, Row, attribute},
    histogram::{BOUNDS, Bounds, Counted, Histogram},
    series::Series,
};
use crate::model::{exposition::ShowSample, time::Timestamp};

/// Every series at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// Since when counters count.
    pub started: Timestamp,
    pub(in crate::export) families: Vec<FamilySnapshot>,
}

/// The series of one metric.
#[derive(Debug)]
pub(in crate::export) struct FamilySnapshot {
    pub(super) row: &'static Row,
    pub(in crate::export) series: Vec<Series>,
    pub(in crate::export) histograms: Vec<Histogram>,
}

impl Snapshot {
    /// Shows every sample.
    pub(super) fn show(&self, show: &mut ShowSample<'_>) {
        self.families.iter().for_each(|family| family.show(show));
    }

    /// How many series there are.
    pub(in crate::export) fn samples(&self) -> usize {
        let of_family =
            |family: &FamilySnapshot| family.series.len() + family.histograms.len() * (BOUNDS + 3);
        self.families.iter().map(of_family).sum()
    }
}

impl FamilySnapshot {
    /// Shows every sample: of a histogram those of its buckets, which add up, of its sum and of its count.
    pub(in crate::export) fn show(&self, show: &mut ShowSample<'_>) {
        let name = self.full_name();
        for (values, value) in &self.series {
            show(&name, &self.labelled(values), *value);
        }
        let Kind::Histogram(bounds) = self.row.kind else { return };
        for Histogram { labels, counted: Counted { sum, counts } } in &self.histograms {
            let labels = self.labelled(labels);
            let mut up_to = 0;
            let bounds = bounds.map(|bound| format!("{bound:?}")).into_iter().chain(["+Inf".to_owned()]);
            for (bound, count) in bounds.zip(counts) {
                up_to += count;
                let labels = [&labels[..], &[("le", bound.as_str())]].concat();
                show(&format!("{name}_bucket"), &labels, up_to as f64);
            }
            show(&format!("{name}_sum"), &labels, *sum);
            show(&format!("{name}_count"), &labels, up_to as f64);
        }
    }

    fn labelled<'a>(&self, values: &'a [String]) -> Vec<(&'a str, &'a str)> {
        self.labels().iter().copied().zip(values.iter().map(String::as_str)).collect()
    }

    /// The name as Prometheus has it.
    pub(in crate::export) fn full_name(&self) -> String {
        self.row.full_name()
    }

    /// The name as OTLP has it: without unit and `_total`.
    pub(in crate::export) fn otlp_name(&self) -> String {
        self.row.otlp_name()
    }

    pub(in crate::export) fn help(&self) -> &'static str {
        self.row.help
    }

    /// The unit as OpenTelemetry (UCUM) writes it.
    pub(in crate::export) fn unit(&self) -> &'static str {
        match self.row.unit().map(|unit| unit.as_str()) {
            Some("seconds") => "s",
            Some("bytes") => "By",
            Some("joules") => "J",
            Some("celsius") => "Cel",
            // In braces, so that it does not become part of the name.
            None if self.row.family == Family::GenAiTokens => "{token}",
            _ => "",
        }
    }

    pub(in crate::export) fn kind(&self) -> Kind {
        self.row.kind
    }

    /// Names of the labels, in the order of each series' values.
    pub(in crate::export) fn labels(&self) -> &'static [&'static str] {
        self.row.labels
    }

    /// The same, as OTLP has them.
    pub(in crate::export) fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let is_convention = self.row.is_convention();
        self.row.labels.iter().map(move |label| if is_convention { attribute(label) } else { label })
    }

    /// Up to which values a histogram counts.
    pub(in crate::export) fn bounds(&self) -> Option<&'static Bounds> {
        match self.row.kind {
            Kind::Histogram(bounds) => Some(bounds),
            Kind::Counter | Kind::Gauge => None,
        }
    }

    /// Whether it counts since the host started, not the daemon.
    pub(in crate::export) fn since_boot(&self) -> bool {
        self.row.family == Family::HostCpuSeconds
    }
}
