//! OTLP, OpenTelemetry's protocol, over gRPC and over HTTP: the metrics of `/metrics`, agents and processes as spans,
//! events as logs, and, where asked for, profiles.
//!
//! Metrics are sent at an interval; a snapshot that cannot be sent before the next one is dropped, which costs
//! resolution and no sums. Spans and events are made where the store's writer passes records by, and wait in bounded
//! queues: what finds no room, or is refused, is dropped and counted. Nothing here is kept over a restart; what must
//! survive goes by remote write.

mod channel;
mod events;
mod ids;
mod metrics;
mod profiles;
mod queue;
mod spans;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{Duration, Instant, MissedTickBehavior, interval, sleep},
};

use self::{channel::Channel, events::Events, queue::Queue, spans::Tracks};
use super::{
    due::{KINDS, Schedule},
    prometheus::Metrics,
};
use crate::{
    config::{self, OtlpSignal},
    model::{record::Record, time::Timestamp},
    store::{Follower, Store},
    telemetry::{HostInfo, Telemetry},
    tls::TlsError,
};

/// Spans that may wait.
const MAX_SPANS: usize = 8192;
/// Events that may wait.
const MAX_EVENTS: usize = 2048;
/// Spans, or events, in one message.
const BATCH: usize = 512;
/// How long to wait for more before a batch is sent.
const GATHER: Duration = Duration::from_millis(500);
/// How often losses are looked at.
const LOSSES_EVERY: Duration = Duration::from_secs(10);

/// The way out by OTLP. Follows the store's writer.
#[derive(Debug)]
pub struct Otlp {
    interval: Duration,
    resource: Resource,
    snapshots: Arc<Metrics>,
    telemetry: Arc<Telemetry>,
    metrics: Option<Channel>,
    spans: Option<Signal<Tracks, Span>>,
    logs: Option<Signal<Events, LogRecord>>,
    profiles: Option<Channel>,
}

/// A signal that is made of records.
#[derive(Debug)]
struct Signal<S, T> {
    channel: Channel,
    state: Mutex<S>,
    queue: Queue<T>,
}

impl<S, T> Signal<S, T> {
    fn new(channel: Channel, state: S, max: usize) -> Self {
        let queue = Queue::new(max, channel.account.clone());
        Self { channel, state: Mutex::new(state), queue }
    }
}

impl Otlp {
    /// `None` where no receiver is configured.
    ///
    /// # Errors
    /// A CA file cannot be read.
    pub fn open(
        config: &config::Otlp,
        host: &HostInfo,
        snapshots: Arc<Metrics>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Option<Arc<Self>>, TlsError> {
        let channel = |signal| match config.target(signal) {
            Some(target) => Channel::open(signal, &target, telemetry),
            None => Ok(None),
        };
        let otlp = Self {
            interval: config.interval,
            resource: wire::resource(config, host),
            snapshots,
            telemetry: Arc::clone(telemetry),
            metrics: channel(OtlpSignal::Metrics)?,
            spans: channel(OtlpSignal::Traces)?.map(|channel| Signal::new(channel, Tracks::new(), MAX_SPANS)),
            logs: channel(OtlpSignal::Logs)?
                .map(|channel| Signal::new(channel, Events::default(), MAX_EVENTS)),
            profiles: channel(OtlpSignal::Profiles)?,
        };
        let any =
            otlp.metrics.is_some() || otlp.spans.is_some() || otlp.logs.is_some() || otlp.profiles.is_some();
        Ok(any.then(|| Arc::new(otlp)))
    }

    /// Sends until told to stop, and then what is left, for a moment.
    pub async fn run(self: Arc<Self>, store: Arc<dyn Store>, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self).send_metrics(stop.clone()));
        tasks.spawn(Arc::clone(&self).send_spans(stop.clone()));
        tasks.spawn(Arc::clone(&self).watch_losses(stop.clone()));
        tasks.spawn(Arc::clone(&self).send_logs(stop.clone()));
        tasks.spawn(self.send_profiles(store, stop));
        tasks.join_all().await;
    }

    async fn send_metrics(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(channel) = &self.metrics else { return };
        let mut beat = beat(self.interval);
        loop {
            let stopped = next(&mut beat, &mut stop).await;
            let deadline = Instant::now() + self.interval;
            let this = Arc::clone(&self);
            let made = spawn_blocking(move || {
                metrics::requests(&this.snapshots.snapshot(Timestamp::now()), &this.resource)
            });
            let Ok(requests) = made.await else { return };
            for (request, points) in requests {
                channel.deliver(&request, points, Some(deadline), &mut stop).await;
            }
            if stopped {
                return;
            }
        }
    }

    async fn send_spans(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(signal) = &self.spans else { return };
        while let Some(spans) = batch(&signal.queue, &mut stop).await {
            let items = spans.len() as u64;
            let scope_spans = vec![ScopeSpans { scope: Some(wire::scope()), spans, ..ScopeSpans::default() }];
            let resource = Some(self.resource.clone());
            let of_resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
            let request = ExportTraceServiceRequest { resource_spans: vec![of_resource] };
            signal.channel.deliver(&request, items, None, &mut stop).await;
        }
    }

    async fn send_logs(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(signal) = &self.logs else { return };
        while let Some(log_records) = batch(&signal.queue, &mut stop).await {
            let items = log_records.len() as u64;
            let scope_logs =
                vec![ScopeLogs { scope: Some(wire::scope()), log_records, ..ScopeLogs::default() }];
            let resource = Some(self.resource.clone());
            let of_resource = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
            let request = ExportLogsServiceRequest { resource_logs: vec![of_resource] };
            signal.channel.deliver(&request, items, None, &mut stop).await;
        }
    }

    async fn watch_losses(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(signal) = &self.logs else { return };
        let mut beat = beat(LOSSES_EVERY);
        while !next(&mut beat, &mut stop).await {
            let losses = self.telemetry.losses.all();
            let mut events = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
            signal.queue.extend(events.losses(losses, Timestamp::now()));
        }
    }

    async fn send_profiles(self: Arc<Self>, store: Arc<dyn Store>, mut stop: watch::Receiver<bool>) {
        let Some(channel) = &self.profiles else { return };
        let mut schedule = Schedule::new(store);
        let mut beat = beat(self.interval);
        loop {
            let stopped = next(&mut beat, &mut stop).await;
            match self.send_due(schedule, channel, &mut stop).await {
                Some(back) => schedule = back,
                None => return,
            }
            if stopped {
                return;
            }
        }
    }

    /// Sends each profile that is due, one after the other: only one is in memory. They are tried until the next are
    /// due, and not kept.
    async fn send_due(
        &self,
        mut schedule: Schedule,
        channel: &Channel,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Schedule> {
        let (deadline, now) = (Instant::now() + self.interval, Timestamp::now());
        for agent in schedule.agents(now) {
            for kind in 0..KINDS.len() {
                let (whose, resource) = (agent.clone(), self.resource.clone());
                let made = spawn_blocking(move || {
                    let due = schedule.due(&whose, kind, now).map(|(due, late)| {
                        (due.map(|due| (due.range, profiles::request(&due, &resource))), late)
                    });
                    (schedule, due)
                });
                let (back, due) = made.await.ok()?;
                schedule = back;
                let (due, late) = due.unwrap_or_else(|error| {
                    channel.account.failed(&format!("reading the store: {error}"));
                    (None, 0)
                });
                channel.account.dropped(late);
                if let Some((range, request)) = due {
                    channel.deliver(&request, 1, Some(deadline), stop).await;
                    schedule.sent(&agent, kind, range);
                }
            }
        }
        Some(schedule)
    }
}

impl Follower for Otlp {
    fn follow(&self, record: &Record) {
        if let Some(signal) = &self.spans {
            let ended = signal.state.lock().unwrap_or_else(PoisonError::into_inner).add(record);
            signal.queue.extend(ended);
        }
        if let Some(signal) = &self.logs {
            let event = signal.state.lock().unwrap_or_else(PoisonError::into_inner).add(record);
            signal.queue.extend(event);
        }
    }
}

fn beat(every: Duration) -> tokio::time::Interval {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    beat
}

/// Waits for the next beat; whether the daemon stops instead.
async fn next(beat: &mut tokio::time::Interval, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => true,
        _ = beat.tick() => false,
    }
}

/// The next batch; `None` once the daemon stops and nothing is left.
async fn batch<T>(queue: &Queue<T>, stop: &mut watch::Receiver<bool>) -> Option<Vec<T>> {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = async {
            queue.wait().await;
            sleep(GATHER).await;
        } => {}
    }
    Some(queue.take(BATCH)).filter(|batch| !batch.is_empty())
}
