//! Every series at one instant: what is shown to those that scrape, and what is sent to those that do not.

use super::{
    families::{Family, Kind, Row},
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
}

impl Snapshot {
    /// Shows every sample.
    pub(super) fn show(&self, show: &mut ShowSample<'_>) {
        for family in &self.families {
            let name = family.full_name();
            for (values, value) in &family.series {
                let names = family.labels().iter().copied();
                let labels: Vec<(&str, &str)> = names.zip(values.iter().map(String::as_str)).collect();
                show(&name, &labels, *value);
            }
        }
    }

    /// How many series there are.
    pub(in crate::export) fn samples(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

impl FamilySnapshot {
    /// The name as Prometheus has it.
    pub(in crate::export) fn full_name(&self) -> String {
        self.row.full_name()
    }

    /// The name without unit and `_total`.
    pub(in crate::export) fn base_name(&self) -> String {
        self.row.base_name()
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

    /// Whether it counts since the host started, not the daemon.
    pub(in crate::export) fn since_boot(&self) -> bool {
        self.row.family == Family::HostCpuSeconds
    }
}
