//! The one writer: takes what the aggregator hands over and keeps it. Ends when the aggregator hangs up and
//! everything it sent is stored.
//!
//! Beside it the store's housekeeping runs: what is recorded never waits for that.
//!
//! It runs on a thread that may block, and gathers what has queued up before it syncs: under load one sync serves
//! many records, and without load each record is safe at once.

use std::{
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{Follower, Store};
use crate::model::{record::Record, time::Timestamp};

/// How often the store does its housekeeping. A reader may see things this much older than the store keeps.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);

/// How often what could not be made durable is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The most records between two syncs.
const BATCH: usize = 1024;

/// Starts the writer beside the current runtime. It finishes, with everything written, once every sender of
/// `records` is gone.
pub fn spawn(
    store: Arc<dyn Store>,
    records: mpsc::Receiver<Record>,
    followers: Vec<Arc<dyn Follower>>,
) -> JoinHandle<()> {
    let runtime = Handle::current();
    let (going_on, over) = channel::<()>();
    let kept = Arc::clone(&store);
    let keeper = spawn_blocking(move || {
        kept.maintain(Timestamp::now());
        while over.recv_timeout(MAINTAIN_EVERY) == Err(RecvTimeoutError::Timeout) {
            kept.maintain(Timestamp::now());
        }
    });
    spawn_blocking(move || {
        Writer { store, records, followers, in_trouble: false }.run(&runtime);
        drop(going_on);
        // It panicked or ended: there is no more to do for it in either case.
        let _ = runtime.block_on(keeper);
    })
}

struct Writer {
    store: Arc<dyn Store>,
    records: mpsc::Receiver<Record>,
    followers: Vec<Arc<dyn Follower>>,
    /// Whether the last sync failed: told once when it begins, and once when it is over.
    in_trouble: bool,
}

impl Writer {
    fn run(mut self, runtime: &Handle) {
        loop {
            let next = async { timeout(TRY_AGAIN, self.records.recv()).await };
            match runtime.block_on(next) {
                Ok(Some(record)) => self.write_batch(record),
                Ok(None) => return self.sync(Vec::new()),
                Err(_) if self.in_trouble => self.sync(Vec::new()),
                Err(_) => {}
            }
        }
    }

    /// Writes this record and those that wait behind it.
    fn write_batch(&mut self, first: Record) {
        let mut waiting = Vec::new();
        self.write(first, &mut waiting);
        for _ in 1..BATCH {
            let Ok(record) = self.records.try_recv() else { break };
            self.write(record, &mut waiting);
        }
        self.sync(waiting);
    }

    fn write(&self, record: Record, waiting: &mut Vec<oneshot::Sender<()>>) {
        self.followers.iter().for_each(|follower| follower.follow(&record));
        match record {
            Record::Agent(agent) => self.store.put_agent(agent),
            Record::Process(agent, process) => self.store.put_process(&agent, process),
            Record::Window(window) => self.store.append(window),
            Record::Operations(arrived) => self.store.put_operations(*arrived),
            Record::Host(window) => self.store.put_host(*window),
            Record::Barrier(done) => waiting.push(done),
        }
    }

    /// Makes what was written last, and tells those who wait for it. Where it cannot be made to, they are not
    /// told: they see the answer's channel closed.
    fn sync(&mut self, waiting: Vec<oneshot::Sender<()>>) {
        let outcome = self.store.sync();
        match &outcome {
            Err(error) if !self.in_trouble => {
                tracing::error!(%error, "what is recorded is not durable for now; trying again");
            }
            Ok(()) if self.in_trouble => tracing::info!("what is recorded is durable again"),
            _ => {}
        }
        self.in_trouble = outcome.is_err();
        if outcome.is_ok() {
            for done in waiting {
                // Whoever asked may have given up waiting: that is no loss.
                let _ = done.send(());
            }
        }
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
        assert_eq!(fixture::windows(store.as_ref(), &agent.id, TimeRange::ALL).len(), 1);
        assert_eq!(store.processes(&agent.id, TimeRange::ALL).unwrap().len(), 1);
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
        let (tx, rx) = mpsc::channel(1);
        let writer = spawn(store.clone(), rx, Vec::new());
        let forgotten = async {
            while !fixture::windows(store.as_ref(), &agent.id, TimeRange::ALL).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), forgotten).await.unwrap();
        drop(tx);
        writer.await.unwrap();
    }
}
