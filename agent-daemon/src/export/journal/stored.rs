//! What a store has of operations, for an import, which must not put one twice.
//!
//! One that is kept by itself is known by its id and its start, a row of sums by all that it says. Of an hour that
//! the store has added up, nothing can be told apart any more: all that belongs there counts as known.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    model::{
        operation::{Kept, Operation, Sum, SumKey},
        time::{TimeRange, Timestamp},
    },
    store::{Disk, Store, StoreError},
};

/// The operations of a store, by hashes of 64 bits: two of a million are taken for one about once in 40 million times.
#[derive(Debug, Default)]
pub(super) struct StoredOperations {
    single: FxHashSet<u64>,
    /// How many rows there are of each; equal ones are more than one.
    rows: FxHashMap<u64, u64>,
    /// Hours that are added up.
    added_up: FxHashSet<i64>,
}

impl StoredOperations {
    pub(super) fn read(store: &Disk) -> Result<Self, StoreError> {
        let mut stored = Self { added_up: store.hours_added_up()?, ..Self::default() };
        store.visit_operations(TimeRange::ALL, &mut |kept| match kept {
            Kept::One(operation) => drop(stored.single.insert(hash_of(operation))),
            Kept::Sums(sums) => {
                for row in &sums.rows {
                    *stored.rows.entry(hash_of_row((sums.start, sums.end), row)).or_default() += 1;
                }
            }
        })?;
        Ok(stored)
    }

    /// Whether this one is new. It is known from now on.
    pub(super) fn take(&mut self, operation: &Operation) -> bool {
        !self.is_added_up(operation.start) && self.single.insert(hash_of(operation))
    }

    /// Whether this row of a stretch is new.
    pub(super) fn take_row(&mut self, span: (Timestamp, Timestamp), row: (&SumKey, &Sum)) -> bool {
        if self.is_added_up(span.0) {
            return false;
        }
        match self.rows.get_mut(&hash_of_row(span, row)) {
            // Each of the store's own answers for one of the lines'.
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    }

    fn is_added_up(&self, at: Timestamp) -> bool {
        self.added_up.contains(&at.as_second().div_euclid(3600))
    }
}

fn hash_of(operation: &Operation) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((operation.id, operation.start))
}

fn hash_of_row(span: (Timestamp, Timestamp), (key, sum): (&SumKey, &Sum)) -> u64 {
    let numbers = [sum.count, sum.errors, sum.total_ns, sum.max_ns, sum.bytes];
    let buckets: Vec<_> = sum.durations.buckets().collect();
    let seen = [&sum.users, &sum.sessions].map(|seen| seen.hashes().collect::<Vec<_>>());
    BuildHasherDefault::<DefaultHasher>::default().hash_one((span, key, numbers, buckets, seen))
}
