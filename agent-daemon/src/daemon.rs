//! Composition: the only file that sees every stage. Makes the channels, starts the stages in the order data
//! flows, and stops them in the same order, so that each empties what the one before left.

mod alerts;
mod contents;
mod service;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use crate::{collect::probe_gpus, kernel::features::probe as probe_kernel};

use self::{
    alerts::{open_alerts, recover},
    contents::open_contents,
    service::{feed_watchdog, notify, notify_reloading},
};
use crate::{
    aggregate::{Aggregator, Channels},
    alert::{
        live::{Alerts, LoadError, Wake},
        reaction::ReactionThread,
    },
    api::{self, BindError},
    collect::{AttacherThread, Collector, HostCollector, Order, system_info},
    config::{self, Config, History},
    ending,
    enrich::{Resolver, ResolverThreads},
    export::{DoorError, Doors, Sending},
    ingest::Ingest,
    kernel::{KernelError, UnwindMaps},
    model::{
        agent::{Agent, AgentEnd},
        control::Control,
        observation::Observation,
        record::Record,
    },
    store::{self, Disk, Limits, Memory, Options, Store, StoreError, writer},
    telemetry::{HostInfo, Telemetry},
    unwind::{Interpreters, Unwinder},
};

/// Observations that may wait for the aggregator.
const OBSERVATIONS: usize = 4096;
/// Orders that may wait for the collector.
const ORDERS: usize = 64;
/// Records that may wait for the store.
const RECORDS: usize = 4096;

/// How long stopping waits for the host's thread, and for the resolver's, which by then have nothing more to do.
const THREADS_PATIENCE: Duration = Duration::from_secs(2);
/// How long stopping waits until nobody is limited or paused any more.
const TAKE_BACK_PATIENCE: Duration = Duration::from_secs(15);

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kernel side cannot work.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A door out cannot be opened.
    #[error(transparent)]
    Export(#[from] DoorError),
    /// The files of alert rules or routes are wrong.
    #[error("alerts: {0}")]
    Alerts(#[from] LoadError),
    /// A thread, a signal handler or the event ring could not be had.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
    /// A stage ended by itself. A bug; the log says more.
    #[error("the {0} stopped unexpectedly; see the log")]
    Stage(&'static str),
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |error| DaemonError::Io { what, error }
}

/// Runs the daemon until `stop` turns true. `ready` is told the address once everything works. SIGHUP reads
/// `config_path` again and applies its agent rules, and the files that its alerts name.
///
/// # Errors
/// Why the daemon cannot run, or stopped.
pub async fn run(
    config: Config,
    config_path: Option<PathBuf>,
    ready: oneshot::Sender<SocketAddr>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), DaemonError> {
    let telemetry = Arc::new(Telemetry::default());
    recover(&config, &telemetry);
    // Then what fails most often and costs least.
    let listener = api::bind(config.listen).await?;
    let listen = listener.local_addr().map_err(io_error("asking for the listening address"))?;
    let (observed, observations) = mpsc::channel(OBSERVATIONS);
    let ((orders, ordered), (records, recorded)) = (mpsc::channel(ORDERS), mpsc::channel(RECORDS));
    let (store, let_go) = open_store(&config, &telemetry)?;
    let ((control, commands), (serving, is_serving)) = (Control::channel(), watch::channel(false));
    let host = HostInfo::read();
    let doors = Doors::open(&config, &host, &telemetry, let_go)?;
    let (wake, parts) = (Arc::new(Wake::default()), (&store, &doors, &telemetry));
    let (alerts, rounds, reactions) = open_alerts(&config, (listen, &host), parts, &wake)?;
    let (kept, told, shown) = (Arc::clone(&store), Arc::clone(&telemetry), doors.metrics());
    let ingest = open_ingest(&config, &records, &telemetry)?;
    let state = api::State::new(kept, control, told, host, shown, is_serving, listen);
    let state = state.with_ingest(ingest).with_system(system_info()).with_alerts(alerts.clone());
    let contents = open_contents(&config, &store, &telemetry);
    let state = state.with_contents(Arc::clone(&contents));
    let (hang_up, hung_up) = watch::channel(false);
    // Before the slow part: whoever asks meanwhile is told that it is not ready. Commands wait.
    let server = tokio::spawn(api::serve(listener, api::router(state), hung_up));
    let interpreters = Arc::new(Interpreters::default());
    let shared = (Arc::clone(&interpreters), Arc::clone(&telemetry));
    let (mut collector, parts) = start_collector(&config, shared, ordered, observed).await?;
    let mut followers = doors.followers();
    followers.push(wake);
    let writer = writer::spawn(Arc::clone(&store), recorded, followers);
    let sending = doors.start(&store);
    let host = HostCollector::spawn(config.window, &config.gpu, &records, Arc::clone(&telemetry))
        .map_err(io_error("starting the host's collector"))?;
    let (resolver, threads) = start_resolver(parts, interpreters, &telemetry, &config.kernel)
        .map_err(io_error("starting the symbol resolver"))?;
    let (rule_changes, changed) = watch::channel(config.agents.clone());
    let (open_for_host, told) = (records.clone(), stop.clone());
    let channels = Channels { observations, orders, commands, records, rules: changed, stop: told };
    let aggregator = Aggregator::new(&config, resolver, &channels, contents, telemetry);
    let mut aggregator = tokio::spawn(aggregator.run(channels));
    let reloader = tokio::spawn(reload_on_hangup(config, config_path, rule_changes, alerts));
    let mut rounds = rounds.map(|rounds| tokio::spawn(rounds.run(stop.clone())));
    let watchdog = tokio::spawn(feed_watchdog());
    announce(listen, &serving, ready);

    let outcome = until_end(&mut stop, &mut collector, &mut aggregator, end_of(&mut rounds)).await;
    stop_serving(&serving, &[reloader, watchdog]);
    take_back(reactions).await;
    if outcome.is_ok() {
        joined("host-end", move || drop((host.finish(), open_for_host))).await;
        finish([aggregator, collector, writer], sending, rounds, threads).await;
    }
    let _ = hang_up.send(true);
    let _ = server.await;
    outcome
}

/// Opens the doors in.
fn open_ingest(
    config: &Config,
    records: &mpsc::Sender<Record>,
    telemetry: &Arc<Telemetry>,
) -> Result<Arc<Ingest>, DaemonError> {
    let secret = store::secret(config.history.directory.as_deref())?;
    Ok(Arc::new(Ingest::new(&config.projects, records, &secret, Arc::clone(telemetry))))
}

/// Tells everybody that the daemon works.
fn announce(listen: SocketAddr, serving: &watch::Sender<bool>, ready: oneshot::Sender<SocketAddr>) {
    let _ = serving.send(true);
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&format!("http://{listen}"))]);
    tracing::info!("listening on http://{listen}");
    let _ = ready.send(listen);
}

/// Tells everybody that the daemon stops.
fn stop_serving(serving: &watch::Sender<bool>, tasks: &[JoinHandle<()>]) {
    notify(&[sd_notify::NotifyState::Stopping]);
    let _ = serving.send(false);
    tasks.iter().for_each(JoinHandle::abort);
}

/// Waits until told to stop, or until a stage ends by itself, which none should.
async fn until_end(
    stop: &mut watch::Receiver<bool>,
    collector: impl Future,
    aggregator: impl Future,
    alerts: impl Future,
) -> Result<(), DaemonError> {
    let stage = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
        _ = collector => "collector",
        _ = aggregator => "aggregator",
        _ = alerts => "alerts",
    };
    // The stages hear of a stop by themselves, and may be done before it was looked for here.
    let stopped = *stop.borrow() || stop.has_changed().is_err();
    if stopped { Ok(()) } else { Err(DaemonError::Stage(stage)) }
}

/// The end of a stage; never, where there is none.
async fn end_of(stage: &mut Option<JoinHandle<()>>) {
    match stage {
        Some(stage) => drop(stage.await),
        None => std::future::pending().await,
    }
}

/// Takes back what alerts did to agents: before all that may take long, and also where a stage has failed, so that nobody
/// stays limited or paused.
async fn take_back(reactions: Option<ReactionThread>) {
    let Some(reactions) = reactions else { return };
    if !ending::is_in_time(TAKE_BACK_PATIENCE, "reactions-end", move || reactions.finish()).await {
        tracing::error!("what alerts did to agents is not all taken back: the next start goes on with it");
    }
}

/// Waits for the stages in the order of the flow: the aggregator lets every agent go and hangs up on the collector, the
/// resolver and the writer.
async fn finish(
    stages: [JoinHandle<()>; 3],
    sending: Sending,
    rounds: Option<JoinHandle<()>>,
    threads: ResolverThreads,
) {
    for stage in stages {
        finished(stage).await;
    }
    sending.stop().await;
    if let Some(rounds) = rounds {
        finished(rounds).await;
    }
    joined("symbol-end", || threads.join()).await;
}

/// Waits for a stage, unless its end has been seen.
async fn finished(stage: JoinHandle<()>) {
    if !stage.is_finished() {
        let _ = stage.await;
    }
}

/// Waits for threads that may be in the middle of a large file, or hang on a file system that does not answer; not for ever.
async fn joined(name: &'static str, end: impl FnOnce() + Send + 'static) {
    if !ending::is_in_time(THREADS_PATIENCE, name, end).await {
        tracing::warn!("{name}: a file is large, or its file system does not answer: stopping without it");
    }
}

/// Opens the store that is configured. No agent is watched yet: those that an earlier daemon did not let go were
/// watched until it ended, and are told.
fn open_store(
    config: &Config,
    telemetry: &Arc<Telemetry>,
) -> Result<(Arc<dyn Store>, Vec<Agent>), DaemonError> {
    let History { directory, keep, max_rows, .. } = &config.history;
    let Some(directory) = directory else {
        let (keep, max_rows) = (*keep, *max_rows);
        let limits =
            Limits { keep, max_rows, max_processes: config.agents.max_processes, ..Limits::default() };
        return Ok((Arc::new(Memory::new(limits, Arc::clone(telemetry))), Vec::new()));
    };
    let disk = Disk::open(directory, Options::from(config), Arc::clone(telemetry))?;
    let let_go = disk.close_watches(AgentEnd::Interrupted)?;
    Ok((Arc::new(disk), let_go))
}

/// Starts the threads that name stacks, and the one that makes the walker's tables of what they open.
fn start_resolver(
    (maps, attacher): KernelParts,
    interpreters: Arc<Interpreters>,
    telemetry: &Arc<Telemetry>,
    config: &config::Kernel,
) -> io::Result<(Resolver, ResolverThreads)> {
    let unwinder = maps
        .map(|maps| Unwinder::spawn(maps, Arc::clone(&interpreters), Arc::clone(telemetry), config))
        .transpose()?;
    let (unwinder, unwinding) = unwinder.unzip();
    let (attacher, attaching) = attacher.unzip();
    let (resolver, threads) = Resolver::spawn(unwinder, attacher, interpreters, Arc::clone(telemetry))?;
    Ok((resolver, [unwinding, attaching].into_iter().flatten().fold(threads, ResolverThreads::and)))
}

/// What the collector hands to those who work on the kernel's maps and programs beside it.
type KernelParts = (Option<UnwindMaps>, Option<AttacherThread>);

/// Starts the collector's thread, which owns the kernel side. The handle ends when the collector does.
async fn start_collector(
    config: &Config,
    (interpreters, telemetry): (Arc<Interpreters>, Arc<Telemetry>),
    orders: mpsc::Receiver<Order>,
    observations: mpsc::Sender<Observation>,
) -> Result<(JoinHandle<()>, KernelParts), DaemonError> {
    let (started, starting) = oneshot::channel();
    let (ended, ending) = oneshot::channel();
    let config = config.clone();
    std::thread::Builder::new()
        .name("collector".to_owned())
        .spawn(move || {
            let mut collector = match Collector::new(&config, interpreters, telemetry) {
                Ok(collector) => collector,
                Err(error) => return drop(started.send(Err(error))),
            };
            let _ = started.send(Ok((collector.take_unwind_maps(), collector.take_attacher())));
            if let Err(error) = collect(collector, config.window, orders, observations) {
                tracing::error!(%error, "the collector failed");
            }
            let _ = ended.send(());
        })
        .map_err(io_error("starting the collector's thread"))?;
    let parts = starting.await.map_err(|_| DaemonError::Stage("collector"))??;
    let collector = tokio::spawn(async move {
        // An error means that the thread panicked: it has ended all the same.
        let _ = ending.await;
    });
    Ok((collector, parts))
}

fn collect(
    collector: Collector,
    window: Duration,
    orders: mpsc::Receiver<Order>,
    observations: mpsc::Sender<Observation>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(collector.run(window, orders, observations))?;
    Ok(())
}

/// Reads the configuration again at each SIGHUP. What a reload cannot change needs a restart, and is said.
async fn reload_on_hangup(
    mut config: Config,
    path: Option<PathBuf>,
    rules: watch::Sender<config::Agents>,
    alerts: Alerts,
) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be handled: the configuration is read only at the start");
        return;
    };
    while hangups.recv().await.is_some() {
        notify_reloading();
        match config.reload(path.as_deref()) {
            Ok(new) => {
                tracing::info!("configuration reloaded");
                rules.send_replace(new.agents.clone());
                alerts.reload(new.alerts.clone()).await;
                if !config.same_but_rules(&new) {
                    tracing::warn!("only agent rules and alerts are reloaded; other changes need a restart");
                }
                config.agents.take_rules(&new.agents);
                config.alerts = new.alerts.reloaded(&config.alerts);
            }
            Err(error) => tracing::error!(%error, "the configuration is as it was: the new one is refused"),
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        task::Poll,
    };

    use super::{DaemonError, until_end, watch};

    #[tokio::test]
    async fn a_stage_that_was_told_to_stop_has_not_failed() {
        let (stop, mut stopped) = watch::channel(false);
        // Ends between the look at `stop` and the look at the stage.
        let aggregator = poll_fn(|_| {
            stop.send_replace(true);
            Poll::Ready(())
        });
        assert!(until_end(&mut stopped, pending::<()>(), aggregator, pending::<()>()).await.is_ok());
    }

    #[tokio::test]
    async fn a_stage_that_ends_by_itself_has_failed() {
        let (_stop, mut stopped) = watch::channel(false);
        let never = pending::<()>;
        let outcome = until_end(&mut stopped, async {}, never(), never()).await;
        assert!(matches!(outcome, Err(DaemonError::Stage("collector"))));
        let outcome = until_end(&mut stopped, never(), never(), async {}).await;
        assert!(matches!(outcome, Err(DaemonError::Stage("alerts"))));
    }
}
