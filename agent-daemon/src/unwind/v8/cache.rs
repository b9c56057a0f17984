//! Functions that were read before.
//!
//! One entry is some 300 bytes, so that a full cache takes about 2.5 MB, and never more than 8 MB. An entry is compared with the process's
//! memory at each use: the collector moves functions, and uses addresses again. Where the process is gone, or
//! cannot be read now, what was read before stands.

use std::{num::NonZeroUsize, sync::Arc};

use super::{
    function::{Fingerprint, Function},
    heap::NotFunction,
    layout::Layout,
};
use crate::{
    model::id::ProcessId,
    unwind::{bounded::Bounded, memory::Memory},
};

/// Functions kept.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8 << 10).unwrap();
/// Bytes that they may take.
const MAX_BYTES: usize = 8 << 20;

/// Functions by process and address, the latest used.
#[derive(Debug)]
pub struct Functions {
    known: Bounded<(ProcessId, u64), Arc<Function>>,
}

impl Default for Functions {
    fn default() -> Self {
        Self { known: Bounded::new(CAPACITY, MAX_BYTES) }
    }
}

impl Functions {
    /// The function at an address of a process, as [`Function::read`] takes it.
    ///
    /// # Errors
    /// If it is none, or cannot be read and was not read before.
    pub fn get(
        &mut self,
        process: ProcessId,
        memory: &impl Memory,
        layout: &Layout,
        address: u64,
    ) -> Result<Arc<Function>, NotFunction> {
        if let Some(function) = self.known.get(&(process, address)) {
            match Fingerprint::read(memory, layout, address) {
                Err(NotFunction::Unreadable(_)) => return Ok(Arc::clone(function)),
                Ok(now) if now == function.fingerprint => return Ok(Arc::clone(function)),
                Ok(_) | Err(NotFunction::Other(_)) => {}
            }
        }
        let function = Arc::new(Function::read(memory, layout, address)?);
        self.known.put((process, address), Arc::clone(&function), function.bytes());
        Ok(function)
    }
}
