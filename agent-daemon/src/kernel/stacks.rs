//! Reads stacks by their id. An id is a hash of the content, so what was read once holds for ever; the
//! kernel's map may evict a stack, this cache as well, and neither ever makes an id mean another stack.

use std::{num::NonZeroUsize, sync::Arc};

use agent_common::stack::Stack;
use aya::{
    Ebpf,
    maps::{HashMap, MapError},
};
use lru::LruCache;

use super::error::KernelError;
use crate::model::observation::Addresses;

/// Stacks kept: 160 bytes each on average.
const CACHED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

pub(super) struct StackReader {
    cache: LruCache<u64, Arc<[u64]>>,
}

impl StackReader {
    pub(super) fn new() -> Self {
        Self { cache: LruCache::new(CACHED) }
    }

    /// The addresses of stack `id`, innermost first.
    pub(super) fn addresses(&mut self, ebpf: &Ebpf, id: u64) -> Result<Addresses, KernelError> {
        if id == 0 {
            return Ok(Addresses::Absent);
        }
        if let Some(known) = self.cache.get(&id) {
            return Ok(Addresses::Known(Arc::clone(known)));
        }
        let map = ebpf.map("STACKS").ok_or(KernelError::NoMap("STACKS"))?;
        let map: HashMap<_, u64, Stack> = HashMap::try_from(map)?;
        match map.get(&id, 0) {
            Ok(stack) => {
                let frames = stack.frames.get(..stack.length as usize).unwrap_or(&stack.frames);
                let frames: Arc<[u64]> = frames.into();
                self.cache.put(id, Arc::clone(&frames));
                Ok(Addresses::Known(frames))
            }
            Err(MapError::KeyNotFound) => Ok(Addresses::Lost),
            Err(e) => Err(e.into()),
        }
    }
}
