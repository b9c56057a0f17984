//! Reads stacks by their id. An id is a hash of the content, so what was read once holds for ever; the
//! kernel's maps may evict a stack, these caches as well, and neither ever makes an id mean another stack.

use std::{num::NonZeroUsize, sync::Arc};

use agent_common::stack::{COPIED, KernelStack, NOT_WALKED, UserStack, end, interpreter};
use aya::{
    Ebpf,
    maps::{HashMap, MapError},
};
use lru::LruCache;

use super::{
    copies::{Found, FoundInCopies},
    error::KernelError,
};
use crate::model::{
    observation::{Addresses, InterpretedFrame, Interpreter, RawUserStack},
    stack::StackEnd,
};

/// Stacks kept, of each kind: 160 bytes each on average.
const CACHED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

pub(super) struct StackReader {
    kernel: LruCache<u64, Arc<[u64]>>,
    user: LruCache<u64, RawUserStack>,
    copies: FoundInCopies,
    unused_copies: u64,
}

impl StackReader {
    pub(super) fn new(copies: FoundInCopies) -> Self {
        let (kernel, user) = (LruCache::new(CACHED), LruCache::new(CACHED));
        Self { kernel, user, copies, unused_copies: 0 }
    }

    /// How many stacks were read since the last call that were copied, and of whose copies nothing was made.
    pub(super) fn take_unused_copies(&mut self) -> u64 {
        std::mem::take(&mut self.unused_copies)
    }

    /// The addresses of kernel stack `id`.
    pub(super) fn kernel(&mut self, ebpf: &Ebpf, id: u64) -> Result<Addresses, KernelError> {
        if id == 0 {
            return Ok(Addresses::Absent);
        }
        if let Some(known) = self.kernel.get(&id) {
            return Ok(Addresses::Known(Arc::clone(known)));
        }
        let map = ebpf.map("KERNEL_STACKS").ok_or(KernelError::NoMap("KERNEL_STACKS"))?;
        let map: HashMap<_, u64, KernelStack> = HashMap::try_from(map)?;
        match map.get(&id, 0) {
            Ok(stack) => {
                let frames = stack.frames.get(..stack.length as usize).unwrap_or(&stack.frames);
                let frames: Arc<[u64]> = frames.into();
                self.kernel.put(id, Arc::clone(&frames));
                Ok(Addresses::Known(frames))
            }
            Err(MapError::KeyNotFound) => Ok(Addresses::Lost),
            Err(e) => Err(e.into()),
        }
    }

    /// User stack `id` of a window: what was found in its copy, if there is one, else as it was walked.
    pub(super) fn user(&mut self, ebpf: &Ebpf, id: u64) -> Result<RawUserStack, KernelError> {
        let walked = self.walked(ebpf, id)?;
        if id & COPIED == 0 {
            return Ok(walked);
        }
        match self.copies.take(id) {
            Some(found) => Ok(completed(walked, found)),
            None => {
                self.unused_copies += 1;
                Ok(walked)
            }
        }
    }

    /// User stack `id` as it was walked.
    pub(super) fn walked(&mut self, ebpf: &Ebpf, id: u64) -> Result<RawUserStack, KernelError> {
        if id == 0 {
            return Ok(RawUserStack::without(StackEnd::Absent));
        }
        if id == NOT_WALKED {
            return Ok(RawUserStack::without(StackEnd::OverBudget));
        }
        if let Some(known) = self.user.get(&id) {
            return Ok(known.clone());
        }
        let map = ebpf.map("USER_STACKS").ok_or(KernelError::NoMap("USER_STACKS"))?;
        let map: HashMap<_, u64, UserStack> = HashMap::try_from(map)?;
        match map.get(&id, 0) {
            Ok(stack) => {
                let stack = decode(&stack);
                // Nobody asks again for what is one sample's.
                if id & COPIED == 0 {
                    self.user.put(id, stack.clone());
                }
                Ok(stack)
            }
            Err(MapError::KeyNotFound) => Ok(RawUserStack::without(StackEnd::Lost)),
            Err(e) => Err(e.into()),
        }
    }
}

/// A walk that was cut, with the frames that were found in the copy of its stack. The interpreter's frames keep their
/// places: Python's stand by their order, and V8's by the index of a native frame, which the walk had seen.
fn completed(walked: RawUserStack, found: Found) -> RawUserStack {
    RawUserStack { addresses: found.addresses, end: found.end, ..walked }
}

fn decode(stack: &UserStack) -> RawUserStack {
    let frames = stack.frames.get(..stack.length as usize).unwrap_or(&stack.frames);
    let interpreted =
        stack.interpreter.get(..stack.interpreter_length as usize).unwrap_or(&stack.interpreter);
    let interpreted = interpreted.iter().map(|f| InterpretedFrame {
        function: f.function,
        position: f.position,
        frame: None,
    });
    RawUserStack {
        addresses: frames.into(),
        interpreter: match stack.interpreter_kind & !interpreter::CUT {
            interpreter::PYTHON => Interpreter::Python,
            interpreter::V8 => Interpreter::V8,
            _ => Interpreter::None,
        },
        interpreted: interpreted.collect(),
        execs: stack.execs,
        end: match stack.end {
            end::COMPLETE if stack.interpreter_kind & interpreter::CUT != 0 => StackEnd::Truncated,
            end::COMPLETE => StackEnd::Complete,
            end::TRUNCATED => StackEnd::Truncated,
            end::NO_MAPPING => StackEnd::NoMapping,
            end::GAP => StackEnd::Gap,
            end::UNKNOWN_RULE => StackEnd::UnknownRule,
            end::UNREADABLE => StackEnd::Unreadable,
            end::NO_TABLE => StackEnd::NoTable,
            end::FRAME_POINTERS => StackEnd::FramePointers,
            end::NOT_64_BIT => StackEnd::Not64Bit,
            _ => StackEnd::Inconsistent,
        },
    }
}
