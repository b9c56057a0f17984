//! A snapshot as OTLP metrics: counters as cumulative sums, histograms as such, the rest as gauges. Names are such that a collector that
//! hands them on to Prometheus gives them back the names of `docs/metrics.md`; those of OpenTelemetry's conventions are as these
//! have them, with dots.

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
        for several in family.histograms.chunks(POINTS / BOUNDS) {
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
        name: family.otlp_name(),
        description: family.help().to_owned(),
        unit: family.unit().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(family: &FamilySnapshot, several: &[prometheus::Histogram], snapshot: &Snapshot) -> Histogram {
    let point = |histogram: &prometheus::Histogram| {
        let labels = family.attributes().zip(&histogram.labels).filter(|(_, value)| !value.is_empty());
        HistogramDataPoint {
            attributes: labels.map(|(name, value)| wire::text(name, value)).collect(),
            start_time_unix_nano: wire::nanoseconds(snapshot.started),
            time_unix_nano: wire::nanoseconds(snapshot.at),
            count: histogram.counted.count(),
            sum: Some(histogram.counted.sum),
            bucket_counts: histogram.counted.counts.to_vec(),
            explicit_bounds: family.bounds().map(|bounds| bounds.to_vec()).unwrap_or_default(),
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
        let labels = family.attributes().zip(values).filter(|(_, value)| !value.is_empty());
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
        Kind::Gauge | Kind::Histogram(_) => Data::Gauge(Gauge { data_points }),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{
        config::Budget,
        export::prometheus::Metrics,
        model::{
            operation::Operation,
            record::{Arrived, Record},
            time::Timestamp,
        },
        store::{
            Follower as _,
            fixture::{agent_at, at, llm_call_at},
        },
        telemetry::HostInfo,
    };

    #[test]
    fn calls_of_models_have_the_names_of_the_conventions() {
        let metrics = Metrics::new(1000, std::sync::Arc::default(), HostInfo::read(), Budget::default());
        let agent = agent_at(Timestamp::now());
        let operations = vec![Operation { agent: Some(agent.id.clone()), ..llm_call_at(at(0), 7) }];
        metrics.follow(&Record::Agent(agent));
        metrics.follow(&Record::Operations(Box::new(Arrived { operations, sums: Vec::new(), place: None })));
        let sent = requests(&metrics.snapshot(Timestamp::now()), &Resource::default());
        let sent = sent.iter().map(|(request, _)| request.encode_to_vec());
        let told: Vec<Metric> = sent
            .map(|bytes| ExportMetricsServiceRequest::decode(&*bytes).unwrap())
            .flat_map(|request| request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics))
            .flat_map(|scope| scope.metrics)
            .collect();
        let named = |name: &str| told.iter().find(|metric| metric.name == name).unwrap();
        let points = |metric: &Metric| match &metric.data {
            Some(Data::Histogram(histogram)) => histogram.data_points.clone(),
            data => panic!("no histogram: {data:?}"),
        };
        let (duration, usage) =
            (named("gen_ai.client.operation.duration"), named("gen_ai.client.token.usage"));
        assert_eq!((&*duration.unit, &*usage.unit), ("s", "{token}"));
        let [one] = &points(duration)[..] else { panic!("one series: {duration:?}") };
        assert_eq!((one.count, one.explicit_bounds[0], one.bucket_counts[0]), (1, 0.01, 1));
        assert_eq!(one.bucket_counts.len(), one.explicit_bounds.len() + 1);
        for expected in [
            wire::text("gen_ai.operation.name", "chat"),
            wire::text("gen_ai.provider.name", "openai"),
            wire::text("gen_ai.request.model", "gpt"),
        ] {
            assert!(one.attributes.contains(&expected), "{expected:?} {one:?}");
        }
        assert!(one.attributes.iter().all(|attribute| attribute.key != "error.type"), "it went well");
        let usage = points(usage);
        assert_eq!((usage.len(), usage[0].explicit_bounds[1]), (2, 4.0), "of input and of output");
        assert!(usage[0].attributes.contains(&wire::text("gen_ai.token.type", "input")), "{usage:?}");
    }
}
