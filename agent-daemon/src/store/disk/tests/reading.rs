//! Readers while the writer appends and seals: no window is ever missing, none is seen twice, and nobody waits for the
//! housekeeping.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
};

use super::{QUICK, close, open};
use crate::{
    model::time::TimeRange,
    store::{
        Store,
        fixture::{agent_at, at, busy_window, process_at},
    },
};

#[test]
fn a_view_never_misses_nor_doubles_a_window() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), QUICK);
    store.put_agent(agent.clone());
    let (written, over) = (AtomicI64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let read = || {
            let mut views = 0;
            while !over.load(Ordering::SeqCst) {
                let before = written.load(Ordering::SeqCst);
                let mut starts = Vec::new();
                store.visit(&agent.id, TimeRange::ALL, &mut |w| starts.push(w.start)).unwrap();
                let after = written.load(Ordering::SeqCst) + 1;
                let seen = starts.len() as i64;
                assert!((before..=after).contains(&seen), "{before} {seen} {after}");
                let all: Vec<_> = (0..seen).map(|n| at(5 * n)).collect();
                assert_eq!(starts, all, "oldest first, each once");
                assert!(store.processes(&agent.id, TimeRange::ALL).unwrap().len() as i64 >= before.min(1));
                views += 1;
            }
            views
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for n in 0..400 {
            store.put_process(&agent.id, process_at(100 + n as u32 % 3, at(0)));
            store.append(busy_window(&agent.id, at(5 * n), n as u32));
            written.store(n + 1, Ordering::SeqCst);
            if n % 3 == 0 {
                store.maintain(at(5 * n));
            }
        }
        over.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 3, "readers came to read");
        }
    });
    assert!(
        crate::store::disk::info(folder.path()).unwrap().levels[0].blocks > 50,
        "sealing went on meanwhile"
    );
    close(store);
}

#[test]
fn neither_who_writes_nor_who_reads_waits_for_the_housekeeping() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), QUICK);
    // Whoever waited for it would wait for ever.
    let keeper = store.lock_keeper();
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    store.append(busy_window(&agent.id, at(0), 1));
    store.sync().unwrap();
    assert_eq!(crate::store::fixture::windows(&store, &agent.id, TimeRange::ALL).len(), 1);
    assert_eq!(store.processes(&agent.id, TimeRange::ALL).unwrap().len(), 1);
    drop(keeper);
    close(store);
}
