//! `GET /metrics`: what agentperf counts, for Prometheus, in OpenMetrics or in Prometheus's older text form.
//!
//! Counters are added up from the records on their way into the store, so a scrape reads nothing but memory. The series
//! of each kind are bounded ([`Room`](capped::Room)): whatever agents do, the exposition stays small.

mod agent_totals;
mod capped;
mod cuda;
mod devices;
mod families;
mod files;
mod gen_ai;
mod gpu;
mod gpu_totals;
mod histogram;
mod host;
mod http;
mod llm;
mod operations;
mod replay;
mod series;
mod signals;
mod snapshot;
mod throttled;
mod tools;
mod totals;

pub(super) use families::Kind;
pub use families::{has_metric, reference};
pub(super) use histogram::{BOUNDS, Histogram};
pub use replay::{Detail, Ends, replay};
pub(super) use snapshot::FamilySnapshot;
pub use snapshot::Snapshot;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text},
    registry::Registry,
};

use self::{families::rows, totals::Totals};
use crate::{
    config::Budget,
    model::{
        exposition::{Exposition, Samples, ShowSample, TextFormat},
        record::Record,
        time::Timestamp,
    },
    store::Follower,
    telemetry::{HostInfo, Reading, Telemetry},
};

/// What is exposed. Follows the store's writer.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    shown: Arc<Shown>,
}

/// Where the values come from.
#[derive(Debug)]
struct Shown {
    totals: Mutex<Totals>,
    telemetry: Arc<Telemetry>,
    host: HostInfo,
    budget: Budget,
}

impl Metrics {
    /// Nothing counted yet; at most `max_series` of each kind that is many.
    #[must_use]
    pub fn new(max_series: usize, telemetry: Arc<Telemetry>, host: HostInfo, budget: Budget) -> Self {
        let totals = Mutex::new(Totals::new(max_series));
        let shown = Arc::new(Shown { totals, telemetry, host, budget });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&shown)));
        Self { registry, shown }
    }

    /// Every series at one instant, for those that send them.
    #[must_use]
    pub fn snapshot(&self, at: Timestamp) -> Snapshot {
        self.shown.snapshot(at)
    }
}

impl Exposition for Metrics {
    fn text(&self, format: TextFormat) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        match format {
            TextFormat::OpenMetrics => text,
            TextFormat::Prometheus => older_form(&text),
        }
    }
}

impl Samples for Metrics {
    fn samples(&self, at: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>) {
        let is_wanted = |row: &families::Row| row.names().iter().any(|name| wanted(name));
        self.shown.snapshot_of(at, &Reading::take(), is_wanted).show(show);
    }
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self, at: Timestamp) -> Snapshot {
        self.snapshot_of(at, &Reading::take(), |_| true)
    }

    fn snapshot_of(
        &self,
        at: Timestamp,
        reading: &Reading,
        wanted: impl Fn(&families::Row) -> bool,
    ) -> Snapshot {
        // What counts waits for a copy of the numbers, and not for the formatting.
        let totals = {
            let mut totals = self.lock();
            totals.expire(at);
            totals.clone()
        };
        let of = |row: &'static families::Row| {
            let series = series::of(row.family, &totals, &self.telemetry, &self.host, reading, &self.budget);
            let histograms = series::histograms(row.family, &totals);
            let is_any = !series.is_empty() || !histograms.is_empty();
            is_any.then_some(FamilySnapshot { row, series, histograms })
        };
        let families = rows().filter(|row| wanted(row)).filter_map(of).collect();
        Snapshot { at, started: self.host.started, families }
    }
}

impl Follower for Metrics {
    fn follow(&self, record: &Record) {
        self.shown.lock().add(record);
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for FamilySnapshot { row, series, histograms } in self.snapshot(Timestamp::now()).families {
            let (name, kind) = (row.base_name(), row.metric_type());
            let mut metric = encoder.encode_descriptor(&name, row.help, row.unit(), kind)?;
            for (labels, value) in series {
                let labels: Vec<(&str, String)> = row.labels.iter().copied().zip(labels).collect();
                let mut one = metric.encode_family(&labels)?;
                match row.kind {
                    Kind::Counter => one.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
                    Kind::Gauge => one.encode_gauge(&value)?,
                    Kind::Histogram(_) => {}
                }
            }
            let Kind::Histogram(bounds) = row.kind else { continue };
            for Histogram { labels, counted } in histograms {
                let labels: Vec<(&str, String)> = row.labels.iter().copied().zip(labels).collect();
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(counted.counts).collect();
                let mut one = metric.encode_family(&labels)?;
                one.encode_histogram::<NoLabelSet>(counted.sum, counted.count(), &buckets, None)?;
            }
        }
        Ok(())
    }
}

/// Prometheus's text form 0.0.4, which knows no units, and calls a counter by its whole name.
fn older_form(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let counters: Vec<String> =
        rows().filter(|row| row.kind == Kind::Counter).map(families::Row::full_name).collect();
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT"), ..) | (Some("#"), Some("EOF"), ..) => {}
            (Some("#"), Some(keyword), Some(name), Some(rest)) => {
                let full = counters.iter().find(|full| full.strip_suffix("_total") == Some(name));
                text.extend(["# ", keyword, " ", full.map_or(name, |full| full), " ", rest, "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests;
