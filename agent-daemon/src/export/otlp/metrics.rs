//! A snapshot as OTLP metrics: counters as cumulative sums, histograms as such, the rest as gauges. Names are such that a collector that
//! hands them on to Prometheus gives them back the names of `docs/metrics.md`.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};

use super::wire;
use crate::export::prometheus::{self, BOUNDS, FamilySnapshot, Kind, Snapshot};

/// Data points in one request: well below the 4 MiB that receivers of gRPC take.
const POINTS: usize = 4000;

/// The snapshot as requests, each with the number of its data points.
pub(super) fn requests(snapshot: &Snapshot, resource: &Resource) -> Vec<(ExportMetricsServiceRequest, u64)> {
    let mut requests = Vec::new();
    let (mut metrics, mut points) = (Vec::new(), 0);
    for family in &snapshot.families {
        for series in family.series.chunks(POINTS) {
            if points + series.len() > POINTS {
                requests.push((
                    request(std::mem::take(&mut metrics), resource),
                    std::mem::take(&mut points) as u64,
                ));
            }
            points += series.len();
            metrics.push(metric(family, data(family, series, snapshot)));
        }
        for several in family.histograms.chunks(POINTS / BOUNDS.len()) {
            let data = Data::Histogram(histogram(family, several, snapshot));
            requests.push((request(vec![metric(family, data)], resource), several.len() as u64));
        }
    }
    if points > 0 {
        requests.push((request(metrics, resource), points as u64));
    }
    requests
}

fn request(metrics: Vec<Metric>, resource: &Resource) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { scope: Some(wire::scope()), metrics, schema_url: String::new() }];
    let resource_metrics =
        ResourceMetrics { resource: Some(resource.clone()), scope_metrics, schema_url: String::new() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn metric(family: &FamilySnapshot, data: Data) -> Metric {
    Metric {
        name: family.base_name(),
        description: family.help().to_owned(),
        unit: family.unit().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(family: &FamilySnapshot, several: &[prometheus::Histogram], snapshot: &Snapshot) -> Histogram {
    let point = |histogram: &prometheus::Histogram| {
        let labels = family.labels().iter().zip(&histogram.labels).filter(|(_, value)| !value.is_empty());
        HistogramDataPoint {
            attributes: labels.map(|(name, value)| wire::text(name, value)).collect(),
            start_time_unix_nano: wire::nanoseconds(snapshot.started),
            time_unix_nano: wire::nanoseconds(snapshot.at),
            count: histogram.counts.iter().sum(),
            sum: Some(histogram.sum),
            bucket_counts: histogram.counts.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            ..HistogramDataPoint::default()
        }
    };
    Histogram {
        data_points: several.iter().map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    }
}

fn data(family: &FamilySnapshot, series: &[(Vec<String>, f64)], snapshot: &Snapshot) -> Data {
    let counts = family.kind() == Kind::Counter;
    // Of what counts since the host started, the start is not known here, which 0 says.
    let since = if counts && !family.since_boot() { wire::nanoseconds(snapshot.started) } else { 0 };
    let point = |(values, value): &(Vec<String>, f64)| {
        let labels = family.labels().iter().zip(values).filter(|(_, value)| !value.is_empty());
        NumberDataPoint {
            attributes: labels.map(|(name, value)| wire::text(name, value)).collect(),
            start_time_unix_nano: since,
            time_unix_nano: wire::nanoseconds(snapshot.at),
            value: Some(Value::AsDouble(*value)),
            ..NumberDataPoint::default()
        }
    };
    let data_points = series.iter().map(point).collect();
    match family.kind() {
        Kind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        Kind::Gauge | Kind::Histogram => Data::Gauge(Gauge { data_points }),
    }
}
