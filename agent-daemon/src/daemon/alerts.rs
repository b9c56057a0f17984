//! Composition of the alerts: what they see, what they are told of the time before, and what they act by.

use std::{net::SocketAddr, sync::Arc};

use super::{DaemonError, io_error};
use crate::{
    alert::{
        live::{Alerts, Parts, Receivers, Running, Wake},
        reaction::{self, ReactionThread, Reactions},
    },
    config::Config,
    export::{
        Doors,
        prometheus::{self, Detail},
    },
    store::{Limits, Memory, Store, disk::while_alone},
    telemetry::{HostInfo, Telemetry},
};

/// Opens the alerts, unless they are off. They see what is scraped, and of the time before what was stored.
pub(super) fn open_alerts(
    config: &Config,
    (listen, host): (SocketAddr, &HostInfo),
    (store, doors, telemetry): (&Arc<dyn Store>, &Doors, &Arc<Telemetry>),
    wake: &Arc<Wake>,
) -> Result<(Alerts, Option<Running>, Option<ReactionThread>), DaemonError> {
    if !config.alerts.enabled {
        return Ok((Alerts::off(), None, None));
    }
    let reactions = reaction_parts(config, (store, doors, telemetry), host);
    let (reactions, thread) =
        Reactions::open(reactions).map_err(io_error("starting the reactions' thread"))?;
    let stored = Arc::clone(store);
    let parts = Parts {
        config: config.alerts.clone(),
        window: config.window,
        folder: config.history.directory.clone(),
        samples: doors.metrics(),
        store: Arc::clone(store),
        replay: Arc::new(move |range, step, visit| {
            if let Err(error) = prometheus::replay(stored.as_ref(), (range, Detail::Sums), step, visit) {
                tracing::warn!(%error, "alerts know less of the time before than they could");
            }
        }),
        receivers: Receivers::default(),
        reactions,
        host: host.hostname.clone(),
        api: format!("http://{listen}"),
        telemetry: Arc::clone(telemetry),
    };
    let (alerts, rounds) = Alerts::open(parts, Arc::clone(wake))?;
    Ok((alerts, Some(rounds), Some(thread)))
}

/// Takes back what a daemon that was killed did to agents, before anything that may fail: nobody stays paused since a disk
/// is full or a port in use.
pub(super) fn recover(config: &Config, telemetry: &Arc<Telemetry>) {
    let Some(folder) = &config.history.directory else { return };
    let parts = || reaction::Parts {
        options: config.alerts.reactions.clone(),
        window: config.window,
        folder: Some(folder.clone()),
        store: Arc::new(Memory::new(Limits::default(), Arc::clone(telemetry))),
        dump: None,
        boot_id: HostInfo::read().boot_id,
        telemetry: Arc::clone(telemetry),
    };
    while_alone(folder, || reaction::recover(parts()));
}

/// What alerts act by: the store says who an agent is, the flight recorder what was just stored.
fn reaction_parts(
    config: &Config,
    (store, doors, telemetry): (&Arc<dyn Store>, &Doors, &Arc<Telemetry>),
    host: &HostInfo,
) -> reaction::Parts {
    let dump = doors
        .recorder()
        .map(|recorder| -> Arc<reaction::Dump> { Arc::new(move |since, to| recorder.dump(since, to)) });
    reaction::Parts {
        options: config.alerts.reactions.clone(),
        window: config.window,
        folder: config.history.directory.clone(),
        store: Arc::clone(store),
        dump,
        boot_id: host.boot_id.clone(),
        telemetry: Arc::clone(telemetry),
    }
}
