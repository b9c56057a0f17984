//! The channels that the aggregator stands between.

use tokio::sync::{mpsc, watch};

use crate::{
    collect::Order,
    config,
    model::{control::Command, observation::Observation, record::Record},
};

/// The channels that the aggregator stands between.
#[derive(Debug)]
pub struct Channels {
    /// From the collector.
    pub observations: mpsc::Receiver<Observation>,
    /// To the collector.
    pub orders: mpsc::Sender<Order>,
    /// From people.
    pub commands: mpsc::Receiver<Command>,
    /// To the store.
    pub records: mpsc::Sender<Record>,
    /// New agent rules, after a reload of the configuration.
    pub rules: watch::Receiver<config::Agents>,
    /// Turns true when the daemon shall stop.
    pub stop: watch::Receiver<bool>,
}

/// Waits until the flag is up; a flag that nobody can raise any more counts as up.
pub(super) async fn until_true(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|up| *up).await;
}
