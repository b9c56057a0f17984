//! Histograms of durations as sums of operations: those of the well-known names below. All other metrics are refused, and
//! the answer says so: agentperf is no store for arbitrary metrics.
//!
//! A sender's buckets are coarser than ours: all of a bucket is told as its middle. Cumulative points are taken as what
//! they grew since the one before; the first of a series, and one that begins anew, only says where it stands.
//!
//! A project pays for each point. Of one request [`limits::MAX_RECORDS`] points are taken; the rest is refused and counted.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use rustc_hash::FxHasher;

use super::{
    attributes::Attributes,
    envelope::{self, Encoding, FromResource},
    messages::{Histogram, Metric, Point, Resource},
    spans::instant,
};
use crate::{
    ingest::{Desk, IngestError, limits, names::Field},
    model::{
        operation::{Durations, Source, Sum, SumKey, Sums},
        route,
    },
};

/// Metrics that are kept, the kind of their operations, and nanoseconds of their unit.
const KEPT: [(&str, &str, f64); 7] = [
    ("http.server.request.duration", "http_server", 1e9),
    ("http.client.request.duration", "http_client", 1e9),
    ("http.server.duration", "http_server", 1e6),
    ("http.client.duration", "http_client", 1e6),
    ("db.client.operation.duration", "db", 1e9),
    ("gen_ai.client.operation.duration", "llm", 1e9),
    ("rpc.server.duration", "rpc_server", 1e6),
];

/// Series of cumulative points that are remembered; of those that were not heard of for longest, the next point only
/// says where they stand.
const SERIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Buckets of one point.
const MAX_BUCKETS: usize = 512;

/// How points follow one another, by the numbers; 0 is for who does not say.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// Where cumulative series stand.
#[derive(Debug)]
pub(in crate::ingest) struct Cumulative(Mutex<LruCache<u64, Standing>>);

impl Default for Cumulative {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(SERIES)))
    }
}

/// Where one series stands.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    start: u64,
    sum: f64,
    counts: Vec<u64>,
}

/// The metrics of a body.
#[derive(Debug)]
pub struct Metrics<'a>(Vec<FromResource<'a>>);

impl<'a> Metrics<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no such request, or too large.
    pub fn read(body: &'a [u8], encoding: Encoding) -> Result<Self, IngestError> {
        envelope::open(body, encoding).map(Self)
    }

    /// What the request costs: each point that could be taken, and one for each other metric; never more than a request
    /// may hold.
    #[must_use]
    pub fn cost(&self) -> usize {
        let items = self.0.iter().flat_map(|from| &from.items);
        let of_metric = |metric: Metric| match kept(&metric) {
            Some((.., histogram)) => histogram.data_points.len().max(1),
            None => 1,
        };
        let costs = items.map(|item| item.read().map_or(1, of_metric));
        costs.fold(0, usize::saturating_add).min(limits::MAX_RECORDS)
    }

    /// Brings every metric to the desk.
    pub fn take(&self, desk: &mut Desk<'_>) {
        let mut room = limits::MAX_RECORDS;
        let mut index = 0;
        for FromResource { resource, items } in &self.0 {
            for item in items {
                match item.read::<Metric>() {
                    Ok(metric) => desk.take_metric(index, &metric, resource, &mut room),
                    Err(reason) => desk.refuse(index, reason),
                }
                index += 1;
            }
        }
    }
}

/// Kind, unit and points of a metric that is kept.
fn kept(metric: &Metric) -> Option<(&'static str, f64, &Histogram)> {
    let (_, kind, unit) = KEPT.iter().find(|(name, ..)| *name == metric.name)?;
    Some((kind, *unit, metric.histogram.as_ref()?))
}

impl Desk<'_> {
    /// Takes a metric's points, as far as the request has `room` for them.
    fn take_metric(&mut self, index: usize, metric: &Metric, resource: &Resource, room: &mut usize) {
        let Some((kind, unit, histogram)) = kept(metric) else {
            let points = metric.points().max(1) as u64;
            let reason = "is no histogram of durations of a name that is kept".to_owned();
            return self.refuse_all(index, points, reason);
        };
        let taken = histogram.data_points.len().min(*room);
        let beyond = histogram.data_points.len() - taken;
        *room -= taken;
        let cumulative = match histogram.aggregation_temporality {
            CUMULATIVE => true,
            DELTA => false,
            _ => {
                let points = histogram.data_points.len().max(1) as u64;
                let reason = "does not say whether its points are deltas or cumulative".to_owned();
                return self.refuse_all(index, points, reason);
            }
        };
        for point in histogram.data_points.iter().take(taken) {
            match self.sums(point, (&metric.name, kind, unit), resource, cumulative) {
                Ok(sums) => {
                    self.outcome.accepted += 1;
                    self.outcome.sums.extend(sums);
                }
                Err(reason) => self.refuse(index, reason),
            }
        }
        if beyond > 0 {
            let most = limits::MAX_RECORDS;
            let reason = format!("has points beyond the {most} that are taken of one request");
            self.refuse_all(index, beyond as u64, reason);
        }
    }

    /// A point as sums; `None` if it only says where a series stands.
    fn sums(
        &self,
        point: &Point,
        (metric, kind, unit): (&str, &str, f64),
        resource: &Resource,
        cumulative: bool,
    ) -> Result<Option<Sums>, String> {
        check(point)?;
        let end = limits::start(instant(point.time_unix_nano)?, self.now)?;
        let start = instant(point.start_time_unix_nano.min(point.time_unix_nano))?;
        let mut counts = point.bucket_counts.clone();
        let mut total = point.sum.unwrap_or(0.0);
        // The longest since a series began is not the longest of what it grew by.
        let longest = point.max.filter(|_| !cumulative);
        let mut begin = start;
        if cumulative {
            let series = self.series(metric, point, resource);
            let Some(grown) = self.ingest().cumulative.grown(series, point) else { return Ok(None) };
            (counts, total) = grown;
            // Since when it grew is not known better than that: a minute at most, as points are sent more often.
            let minute = end.checked_sub(std::time::Duration::from_secs(60)).unwrap_or(start);
            begin = start.max(minute);
        }
        let begin = limits::start(begin, self.now)?;
        let mut sum = add_up(&counts, &point.explicit_bounds, total, unit, longest);
        if sum.count == 0 {
            return Ok(None);
        }
        sum.errors = if failed(kind, point) { sum.count } else { 0 };
        let mut sums = Sums::new(begin, end.max(begin));
        sums.rows = BTreeMap::from([(self.key(kind, point, resource), sum)]);
        Ok(Some(sums))
    }

    /// Whose series it is, as a number.
    fn series(&self, metric: &str, point: &Point, resource: &Resource) -> u64 {
        let mut hasher = FxHasher::default();
        (self.project_name(), metric).hash(&mut hasher);
        for (key, value) in
            Attributes(&resource.attributes).labels().chain(Attributes(&point.attributes).labels())
        {
            (key, value).hash(&mut hasher);
        }
        self.sender(None).map(|sender| sender.process).hash(&mut hasher);
        hasher.finish()
    }

    fn key(&self, kind: &str, point: &Point, resource: &Resource) -> SumKey {
        let attributes = Attributes(&point.attributes);
        let text = |names: &[&str]| attributes.text(names);
        let template = text(&["http.route"]).map(|template| route::without_query(template).to_owned());
        let called = text(&[
            "db.operation.name",
            "gen_ai.operation.name",
            "rpc.method",
            "server.address",
            "net.peer.name",
        ]);
        let name = template.or_else(|| called.map(route::name_of)).unwrap_or_else(|| "unknown".to_owned());
        let mut name = limits::text("name", &name, limits::MAX_NAME).unwrap_or_else(|_| "other".to_owned());
        self.bound(Field::Name, &mut name);
        let model =
            text(&["gen_ai.request.model"]).and_then(|m| limits::text("model", m, limits::MAX_VALUE).ok());
        let model = model.map(|mut model| {
            self.bound(Field::Model, &mut model);
            model
        });
        let claimed =
            Attributes(&resource.attributes).number(&["process.pid"]).map(|p| u32::try_from(p).unwrap_or(0));
        SumKey {
            project: self.project().name(),
            source: Source::OtlpMetrics,
            kind: kind.to_owned(),
            name,
            model,
            agent: self.sender(claimed).map(|sender| sender.agent.clone()),
        }
    }
}

/// Whether the point is of operations that failed, by the bounds that hold for spans.
fn failed(kind: &str, point: &Point) -> bool {
    let attributes = Attributes(&point.attributes);
    let status = attributes.number(&["http.response.status_code", "http.status_code"]);
    let least_error = if kind.ends_with("_server") { 500 } else { 400 };
    attributes.text(&["error.type"]).is_some() || status.is_some_and(|status| status >= least_error)
}

fn check(point: &Point) -> Result<(), String> {
    let (buckets, bounds) = (point.bucket_counts.len(), point.explicit_bounds.len());
    if buckets > MAX_BUCKETS || buckets != bounds + 1 {
        return Err(format!("has buckets that do not fit its bounds, or more than {MAX_BUCKETS}"));
    }
    if point.explicit_bounds.iter().any(|b| !b.is_finite()) || !point.explicit_bounds.is_sorted() {
        return Err("has bounds that are no numbers in order".to_owned());
    }
    if point.sum.is_some_and(|sum| !sum.is_finite() || sum < 0.0) {
        return Err("has a sum that is negative or no number".to_owned());
    }
    Ok(())
}

impl Cumulative {
    /// What a series grew since its last point.
    fn grown(&self, series: u64, point: &Point) -> Option<(Vec<u64>, f64)> {
        let sum = point.sum.unwrap_or(0.0);
        let now = Standing { start: point.start_time_unix_nano, sum, counts: point.bucket_counts.clone() };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.put(series, now)?;
        let goes_on =
            before.start == point.start_time_unix_nano && before.counts.len() == point.bucket_counts.len();
        let pairs = point.bucket_counts.iter().zip(&before.counts);
        let counts: Option<Vec<u64>> = pairs.map(|(now, before)| now.checked_sub(*before)).collect();
        counts.filter(|_| goes_on).map(|counts| (counts, (sum - before.sum).max(0.0)))
    }
}

fn add_up(counts: &[u64], bounds: &[f64], total: f64, unit: f64, max: Option<f64>) -> Sum {
    let mut durations = Durations::default();
    let mut longest = 0;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let low = index.checked_sub(1).and_then(|i| bounds.get(i)).copied().unwrap_or(0.0).max(0.0);
        // Of the last bucket only the beginning is known.
        let high = bounds.get(index).copied().unwrap_or(low);
        let ns = ((low + high) / 2.0 * unit).max(0.0) as u64;
        durations.add_many(ns, *count);
        longest = (high.max(low) * unit) as u64;
    }
    let told = max.filter(|max| max.is_finite() && *max >= 0.0).map(|max| (max * unit) as u64);
    Sum {
        count: durations.count(),
        total_ns: (total * unit) as u64,
        max_ns: told.unwrap_or(longest),
        durations,
        ..Sum::default()
    }
}

#[cfg(test)]
mod tests;
