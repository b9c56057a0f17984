//! Objects of V8's heap, read from outside.
//!
//! The collector moves objects while we read, and a process may make up what it likes: what an object is, is
//! asked of its map at each step, and nothing follows more than one pointer by itself.

use super::layout::Layout;
use crate::unwind::memory::{Memory, Unreadable};

/// Low bits of a word that say what it is: a strong pointer to an object, and with another bit a weak one.
const TAG_MASK: u64 = 3;
const OBJECT: u64 = 1;
/// A small integer is in the upper half of a word, the lower one being 0.
const SMI_SHIFT: u32 = 32;

/// Why a function has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFunction {
    /// It is somewhere else, or its process is gone.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is something else: most likely it was moved, or freed.
    #[error("what is at {0:#x} is not what it was")]
    Other(u64),
}

/// A process's heap, and how to read it.
pub(super) struct Heap<'a, M> {
    pub(super) memory: &'a M,
    pub(super) layout: &'a Layout,
}

impl<M: Memory> Heap<'_, M> {
    /// A word of an object, by its offset.
    pub(super) fn word(&self, object: u64, offset: u32) -> Result<u64, Unreadable> {
        self.memory.u64(object.wrapping_add(offset.into()))
    }

    /// The object that a member points to, without the tag.
    pub(super) fn object(&self, object: u64, offset: u32) -> Result<u64, NotFunction> {
        pointer(self.word(object, offset)?).ok_or(NotFunction::Other(object))
    }

    /// The type of an object.
    pub(super) fn kind(&self, object: u64) -> Result<u16, NotFunction> {
        let map = self.object(object, self.layout.map)?;
        Ok(self.memory.u16(map.wrapping_add(self.layout.instance_type.into()))?)
    }

    /// An object of a type, through a member of another.
    pub(super) fn typed(&self, object: u64, offset: u32, kind: u16) -> Result<u64, NotFunction> {
        let found = self.object(object, offset)?;
        if self.kind(found)? == kind { Ok(found) } else { Err(NotFunction::Other(found)) }
    }
}

/// The address of an object, if the word is a strong pointer to one.
pub(super) fn pointer(word: u64) -> Option<u64> {
    (word & TAG_MASK == OBJECT).then(|| word.wrapping_sub(OBJECT))
}

/// A small integer that is not negative, if the word is one.
pub(super) fn small(word: u64) -> Option<u32> {
    let integer = (word >> SMI_SHIFT) as u32;
    (word << SMI_SHIFT == 0 && integer <= i32::MAX as u32).then_some(integer)
}
