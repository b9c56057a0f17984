//! Reads stacks by their id. An id is a hash of the content, so what was read once holds for ever; the
//! kernel's maps may evict a stack, these caches as well, and neither ever makes an id mean another stack.

use std::{num::NonZeroUsize, sync::Arc};

use agent_common::stack::{KernelStack, NOT_WALKED, UserStack, end, interpreter};
use aya::{
    Ebpf,
    maps::{HashMap, MapError},
};
use lru::LruCache;

use super::error::KernelError;
use crate::model::{
    observation::{Addresses, InterpretedFrame, Interpreter, RawUserStack},
    stack::StackEnd,
};

/// Stacks kept, of each kind: 160 bytes each on average.
const CACHED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

pub(super) struct StackReader {
    kernel: LruCache<u64, Arc<[u64]>>,
    user: LruCache<u64, RawUserStack>,
}

impl StackReader {
    pub(super) fn new() -> Self {
        Self { kernel: LruCache::new(CACHED), user: LruCache::new(CACHED) }
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

    /// User stack `id`.
    pub(super) fn user(&mut self, ebpf: &Ebpf, id: u64) -> Result<RawUserStack, KernelError> {
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
                self.user.put(id, stack.clone());
                Ok(stack)
            }
            Err(MapError::KeyNotFound) => Ok(RawUserStack::without(StackEnd::Lost)),
            Err(e) => Err(e.into()),
        }
    }
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
