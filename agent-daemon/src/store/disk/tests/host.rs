//! The host's windows on disk: through seals, restarts and crashes, merged when they are old, forgotten when they are too
//! old.

use std::time::Duration;

use super::{QUICK, close, open};
use crate::{
    model::{
        host::{Cpu, HostWindow},
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        disk::verify,
        fixture::{at, host_window_at},
    },
};

fn after(seconds: u64) -> Timestamp {
    at(0) + Duration::from_secs(seconds)
}

fn told(store: &dyn Store, range: TimeRange) -> Vec<HostWindow> {
    let mut windows = Vec::new();
    store.visit_host(range, &mut |window| windows.push(window.clone())).unwrap();
    windows.sort_by_key(|window| window.start);
    windows
}

#[test]
fn minutes_and_hours_have_the_sums_of_their_windows_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    let windows: Vec<_> = (0..2000).map(|n| host_window_at(at(5 * n), n as u32 % 97)).collect();
    for some in windows.chunks(100) {
        some.iter().for_each(|window| store.put_host(window.clone()));
        store.maintain(after(0));
    }
    assert_eq!(told(&store, TimeRange::ALL), windows);
    let expected = HostWindow::merge(windows.clone());
    let minute = |w: &&HostWindow| w.start.as_second().div_euclid(60) == at(0).as_second().div_euclid(60);
    let first_minute = HostWindow::merge(windows.iter().filter(minute).cloned()).unwrap();

    let mut left = Vec::new();
    for days in [2, 4] {
        for _ in 0..20 {
            store.maintain(after(days * 86_400));
        }
        let now = told(&store, TimeRange::ALL);
        if days == 2 {
            assert_eq!(now.first(), Some(&first_minute));
        }
        left.push(now.len());
        assert_eq!(HostWindow::merge(now), expected, "after {days} days");
    }
    assert!((166..=168).contains(&left[0]) && (3..=4).contains(&left[1]), "{left:?}");
    for _ in 0..20 {
        store.maintain(after(9 * 86_400));
    }
    assert_eq!(told(&store, TimeRange::ALL), []);
    close(store);
}

#[test]
fn what_was_synced_is_there_after_a_crash_and_is_whole() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = open(folder.path(), QUICK);
    let windows: Vec<_> = (0..30).map(|n| host_window_at(at(5 * n), n as u32)).collect();
    windows[..20].iter().for_each(|window| store.put_host(window.clone()));
    store.maintain(after(1));
    store.compact(after(100)).unwrap();
    windows[20..].iter().for_each(|window| store.put_host(window.clone()));
    store.sync().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let (crashed, _) = open(copy.path(), QUICK);
    assert_eq!(told(&crashed, TimeRange::ALL), windows);
    assert_eq!(told(&crashed, TimeRange { from: at(10), to: at(20) }), windows[2..4]);
    crashed.compact(after(200)).unwrap();
    close(crashed);
    let verified = verify(copy.path()).unwrap();
    assert!(verified.is_whole() && verified.host_windows == 30, "{verified:?}");
    close(store);
}

#[test]
fn a_damaged_block_is_named_and_the_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (store, telemetry) = open(folder.path(), QUICK);
    for n in 0..2 {
        store.put_host(host_window_at(at(5 * n), 1));
        store.compact(after(100)).unwrap();
    }
    let db = rusqlite::Connection::open(folder.path().join(super::super::database::FILE)).unwrap();
    let damaged = db.execute("UPDATE host_block SET body = zeroblob(40) WHERE key = 1", []).unwrap();
    assert_eq!(damaged, 1);
    drop(db);
    assert_eq!(told(&store, TimeRange::ALL), [host_window_at(at(5), 1)]);
    assert_eq!(telemetry.losses.all()["store_record_unread"], 1);
    drop(store);
    let verified = verify(folder.path()).unwrap();
    assert!(verified.problems[0].contains("block 1 of the host"), "{verified:?}");
}

#[test]
fn a_head_that_cannot_be_sealed_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let options = super::Options { seal_after: Duration::from_secs(1 << 30), ..QUICK };
    let (store, telemetry) = open(folder.path(), options);
    let mut large = host_window_at(at(0), 1);
    large.cpus = (0..1024).map(|number| Cpu::new(number, [u64::MAX; 8])).collect();
    // Housekeeping, which would seal, never runs here.
    (0..200).for_each(|_| store.put_host(large.clone()));
    let bytes: usize = store.read_head().iter().map(|part| part.bytes).sum();
    assert!(bytes < 9 << 20 && telemetry.losses.all()["host_window_dropped"] > 50, "{bytes}");
}
