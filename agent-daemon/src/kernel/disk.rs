//! Reads the block I/O that was counted in one generation.

use std::sync::Arc;

use agent_common::disk::{DiskKey, DiskValue, operation};
use aya::Ebpf;
use rustc_hash::FxHashMap;

use super::{counts::drain, error::KernelError, network::histogram};
use crate::model::{
    disk::{DiskOperation, DiskStat},
    id::{ProcessId, Slot},
};

// The model imports nothing of ours, so that its order is the kernel programs' by agreement.
const _: () = assert!(DiskOperation::ALL.len() == operation::DISCARD as usize + 1);
const _: () = assert!(DiskOperation::Write as u32 == operation::WRITE);
const _: () = assert!(DiskOperation::Flush as u32 == operation::FLUSH);

/// Bits of a `dev_t` that are the minor number.
const MINOR_BITS: u32 = 20;
/// Devices whose names are remembered.
const MAX_DEVICES: usize = 1024;

/// Names of devices. One that goes and comes back as another keeps the name that it had first.
#[derive(Default)]
pub(super) struct Devices(FxHashMap<u32, Arc<str>>);

impl Devices {
    /// Takes every row out of the map.
    pub(super) fn requests(
        &mut self,
        ebpf: &Ebpf,
        map: &'static str,
    ) -> Result<Vec<(Slot, DiskStat)>, KernelError> {
        let mut rows = Vec::new();
        drain(ebpf, map, |key: DiskKey, values: &[DiskValue]| rows.extend(self.row(&key, values)))?;
        Ok(rows)
    }

    fn row(&mut self, key: &DiskKey, values: &[DiskValue]) -> Option<(Slot, DiskStat)> {
        let sum = |number: fn(&DiskValue) -> u64| values.iter().map(number).fold(0, u64::saturating_add);
        let operation = DiskOperation::from_number(key.operation.into())?;
        let background = key.background != 0;
        let stat = DiskStat {
            count: sum(|value| value.count),
            errors: sum(|value| value.errors),
            bytes: sum(|value| value.bytes),
            queue_ns: sum(|value| value.queue),
            device_ns: sum(|value| value.device),
            max_ns: values.iter().map(|value| value.max).max().unwrap_or(0),
            histogram: histogram(values.iter().map(|value| &value.histogram)),
            ..DiskStat::new(ProcessId(key.process), self.name(key.device), operation, background)
        };
        Some((Slot(key.agent), stat))
    }

    /// The device's name in /dev, else its numbers.
    fn name(&mut self, device: u32) -> Arc<str> {
        if let Some(name) = self.0.get(&device) {
            return Arc::clone(name);
        }
        let numbers = format!("{}:{}", device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1));
        let link = std::fs::read_link(format!("/sys/dev/block/{numbers}"));
        let found = link.ok().and_then(|link| Some(link.file_name()?.to_str()?.to_owned()));
        let name: Arc<str> = found.unwrap_or(numbers).into();
        if self.0.len() < MAX_DEVICES {
            self.0.insert(device, Arc::clone(&name));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_has_its_numbers_for_a_name() {
        let mut devices = Devices::default();
        assert_eq!(&*devices.name(4000 << MINOR_BITS | 7), "4000:7");
    }

    #[test]
    fn an_operation_that_is_none_is_no_row() {
        let key = DiskKey { process: 1, agent: 1, device: 0, operation: 9, background: 0 };
        assert!(Devices::default().row(&key, &[DiskValue::ZERO]).is_none());
    }
}
