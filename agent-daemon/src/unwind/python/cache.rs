//! Code objects that were read before.
//!
//! One entry is some 700 bytes with its line table, so that a full cache takes about 6 MB; one that a process makes as
//! long as it can is 70 KB, and then there are fewer. An entry is compared
//! with the process's memory at each use, by one read: addresses are used again. Where the process is gone, or
//! cannot be read now, what was read before stands.

use std::{num::NonZeroUsize, sync::Arc};

use super::{
    code::{CodeObject, Fingerprint},
    layout::CodeLayout,
    text::NotCode,
};
use crate::{
    model::id::ProcessId,
    unwind::{bounded::Bounded, memory::Memory},
};

/// Code objects kept.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8 << 10).unwrap();
/// Bytes that they may take.
const MAX_BYTES: usize = 16 << 20;

/// Code objects by process and address, the latest used.
#[derive(Debug)]
pub struct Codes {
    known: Bounded<(ProcessId, u64), Arc<CodeObject>>,
}

impl Default for Codes {
    fn default() -> Self {
        Self { known: Bounded::new(CAPACITY, MAX_BYTES) }
    }
}

impl Codes {
    /// The code object at an address of a process.
    ///
    /// # Errors
    /// If it is none, or cannot be read and was not read before.
    pub fn get(
        &mut self,
        process: ProcessId,
        memory: &impl Memory,
        layout: &CodeLayout,
        address: u64,
    ) -> Result<Arc<CodeObject>, NotCode> {
        if let Some(code) = self.known.get(&(process, address)) {
            match Fingerprint::read(memory, layout, address) {
                Ok(now) if now != code.fingerprint => {}
                Ok(_) | Err(_) => return Ok(Arc::clone(code)),
            }
        }
        let code = Arc::new(CodeObject::read(memory, layout, address)?);
        self.known.put((process, address), Arc::clone(&code), code.bytes());
        Ok(code)
    }
}
