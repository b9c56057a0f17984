//! What every handler can reach.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustc_hash::FxHashSet;
use tokio::{
    sync::{Mutex, Semaphore, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::error::Problem;
use crate::{
    alert::live::Alerts,
    config::Config,
    content::Contents,
    ingest::Ingest,
    model::{agent::Agent, control::Control, exposition::Exposition, host::SystemInfo, id::AgentId},
    store::Store,
    telemetry::{HostInfo, Telemetry},
};

/// Folds that may run at once: each may hold a copy of what it merges, so this bounds memory.
const FOLDS: usize = 4;
/// How long a look at processes may take, its turn included.
const LOOK: Duration = Duration::from_secs(5);
const NO_ANSWER: &str =
    "the processes cannot be looked at: one of them, or what its memory lies on, does not answer";

/// What the handlers work on; cheap to clone.
#[derive(Clone)]
pub struct State {
    /// What is known of the agents.
    pub store: Arc<dyn Store>,
    /// The way to the agents' owner.
    pub control: Control,
    /// Losses and probes.
    pub telemetry: Arc<Telemetry>,
    /// The host and the daemon.
    pub host: Arc<HostInfo>,
    /// What kind of host it is.
    pub system: Arc<SystemInfo>,
    /// Whether the daemon does its work by now.
    pub ready: watch::Receiver<bool>,
    /// The text that Prometheus scrapes.
    pub metrics: Arc<dyn Exposition>,
    /// The address that is listened on, which requests may name as their `Host`.
    pub listen: SocketAddr,
    /// What applications tell of operations to.
    pub ingest: Arc<Ingest>,
    /// What is wrong now, and who is told.
    pub alerts: Alerts,
    /// What is kept of what agents say.
    pub contents: Arc<Contents>,
    folds: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    /// The agents that are watched for one recording only.
    pub(super) loans: Arc<Mutex<FxHashSet<AgentId>>>,
}

impl State {
    /// The state of a daemon that listens on `listen` and is ready once `ready` holds true.
    pub fn new(
        store: Arc<dyn Store>,
        control: Control,
        telemetry: Arc<Telemetry>,
        host: HostInfo,
        metrics: Arc<dyn Exposition>,
        ready: watch::Receiver<bool>,
        listen: SocketAddr,
    ) -> Self {
        let (host, folds) = (Arc::new(host), Arc::new(Semaphore::new(FOLDS)));
        let looks = Arc::new(Semaphore::new(1));
        let (ingest, alerts) = (Arc::new(Ingest::closed()), Alerts::off());
        let (system, loans) = (Arc::default(), Arc::default());
        let contents = Arc::new(Contents::new(&Config::default(), Arc::clone(&telemetry)));
        Self {
            store,
            control,
            telemetry,
            host,
            system,
            metrics,
            ready,
            listen,
            ingest,
            alerts,
            contents,
            folds,
            looks,
            loans,
        }
    }

    /// The same on a host of this kind.
    #[must_use]
    pub fn with_system(self, system: SystemInfo) -> Self {
        Self { system: Arc::new(system), ..self }
    }

    /// The same with open doors for operations.
    #[must_use]
    pub fn with_ingest(self, ingest: Arc<Ingest>) -> Self {
        Self { ingest, ..self }
    }

    /// The same with alerts.
    #[must_use]
    pub fn with_alerts(self, alerts: Alerts) -> Self {
        Self { alerts, ..self }
    }

    /// The same with what is kept of what agents say.
    #[must_use]
    pub fn with_contents(self, contents: Arc<Contents>) -> Self {
        Self { contents, ..self }
    }

    /// Runs a fold over the store away from the threads that serve requests.
    pub(super) async fn fold<T: Send + 'static>(
        &self,
        fold: impl FnOnce(&dyn Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.in_turn(&self.folds, fold).await
    }

    /// Looks at processes, one request at a time. A process whose memory cannot be read now, as where its pages come from a
    /// file system that hangs, holds up nobody else.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let looked = timeout(LOOK, self.in_turn(&self.looks, look)).await;
        looked.unwrap_or_else(|_| Err(Problem::unavailable(NO_ANSWER)))
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(&dyn Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = turns.clone().acquire_owned().await.map_err(|e| Problem::internal("turns", &e))?;
        let store = self.store.clone();
        let task = spawn_blocking(move || {
            // Held until the work is done, even if whoever asked has gone.
            let _turn = turn;
            work(store.as_ref())
        });
        task.await.map_err(|e| Problem::internal("work", &e))?
    }

    /// The agent of this id.
    pub(super) fn agent(&self, id: &AgentId) -> Result<Agent, Problem> {
        self.store.agent(id).ok_or_else(|| Problem::unknown_agent(id))
    }
}
