//! What a power cut may leave of the files: whatever was synced before is there.

use std::{fs, path::Path};

use super::{QUICK, answers, close, open};
use crate::{
    model::time::TimeRange,
    store::{
        Store, StoreError,
        disk::{Options, database, info, segment, verify},
        fixture::{agent_at, at, busy_window, process_at, windows},
    },
};

const SLOW: Options = Options { seal_after: std::time::Duration::from_secs(3600), ..QUICK };

/// The one segment of a store that sealed nothing.
fn only_segment(folder: &Path) -> std::path::PathBuf {
    let numbers = segment::list(folder).unwrap();
    assert_eq!(numbers.len(), 1);
    segment::path(folder, numbers[0])
}

#[test]
fn a_segment_cut_at_any_byte_of_its_tail_keeps_what_was_synced_before() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), SLOW);
    store.put_agent(agent.clone());
    store.put_process(&agent.id, process_at(100, at(0)));
    let mut synced = Vec::new();
    let path = segment::path(folder.path(), 1);
    for n in 0..6 {
        store.append(busy_window(&agent.id, at(5 * n), n as u32));
        store.sync().unwrap();
        synced
            .push((fs::metadata(&path).unwrap().len() as usize, answers(&store, &agent.id, TimeRange::ALL)));
    }
    drop(store);
    assert_eq!(only_segment(folder.path()), path);
    let whole = fs::read(&path).unwrap();
    let first = synced[0].0;
    for cut in first..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (store, telemetry) = open(folder.path(), SLOW);
        let (end, known) = synced.iter().rev().find(|(end, _)| *end <= cut).unwrap();
        assert_eq!(&answers(&store, &agent.id, TimeRange::ALL), known, "{cut}");
        assert_eq!(
            telemetry.losses.all()["store_tail_cut"] > 0,
            cut > fs::metadata(&path).unwrap().len() as usize
        );
        assert!(fs::metadata(&path).unwrap().len() as usize >= *end);
        close(store);
    }
}

#[test]
fn flipped_bytes_of_a_segment_cost_what_comes_after_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), SLOW);
    store.put_agent(agent.clone());
    for n in 0..4 {
        store.append(busy_window(&agent.id, at(5 * n), n as u32));
    }
    store.sync().unwrap();
    drop(store);
    let path = only_segment(folder.path());
    let whole = fs::read(&path).unwrap();
    for place in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let (store, telemetry) = open(folder.path(), SLOW);
        assert_eq!(telemetry.losses.all()["store_tail_cut"], 1, "{place}");
        let starts: Vec<_> = windows(&store, &agent.id, TimeRange::ALL).iter().map(|w| w.start).collect();
        let all: Vec<_> = (0..4).map(|n| at(5 * n)).collect();
        assert!(starts.len() < 4 && all.starts_with(&starts), "{place} {starts:?}");
        // And it goes on.
        store.put_agent(agent.clone());
        store.append(busy_window(&agent.id, at(100), 1));
        store.sync().unwrap();
        drop(store);
        let (store, _) = open(folder.path(), SLOW);
        assert_eq!(windows(&store, &agent.id, TimeRange::ALL).len(), starts.len() + 1);
        drop(store);
        for number in segment::list(folder.path()).unwrap() {
            fs::remove_file(segment::path(folder.path(), number)).unwrap();
        }
    }
}

#[test]
fn a_crash_between_sealing_and_deleting_the_segment_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), QUICK);
    store.put_agent(agent.clone());
    store.append(busy_window(&agent.id, at(0), 1));
    store.sync().unwrap();
    let path = only_segment(folder.path());
    let bytes = fs::read(&path).unwrap();
    store.maintain(at(10));
    store.maintain(at(11));
    assert!(!path.exists(), "sealed and deleted");
    let known = answers(&store, &agent.id, TimeRange::ALL);
    drop(store);
    fs::write(&path, bytes).unwrap();
    let (store, _) = open(folder.path(), QUICK);
    assert_eq!(answers(&store, &agent.id, TimeRange::ALL), known);
    assert!(!path.exists());
    close(store);
}

#[test]
fn a_damaged_block_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent_at(at(0));
    let (store, _) = open(folder.path(), QUICK);
    store.put_agent(agent.clone());
    for n in 0..3 {
        store.append(busy_window(&agent.id, at(5 * n), n as u32 + 1));
        store.compact(at(100)).unwrap();
    }
    let sql = "UPDATE block SET body = zeroblob(length(body)) WHERE key = 2";
    store.lock_keeper().db.execute(sql, []).unwrap();
    let starts: Vec<_> = windows(&store, &agent.id, TimeRange::ALL).iter().map(|w| w.start).collect();
    assert_eq!(starts, [at(0), at(10)]);
    assert_eq!(store.telemetry.losses.all()["store_record_unread"], 1);
    // Merging leaves it where it is, too.
    store.compact(at(2 * 86_400)).unwrap();
    assert_eq!(windows(&store, &agent.id, TimeRange::ALL).len(), 1, "of the two, a minute");
    drop(store);
    let verified = verify(folder.path()).unwrap();
    assert_eq!(verified.problem_count, 1, "{verified:?}");
}

#[test]
fn a_damaged_database_is_refused_with_advice_and_not_wiped() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), QUICK));
    let path = folder.path().join(database::FILE);
    fs::write(&path, [0x55; 8192]).unwrap();
    let error = super::Disk::open(folder.path(), QUICK, std::sync::Arc::default()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("move the folder away"));
    assert_eq!(fs::read(&path).unwrap(), [0x55; 8192]);
    let verified = verify(folder.path()).unwrap();
    assert!(!verified.is_whole());
}

#[test]
fn a_second_daemon_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    let error = super::Disk::open(folder.path(), QUICK, std::sync::Arc::default()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(verify(folder.path()).is_err());
    // Numbers may be read all the same.
    assert_eq!(info(folder.path()).unwrap().agents, 0);
    drop(store);
}
