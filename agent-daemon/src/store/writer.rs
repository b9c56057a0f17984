//! The one writer: takes what the aggregator hands over and keeps it. Ends when the aggregator hangs up and
//! everything it sent is stored.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Follower, Store};
use crate::model::{record::Record, time::Timestamp};

/// How often what is too old is forgotten. A reader may see things this much older than the store keeps.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// Starts the writer on the current runtime. It finishes, with everything written, once every sender of
/// `records` is gone.
pub fn spawn(
    store: Arc<dyn Store>,
    records: mpsc::Receiver<Record>,
    followers: Vec<Arc<dyn Follower>>,
) -> JoinHandle<()> {
    tokio::spawn(run(store, records, followers))
}

async fn run(store: Arc<dyn Store>, mut records: mpsc::Receiver<Record>, followers: Vec<Arc<dyn Follower>>) {
    let mut expiry = interval(EXPIRE_EVERY);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            record = records.recv() => match record {
                Some(record) => {
                    followers.iter().for_each(|follower| follower.follow(&record));
                    write(store.as_ref(), record);
                }
                None => return,
            },
            _ = expiry.tick() => store.expire(Timestamp::now()),
        }
    }
}

fn write(store: &dyn Store, record: Record) {
    match record {
        Record::Agent(agent) => store.put_agent(agent),
        Record::Process(agent, process) => store.put_process(&agent, process),
        Record::Window(window) => store.append(window),
        // Whoever asked may have given up waiting: that is no loss.
        Record::Barrier(done) => drop(done.send(())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        model::time::TimeRange,
        store::{Limits, Memory, fixture},
        telemetry::Telemetry,
    };

    #[tokio::test]
    async fn a_barrier_answers_after_everything_before_it_is_stored() {
        let store: Arc<dyn Store> = Arc::new(Memory::new(Limits::default(), Arc::new(Telemetry::default())));
        let (tx, rx) = mpsc::channel(8);
        let writer = spawn(store.clone(), rx, Vec::new());
        let now = Timestamp::now();
        let agent = fixture::agent_at(now);
        let (done, answer) = oneshot::channel();
        tx.send(Record::Agent(agent.clone())).await.unwrap();
        tx.send(Record::Process(agent.id.clone(), fixture::process_at(100, now))).await.unwrap();
        tx.send(Record::Window(fixture::window_at(&agent.id, now, 3))).await.unwrap();
        tx.send(Record::Barrier(done)).await.unwrap();
        answer.await.unwrap();
        assert_eq!(store.windows(&agent.id, TimeRange::ALL).len(), 1);
        assert_eq!(store.processes(&agent.id, TimeRange::ALL).len(), 1);
        drop(tx);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_writer_still_forgets_what_is_too_old() {
        let store: Arc<dyn Store> = Arc::new(Memory::new(Limits::default(), Arc::new(Telemetry::default())));
        let old = Timestamp::now() - Duration::from_secs(4000);
        let agent = fixture::agent_at(old);
        store.put_agent(agent.clone());
        store.append(fixture::window_at(&agent.id, old, 3));
        let (_tx, rx) = mpsc::channel(1);
        let writer = spawn(store.clone(), rx, Vec::new());
        let forgotten = async {
            while !store.windows(&agent.id, TimeRange::ALL).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), forgotten).await.unwrap();
        writer.abort();
    }
}
