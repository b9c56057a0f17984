//! What has been counted of exchanges over HTTP that were read off the wire, by endpoint, as histograms. Endpoints are bounded by the room for series.

use super::{
    agent_totals::AgentTotals,
    families::Family,
    histogram::{self, Bounds, Counted, Histogram},
    series::{OTHER, seconds},
};
use crate::model::{
    http::{Endpoint, HttpStat},
    operation::Durations,
    wire::Role,
};

/// Up to which times exchanges are counted, s, as OpenTelemetry advises for HTTP.
pub(super) const BOUNDS: Bounds =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Exchanges with one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct HttpTotals {
    ns: u64,
    durations: Durations,
}

impl HttpTotals {
    pub(super) fn add(&mut self, row: &HttpStat) {
        self.ns = self.ns.saturating_add(row.total_ns);
        self.durations.merge(&row.durations);
    }
}

/// The histograms of one agent.
pub(super) fn of(family: Family, totals: &AgentTotals) -> Vec<Histogram> {
    let role = match family {
        Family::HttpClientDuration => Role::Client,
        Family::HttpServerDuration => Role::Server,
        _ => return Vec::new(),
    };
    let own = totals.labels();
    // Those without room are told with what agents asked for.
    let is_shown = |endpoint: &Option<Endpoint>| endpoint.as_ref().map_or(Role::Client, |e| e.role) == role;
    let shown = totals.http.iter().filter(|(endpoint, _)| is_shown(endpoint));
    shown.map(|(endpoint, total)| histogram(&own, endpoint.as_ref(), total)).collect()
}

fn histogram(own: &[String; 2], endpoint: Option<&Endpoint>, total: &HttpTotals) -> Histogram {
    let number = |number: Option<u16>| number.map(|number| number.to_string()).unwrap_or_default();
    let asked = match endpoint {
        None => std::array::from_fn(|_| OTHER.to_owned()),
        Some(endpoint) => [
            endpoint.server.as_deref().unwrap_or_default().to_owned(),
            number(endpoint.port),
            endpoint.method.unwrap_or_default().to_owned(),
            endpoint.route.as_deref().unwrap_or_default().to_owned(),
            number(endpoint.status),
        ],
    };
    let asked: [String; 5] = asked;
    let (mut counts, mut below) = ([0; histogram::BOUNDS + 1], 0);
    for (count, bound) in counts.iter_mut().zip(BOUNDS) {
        let up_to = total.durations.count_up_to((bound * 1e9) as u64);
        *count = up_to - std::mem::replace(&mut below, up_to);
    }
    if let Some(beyond) = counts.last_mut() {
        *beyond = total.durations.count() - below;
    }
    let counted = Counted { sum: seconds(total.ns), counts };
    Histogram { labels: [&own[..], &asked[..]].concat(), counted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Budget,
        export::prometheus::Metrics,
        model::{
            exposition::{Exposition as _, Samples as _, TextFormat},
            record::Record,
            time::Timestamp,
        },
        store::{
            Follower as _,
            fixture::{agent_at, exchanges, window_at},
        },
        telemetry::HostInfo,
    };

    fn counted(max_series: usize, routes: &[&str]) -> Metrics {
        let metrics =
            Metrics::new(max_series, std::sync::Arc::default(), HostInfo::read(), Budget::default());
        let now = Timestamp::now();
        let agent = agent_at(now);
        metrics.follow(&Record::Agent(agent.clone()));
        let mut window = window_at(&agent.id, now, 0);
        window.http = routes.iter().map(|route| exchanges(100, route, 4)).collect();
        metrics.follow(&Record::Window(window));
        metrics
    }

    #[test]
    fn exchanges_are_a_histogram_by_endpoint() {
        let metrics = counted(1000, &["/a"]);
        for format in [TextFormat::OpenMetrics, TextFormat::Prometheus] {
            let text = metrics.text(format);
            assert!(
                text.contains("# TYPE agentperf_http_client_request_duration_seconds histogram"),
                "{text}"
            );
            let named = "agentperf_http_client_request_duration_seconds_bucket{le=";
            let buckets: Vec<&str> = text.lines().filter(|line| line.starts_with(named)).collect();
            assert_eq!(buckets.len(), BOUNDS.len() + 1, "{text}");
            let labels = "server_address=\"api.test\",server_port=\"443\",http_request_method=\"GET\",\
                http_route=\"/a\",http_response_status_code=\"500\"";
            assert!(
                buckets[0].contains(labels)
                    && buckets[0].contains("{le=\"0.005\"")
                    && buckets[0].ends_with("} 5"),
                "{buckets:#?}"
            );
            assert!(buckets[BOUNDS.len()].contains("{le=\"+Inf\""), "{buckets:#?}");
            assert!(text.lines().any(|line| line.contains("_seconds_sum{") && line.ends_with(" 0.006")));
        }
        let (mut shown, mut names) = (0, Vec::new());
        let wanted = |name: &str| name == "agentperf_http_client_request_duration_seconds_bucket";
        metrics.samples(Timestamp::now(), &wanted, &mut |name, labels, _| {
            shown += usize::from(labels.iter().any(|(label, _)| *label == "le"));
            names.push(name.to_owned());
        });
        assert_eq!((shown, names.len()), (BOUNDS.len() + 1, BOUNDS.len() + 3), "{names:?}");
    }

    #[test]
    fn endpoints_beyond_the_room_are_one() {
        let routes: Vec<String> = (0..50).map(|n| format!("/{n}")).collect();
        let metrics = counted(160, &routes.iter().map(String::as_str).collect::<Vec<_>>());
        let text = metrics.text(TextFormat::OpenMetrics);
        let counts: Vec<&str> =
            text.lines().filter(|line| line.contains("request_duration_seconds_count{")).collect();
        assert_eq!(counts.len(), 11, "{counts:#?}");
        assert!(counts.iter().any(|line| line.contains("http_route=\"other\"") && line.ends_with(" 200")));
    }
}
