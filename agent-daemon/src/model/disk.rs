//! Block I/O: what a process had devices read and write, and how long that took.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{id::ProcessId, syscall::Histogram};

/// What a device is asked to do, in the order of the kernel programs' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskOperation {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Keep what was written before.
    Flush,
    /// Give blocks back.
    Discard,
}

impl DiskOperation {
    /// Every operation, in order.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Flush, Self::Discard];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Discard => "discard",
        }
    }

    /// Its number, by which the kernel programs and stores know it.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The operation with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
    }
}

/// Block I/O of one kind, of one process on one device in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskStat {
    /// Who caused it.
    pub process: ProcessId,
    /// The device's name, else its numbers, such as `254:0`; empty where rows of several were merged.
    pub device: Arc<str>,
    /// What was done.
    pub operation: DiskOperation,
    /// Whether the kernel wrote, later, what the process had left in memory.
    pub background: bool,
    /// Requests that completed, as they were submitted: before any are merged.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// Bytes of those that did not.
    pub bytes: u64,
    /// Time before they were handed to the device, ns.
    pub queue_ns: u64,
    /// Time from then on, ns.
    pub device_ns: u64,
    /// The longest from beginning to end, ns.
    pub max_ns: u64,
    /// Times from beginning to end.
    pub histogram: Histogram,
}

impl DiskStat {
    /// No I/O yet.
    #[must_use]
    pub fn new(process: ProcessId, device: Arc<str>, operation: DiskOperation, background: bool) -> Self {
        Self {
            process,
            device,
            operation,
            background,
            count: 0,
            errors: 0,
            bytes: 0,
            queue_ns: 0,
            device_ns: 0,
            max_ns: 0,
            histogram: Histogram::default(),
        }
    }

    /// Adds the I/O of another row.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.queue_ns = self.queue_ns.saturating_add(other.queue_ns);
        self.device_ns = self.device_ns.saturating_add(other.device_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.histogram.merge(&other.histogram);
    }

    /// Time from beginning to end, ns.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.queue_ns.saturating_add(self.device_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for operation in DiskOperation::ALL {
            assert_eq!(DiskOperation::from_number(operation.number().into()), Some(operation));
        }
        assert_eq!(DiskOperation::from_number(4), None);
    }

    #[test]
    fn the_longest_is_no_sum() {
        let mut sum = DiskStat {
            count: 1,
            bytes: 4096,
            queue_ns: 1,
            device_ns: 2,
            max_ns: 3,
            ..DiskStat::new(ProcessId(1), "vda".into(), DiskOperation::Write, false)
        };
        let other = sum.clone();
        sum.merge(&other);
        assert_eq!((sum.count, sum.bytes, sum.total_ns(), sum.max_ns), (2, 8192, 6, 3));
    }
}
