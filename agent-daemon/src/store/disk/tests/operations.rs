//! Operations on disk: through seals, restarts and crashes, added up when they are old, forgotten when they are too old,
//! and never at the expense of what was seen.

use std::{collections::BTreeMap, time::Duration};

use super::{QUICK, close, open};
use crate::{
    model::{
        operation::{Kept, Operation, Sum, Sums},
        record::Arrived,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        fixture::{at, operation_at},
    },
};

pub(super) fn arrived(operations: Vec<Operation>) -> Arrived {
    Arrived { operations, sums: Vec::new(), place: None }
}

/// How many are kept one by one, and the sums over all by name.
pub(super) fn told(store: &dyn Store, range: TimeRange) -> (usize, BTreeMap<String, Sum>) {
    let mut single = 0;
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    store
        .visit_operations(range, &mut |kept| match kept {
            Kept::One(operation) => {
                single += 1;
                sums.entry(operation.name.clone()).or_default().add(operation);
            }
            Kept::Sums(Sums { rows, .. }) => {
                rows.iter().for_each(|(key, sum)| sums.entry(key.name.clone()).or_default().merge(sum));
            }
        })
        .unwrap();
    (single, sums)
}

fn after(seconds: u64) -> Timestamp {
    at(0) + Duration::from_secs(seconds)
}

#[test]
fn sums_are_the_same_however_old_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    let operations: Vec<_> = (0..900)
        .map(|n| {
            let mut operation = operation_at(at(n * 20), n as u64 + 1);
            operation.name = format!("/route{}", n % 5);
            operation
        })
        .collect();
    for some in operations.chunks(50) {
        store.put_operations(arrived(some.to_vec()));
        store.maintain(after(0));
    }
    let (single, expected) = told(&store, TimeRange::ALL);
    assert_eq!((single, expected.values().map(|s| s.count).sum::<u64>()), (900, 900));

    let day = 86_400;
    let mut left = Vec::new();
    for days in [2, 4] {
        for _ in 0..20 {
            store.maintain(after(days * day));
        }
        let (single, sums) = told(&store, TimeRange::ALL);
        assert_eq!(sums, expected, "after {days} days");
        left.push(single);
    }
    assert_eq!(left, [0, 0]);
    let (_, hour) = told(&store, TimeRange { from: at(0), to: at(60) });
    assert!(hour.values().map(|s| s.count).sum::<u64>() < 900);
    for _ in 0..20 {
        store.maintain(after(9 * day));
    }
    assert_eq!(told(&store, TimeRange::ALL), (0, BTreeMap::new()));
    close(store);
}

#[test]
fn what_was_synced_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), QUICK);
    store.put_operations(arrived(vec![operation_at(at(0), 1)]));
    store.maintain(after(1));
    store.put_operations(arrived(vec![operation_at(at(1), 2), operation_at(at(2), 3)]));
    store.sync().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let (crashed, _) = open(copy.path(), QUICK);
    assert_eq!(told(&crashed, TimeRange::ALL).0, 3);
    assert_eq!(told(&crashed, TimeRange { from: at(1), to: at(2) }).0, 1);
    close(crashed);
    close(store);
}

#[test]
fn a_flood_of_operations_pushes_out_no_window() {
    let folder = tempfile::tempdir().unwrap();
    let options = super::Options { seal_after: Duration::from_secs(1 << 30), ..QUICK };
    let (store, telemetry) = open(folder.path(), options);
    let agent = crate::store::fixture::agent_at(at(0));
    store.put_agent(agent.clone());
    store.append(crate::store::fixture::window_at(&agent.id, at(0), 3));
    let many: Vec<_> = (1..1000).map(|n| operation_at(at(0), n)).collect();
    // Housekeeping, which would seal, never runs here.
    for _ in 0..200 {
        store.put_operations(arrived(many.clone()));
    }
    store.append(crate::store::fixture::window_at(&agent.id, at(5), 3));
    let losses = telemetry.losses.all();
    assert!(losses["operation_dropped"] > 0 && losses["window_dropped"] == 0, "{losses:?}");
    assert_eq!(crate::store::fixture::windows(&store, &agent.id, TimeRange::ALL).len(), 2);
}
