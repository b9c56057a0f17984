//! Alerts beside the API, by the rules that agentperf brings along.

use std::{path::Path, sync::Arc, time::Duration};

use agentperf::{
    alert::{
        live::{Alerts, Parts, Receivers},
        matcher::Matcher,
        reaction::{self, Reactions},
        route::Silence,
    },
    config,
    export::prometheus::Metrics,
    model::time::Timestamp,
    store::Memory,
    telemetry::Telemetry,
};
use tokio::sync::watch;

/// Alerts that have been evaluated, by the rules that agentperf brings along; and the id of a silence.
pub(crate) async fn alerts(
    store: &Arc<Memory>,
    metrics: &Arc<Metrics>,
    telemetry: &Arc<Telemetry>,
    stop: &watch::Sender<bool>,
) -> (Alerts, String) {
    let folder = tempfile::tempdir().unwrap();
    let (reactions, thread) = Reactions::open(reactions(folder.path(), store, telemetry)).unwrap();
    let parts = Parts {
        config: config::Alerts {
            receivers: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/suite/receivers.yaml").into()),
            ..config::Alerts::default()
        },
        window: Duration::from_millis(100),
        folder: None,
        samples: metrics.clone(),
        store: store.clone(),
        replay: Arc::new(|_, _, _| ()),
        receivers: Receivers::default(),
        reactions,
        host: "here".to_owned(),
        api: "http://127.0.0.1:1".to_owned(),
        telemetry: telemetry.clone(),
    };
    let (alerts, running) = Alerts::open(parts, Arc::default()).unwrap();
    let stopped = running.run(stop.subscribe());
    tokio::spawn(async move {
        stopped.await;
        thread.finish();
        drop(folder);
    });
    let matcher = Matcher::parse("alertname=\"None\"").unwrap();
    let now = Timestamp::now().as_millisecond();
    let silence = Silence::new(vec![matcher], (now, now + 3_600_000), "the world", "").unwrap();
    let id = alerts.silence(silence).await.unwrap();
    while alerts.view().at.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (alerts, id.to_string())
}

/// Reactions with a flight recorder that has one word to say.
fn reactions(folder: &Path, store: &Arc<Memory>, telemetry: &Arc<Telemetry>) -> reaction::Parts {
    reaction::Parts {
        options: config::Reactions { directory: folder.to_owned(), ..config::Reactions::default() },
        window: Duration::from_millis(100),
        folder: None,
        store: store.clone(),
        dump: Some(Arc::new(|_, to| to.write_all(b"word").map(|()| 4))),
        boot_id: "this boot".to_owned(),
        telemetry: telemetry.clone(),
    }
}
