//! What becomes of points: what they grew, errors, the longest, and what is refused.

use super::*;
use crate::{
    ingest::{Outcome, try_desk},
    model::time::Timestamp,
};

/// What becomes of this one metric, and what it costs.
fn outcome(metric: &serde_json::Value) -> (Outcome, usize) {
    let body = serde_json::json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] });
    let body = body.to_string();
    let metrics = Metrics::read(body.as_bytes(), Encoding::Json).unwrap();
    let mut outcome = Outcome::default();
    try_desk(&mut |desk| {
        metrics.take(desk);
        outcome = std::mem::take(&mut desk.outcome);
    });
    (outcome, metrics.cost())
}

fn histogram(temporality: i32, points: &[serde_json::Value]) -> serde_json::Value {
    let histogram = serde_json::json!({ "dataPoints": points, "aggregationTemporality": temporality });
    serde_json::json!({ "name": "http.server.request.duration", "histogram": histogram })
}

/// A point of so many requests of less than a tenth of a second.
fn requests(count: u64, key: &str, value: serde_json::Value) -> serde_json::Value {
    let now = Timestamp::now().as_nanosecond().to_string();
    let mut point = serde_json::json!({ "startTimeUnixNano": now, "timeUnixNano": now,
        "bucketCounts": [count, 0], "explicitBounds": [0.1], "sum": 0.2 });
    point[key] = value;
    point
}

fn sum_of(outcome: &Outcome) -> Sum {
    let rows = outcome.sums.iter().flat_map(|sums| sums.rows.values());
    rows.fold(Sum::default(), |mut all, sum| {
        all.merge(sum);
        all
    })
}

#[test]
fn errors_are_those_of_spans() {
    let attribute = |key: &str, value: serde_json::Value| serde_json::json!([{ "key": key, "value": value }]);
    let status = |status: u16| {
        attribute("http.response.status_code", serde_json::json!({ "intValue": status.to_string() }))
    };
    let kind = attribute("error.type", serde_json::json!({ "stringValue": "timeout" }));
    for (attributes, server, client) in
        [(status(200), 0, 0), (status(404), 0, 3), (status(500), 3, 3), (kind, 3, 3)]
    {
        let mut metric = histogram(DELTA, &[requests(3, "attributes", attributes)]);
        assert_eq!(sum_of(&outcome(&metric).0).errors, server, "{metric}");
        metric["name"] = "http.client.request.duration".into();
        assert_eq!(sum_of(&outcome(&metric).0).errors, client, "{metric}");
    }
}

#[test]
fn the_longest_of_a_cumulative_series_is_not_that_of_an_interval() {
    let told = outcome(&histogram(DELTA, &[requests(3, "max", 0.07.into())]));
    assert_eq!(sum_of(&told.0).max_ns, 70_000_000);
    let mut points = [requests(1, "max", 60.0.into()), requests(3, "max", 60.0.into())];
    points[1]["startTimeUnixNano"] = points[0]["startTimeUnixNano"].clone();
    let sum = sum_of(&outcome(&histogram(CUMULATIVE, &points)).0);
    assert_eq!((sum.count, sum.max_ns), (2, 100_000_000), "where the bucket ends");
}

#[test]
fn each_point_counts_and_those_beyond_the_bound_are_refused() {
    let points = vec![requests(1, "max", 0.05.into()); 60];
    let (told, cost) = outcome(&histogram(DELTA, &points));
    assert_eq!((told.accepted, told.refused, cost), (60, 0, 60));
    // As small as they can be, so that they fit into one record; then each is refused for what it lacks.
    let empty = vec![serde_json::json!({}); limits::MAX_RECORDS + 7];
    let (told, cost) = outcome(&histogram(DELTA, &empty));
    assert_eq!((told.accepted, told.refused, cost), (0, 1007, limits::MAX_RECORDS));
    let mut small = empty;
    small.truncate(3);
    let gauge = serde_json::json!({ "name": "x", "gauge": { "dataPoints": small } });
    let (told, cost) = outcome(&gauge);
    assert_eq!((told.accepted, told.refused, cost), (0, 3, 1));
}

#[test]
fn who_does_not_say_how_points_follow_one_another_is_refused() {
    for unsaid in [0, 3, -1] {
        let told = outcome(&histogram(unsaid, &[requests(3, "max", 0.05.into()), serde_json::json!({})])).0;
        assert_eq!((told.accepted, told.refused, told.sums.len()), (0, 2, 0));
    }
}

#[test]
fn a_cumulative_series_is_taken_as_what_it_grew() {
    let point = |start, counts: &[u64], sum| Point {
        start_time_unix_nano: start,
        bucket_counts: counts.to_vec(),
        sum: Some(sum),
        ..Point::default()
    };
    let known = Cumulative::default();
    assert_eq!(known.grown(1, &point(5, &[1, 2], 3.0)), None);
    assert_eq!(known.grown(1, &point(5, &[1, 5], 4.5)), Some((vec![0, 3], 1.5)));
    assert_eq!(known.grown(1, &point(9, &[9, 9], 9.0)), None, "begun anew");
    assert_eq!(known.grown(2, &point(5, &[1, 5], 4.5)), None, "another series");
}

#[test]
fn buckets_are_told_as_their_middles() {
    let sum = add_up(&[2, 0, 1], &[0.1, 0.5], 0.9, 1e9, None);
    assert_eq!((sum.count, sum.total_ns, sum.max_ns), (3, 900_000_000, 500_000_000));
    let p50 = sum.durations.quantile(0.5, u64::MAX).unwrap();
    assert!(p50.abs_diff(50_000_000) < 2_000_000, "{p50}");
}

#[test]
fn points_that_make_no_sense_are_refused() {
    let point = |counts: &[u64], bounds: &[f64], sum| Point {
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        sum: Some(sum),
        ..Point::default()
    };
    assert!(check(&point(&[1, 2], &[1.0], 1.0)).is_ok());
    for wrong in [
        point(&[1], &[1.0], 1.0),
        point(&[1, 2], &[f64::NAN], 1.0),
        point(&[1, 2, 3], &[2.0, 1.0], 1.0),
        point(&[1, 2], &[1.0], f64::NAN),
        point(&[1, 2], &[1.0], -1.0),
        point(&[0; 600], &[0.0; 599], 1.0),
    ] {
        assert!(check(&wrong).is_err(), "{wrong:?}");
    }
}
