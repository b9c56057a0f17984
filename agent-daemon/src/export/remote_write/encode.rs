//! Snapshots as requests of remote write: series of at most [`SERIES`] in each, and a stale marker for each series that
//! is no more, so that a query does not see it for five minutes longer.

use prost::Message as _;
use rustc_hash::FxHashSet;

use super::messages::{Label, Sample, TimeSeries, WriteRequest};
use crate::export::{prometheus::Snapshot, spool::Message};

/// Series in one request: some hundred kilobytes before they are compressed.
const SERIES: usize = 2000;
/// The bits of the value that says that a series ended: a NaN of Prometheus's own.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Makes requests of snapshots.
#[derive(Debug)]
pub(super) struct Encoder {
    /// What tells this daemon's series from another host's.
    instance: String,
    /// The series of the snapshot before.
    before: FxHashSet<Vec<Label>>,
}

impl Encoder {
    pub(super) fn new(instance: String) -> Self {
        Self { instance, before: FxHashSet::default() }
    }

    /// The snapshot as requests, ready to be sent.
    pub(super) fn encode(&mut self, snapshot: &Snapshot) -> Vec<Message> {
        let timestamp = snapshot.at.as_millisecond();
        let one = |labels, value| TimeSeries { labels, samples: vec![Sample { value, timestamp }] };
        let mut all = Vec::with_capacity(snapshot.samples());
        let mut now = FxHashSet::default();
        for family in &snapshot.families {
            family.show(&mut |name, labels, value| {
                let labels = self.labels(name, labels);
                // Names that agents choose may make two series look the same: a receiver takes one value at a time.
                if now.insert(labels.clone()) {
                    all.push(one(labels, value));
                }
            });
        }
        let gone = self.before.iter().filter(|labels| !now.contains(*labels));
        all.extend(gone.map(|labels| one(labels.clone(), f64::from_bits(STALE))));
        self.before = now;
        all.chunks(SERIES).map(message).collect()
    }

    fn labels(&self, name: &str, labels: &[(&str, &str)]) -> Vec<Label> {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let own = labels.iter().map(|(name, value)| label(name, value));
        let ours = [label("__name__", name), label("instance", &self.instance), label("job", "agentperf")];
        let mut labels: Vec<Label> = own.chain(ours).filter(|label| !label.value.is_empty()).collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        labels
    }
}

fn message(series: &[TimeSeries]) -> Message {
    let items = u32::try_from(series.len()).unwrap_or(u32::MAX);
    let plain = WriteRequest { timeseries: series.to_vec() }.encode_to_vec();
    // It fails only for more than 4 GiB.
    let bytes = snap::raw::Encoder::new().compress_vec(&plain).unwrap_or_default();
    Message { items, bytes }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        config::Budget,
        export::prometheus::Metrics,
        model::{agent::AgentEnd, record::Record, time::Timestamp},
        store::{Follower as _, fixture::agent_at},
        telemetry::HostInfo,
    };

    fn decoded(messages: &[Message]) -> Vec<TimeSeries> {
        let request = |message: &Message| {
            let plain = snap::raw::Decoder::new().decompress_vec(&message.bytes).unwrap();
            let request = WriteRequest::decode(plain.as_slice()).unwrap();
            assert_eq!(request.timeseries.len(), message.items as usize);
            request.timeseries
        };
        messages.iter().flat_map(request).collect()
    }

    fn of<'a>(series: &'a [TimeSeries], name: &str) -> Vec<&'a TimeSeries> {
        let named =
            |series: &&TimeSeries| series.labels.iter().any(|l| l.name == "__name__" && l.value == name);
        series.iter().filter(named).collect()
    }

    #[test]
    fn labels_are_sorted_and_none_is_empty() {
        let metrics = Metrics::new(10, Arc::default(), HostInfo::read(), Budget::default());
        let now = Timestamp::now();
        metrics.follow(&Record::Agent(agent_at(now)));
        let series = decoded(&Encoder::new("here".to_owned()).encode(&metrics.snapshot(now)));
        for series in &series {
            assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{series:?}");
            assert!(series.labels.iter().all(|label| !label.value.is_empty()), "{series:?}");
            assert_eq!(series.samples[0].timestamp, now.as_millisecond());
        }
        let up = of(&series, "agentperf_agent_up");
        let label = |name| up[0].labels.iter().find(|l| l.name == name).unwrap().value.as_str();
        assert_eq!((label("instance"), label("job"), label("agent")), ("here", "agentperf", "worker"));
    }

    #[test]
    fn a_series_that_ends_is_marked_once() {
        let metrics = Metrics::new(10, Arc::default(), HostInfo::read(), Budget::default());
        let (now, mut encoder) = (Timestamp::now(), Encoder::new("here".to_owned()));
        let mut agent = agent_at(now);
        metrics.follow(&Record::Agent(agent.clone()));
        encoder.encode(&metrics.snapshot(now));
        agent.ended = Some((now, AgentEnd::Exited));
        metrics.follow(&Record::Agent(agent));
        let later = now + Duration::from_secs(3600);
        let series = decoded(&encoder.encode(&metrics.snapshot(later)));
        assert_eq!(of(&series, "agentperf_agent_up")[0].samples[0].value.to_bits(), STALE);
        let series = decoded(&encoder.encode(&metrics.snapshot(later)));
        assert!(of(&series, "agentperf_agent_up").is_empty());
    }
}
