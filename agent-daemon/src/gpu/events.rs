//! XID errors, by an event set of NVML. It tells them within milliseconds, to whoever waits.
//!
//! One GPU that refuses costs only its own events: NVML's wrapper gives up the set then, and it is made again without.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nvml_wrapper::{
    Device, EventSet, Nvml, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError,
    struct_wrappers::event::EventData,
};

use super::{ask::Progress, feature::Feature, reason::Reason, xid::Xid};
use crate::model::time::Timestamp;

/// XID errors that wait to be taken.
const WAITING: usize = 256;
/// Events that are taken at once before readings get their turn.
const AT_ONCE: usize = 64;

/// XID errors on their way to who wants them.
#[derive(Debug, Default)]
pub(super) struct XidQueue(Mutex<(VecDeque<Xid>, u64)>);

impl XidQueue {
    /// Adds one; where there is no room it is counted.
    pub(super) fn push(&self, xid: Xid) {
        let (waiting, lost) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push_back(xid);
        } else {
            *lost = lost.saturating_add(1);
        }
    }

    /// Takes all, oldest first, and how many found no room since.
    pub(super) fn take(&self) -> (Vec<Xid>, u64) {
        let (waiting, lost) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (waiting.drain(..).collect(), std::mem::take(lost))
    }
}

/// A GPU whose events are asked for, by its handle: a lost one does not tell its uuid any more.
struct Watched {
    handle: usize,
    index: u32,
    uuid: Option<String>,
}

/// The events of all GPUs that have them.
pub(super) struct Events<'nvml> {
    set: Option<EventSet<'nvml>>,
    watched: Vec<Watched>,
    missing: Vec<(Option<u32>, Reason)>,
    is_broken: bool,
}

impl<'nvml> Events<'nvml> {
    /// Asks for the events of the first `count` GPUs.
    pub(super) fn open(nvml: &'nvml Nvml, count: u32, progress: &Progress) -> Self {
        let mut events = Self { set: None, watched: Vec::new(), missing: Vec::new(), is_broken: false };
        let mut refused = Vec::new();
        // Each round that fails leaves out one GPU more.
        while refused.len() < count as usize {
            match events.register(nvml, count, &refused, progress) {
                Ok(()) => break,
                Err((None, reason)) => {
                    events.missing.push((None, reason));
                    break;
                }
                Err((Some(index), reason)) => {
                    refused.push(index);
                    events.missing.push((Some(index), reason));
                }
            }
        }
        events
    }

    fn register(
        &mut self,
        nvml: &'nvml Nvml,
        count: u32,
        refused: &[u32],
        progress: &Progress,
    ) -> Result<(), (Option<u32>, Reason)> {
        self.watched.clear();
        let of_all = |error: NvmlError| (None, error.into());
        if let Err(error) = &nvml.lib().nvmlEventSetFree {
            // The wrapper panics without it.
            return Err((None, Reason::NoFunction(error.to_string())));
        }
        let mut set = progress.call(Feature::EventSet, None, || nvml.create_event_set()).map_err(of_all)?;
        for index in (0..count).filter(|index| !refused.contains(index)) {
            let of_one = |error: NvmlError| (Some(index), error.into());
            let device = progress.call(Feature::Handle, Some(index), || nvml.device_by_index(index));
            let device = device.map_err(of_one)?;
            let types = progress.call(Feature::EventTypes, Some(index), || device.supported_event_types());
            if !types.map_err(of_one)?.contains(EventTypes::CRITICAL_XID_ERROR) {
                return Err((Some(index), Reason::Unsupported));
            }
            let register = || device.register_events(EventTypes::CRITICAL_XID_ERROR, set);
            let registered = progress.call(Feature::EventRegistration, Some(index), register);
            set = registered.map_err(|error| of_one(error.error))?;
            let uuid = progress.call(Feature::Uuid, Some(index), || device.uuid()).ok();
            self.watched.push(Watched { handle: address(&device), index, uuid });
        }
        // Waiting for nothing is not what NVML is made for.
        self.set = (!self.watched.is_empty()).then_some(set);
        Ok(())
    }

    /// Why events are not told, and of which GPU.
    pub(super) fn missing(&self) -> &[(Option<u32>, Reason)] {
        &self.missing
    }

    /// Whether the set failed while it was used, and should be made again.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Waits for events and queues them. Returns whether it could wait at all.
    pub(super) fn wait(&mut self, patience: Duration, progress: &Progress, queue: &XidQueue) -> bool {
        let Some(set) = &self.set else { return false };
        let mut timeout = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        for _ in 0..AT_ONCE {
            match progress.call(Feature::EventWait, None, || set.wait(timeout)) {
                Ok(event) => queue.push(self.xid(&event)),
                Err(NvmlError::Timeout) => return true,
                Err(error) => {
                    self.missing.push((None, error.into()));
                    self.set = None;
                    self.is_broken = true;
                    return false;
                }
            }
            timeout = 0;
        }
        true
    }

    fn xid(&self, event: &EventData<'_>) -> Xid {
        let handle = address(&event.device);
        let watched = self.watched.iter().find(|watched| watched.handle == handle);
        let number = match event.event_data {
            Some(XidError::Value(number)) => Some(number),
            Some(XidError::Unknown) | None => None,
        };
        Xid {
            at: Timestamp::now(),
            gpu: watched.map(|watched| watched.index),
            uuid: watched.and_then(|watched| watched.uuid.clone()),
            number,
        }
    }
}

/// What tells handles apart.
fn address(device: &Device<'_>) -> usize {
    // SAFETY: the pointer is compared, never followed.
    unsafe { device.handle() }.addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_counts() {
        let queue = XidQueue::default();
        for number in 0..WAITING as u64 + 3 {
            queue.push(Xid { at: Timestamp::UNIX_EPOCH, gpu: None, uuid: None, number: Some(number) });
        }
        let (taken, lost) = queue.take();
        assert_eq!((taken.len(), lost, taken[0].number), (WAITING, 3, Some(0)));
        assert_eq!(queue.take(), (Vec::new(), 0));
    }
}
