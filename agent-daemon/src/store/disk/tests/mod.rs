//! The store on disk as a whole: against the store in memory, through crashes, while it seals, as it forgets, and
//! without room.

mod crash;
mod full;
mod golden;
mod killed;
mod memory;
mod operations;
mod reading;
mod retention;

use std::{path::Path, sync::Arc, time::Duration};

use super::{Disk, Options, verify};
use crate::{
    store::fixture::{answers, sums},
    telemetry::Telemetry,
};

/// Seals at every other housekeeping.
const QUICK: Options = Options {
    keep: Duration::from_secs(7 * 86_400),
    max_bytes: 2 << 30,
    raw: Duration::from_secs(86_400),
    minutes: Duration::from_secs(3 * 86_400),
    seal_after: Duration::ZERO,
    max_agents: 100,
    max_processes: 1_000,
};

fn open(folder: &Path, options: Options) -> (Disk, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::default());
    (Disk::open(folder, options, telemetry.clone()).unwrap(), telemetry)
}

/// Closes the store, and sees that it is whole.
fn close(store: Disk) {
    let folder = store.folder.clone();
    drop(store);
    let verified = verify(&folder).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
}
