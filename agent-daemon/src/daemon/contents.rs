//! The daemon's part for what is kept of what agents say: where it is kept, and that it is forgotten in time.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{config::Config, content::Contents, model::time::Timestamp, store::Store, telemetry::Telemetry};

/// How often it is looked through for what is to be forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Where it is kept. Ends with the last who holds it.
pub(super) fn open_contents(
    config: &Config,
    store: &Arc<dyn Store>,
    telemetry: &Arc<Telemetry>,
) -> Arc<Contents> {
    let contents = Arc::new(Contents::new(config, Arc::clone(telemetry)));
    tokio::spawn(forget(Arc::downgrade(&contents), Arc::clone(store)));
    contents
}

async fn forget(contents: Weak<Contents>, store: Arc<dyn Store>) {
    let mut times = tokio::time::interval(FORGET_EVERY);
    loop {
        times.tick().await;
        let Some(contents) = contents.upgrade() else { return };
        contents.maintain(Timestamp::now(), |agent| store.agent(agent).is_some());
    }
}
