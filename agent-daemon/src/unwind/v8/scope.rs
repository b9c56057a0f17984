//! `ScopeInfo`: what V8 keeps of a compiled function's scope, among it the function's name and place.
//!
//! The binary tells nothing of its members, most of which are there or not by its flags. Their order was read off
//! the scopes of known functions in Node 18.20, 20.20, 22.23 and 24.21. It is a run of words:
//!
//! | word | what |
//! |---|---|
//! | 0 | map |
//! | 1 | flags: a small integer, in Node 24 a plain one |
//! | 2, 3 | count of parameters, count of variables kept in the context |
//! | 4, 5 | where the function begins and ends in its script: Node 24 only |
//! | then | in a module, the count of its variables |
//! | | the variables' names; 75 or more of them are in a table of their own, which is one word |
//! | | one word for each variable |
//! | | if flagged: the variable that a class is saved in; the function's name, and one word more; its inferred name |
//! | | where the function begins and ends in its script: until Node 22 |

use super::heap::{Heap, NotFunction, pointer, small};
use crate::unwind::memory::Memory;

const FLAGS: u32 = 1;
const LOCALS: u32 = 3;
const FIRST: u32 = 4;
/// From so many variables on, their names are in a table.
const TABLE: u32 = 75;
/// No function has more variables: parameters and variables are limited to 65,535.
const MAX_LOCALS: u32 = 1 << 16;

/// Flags.
const SAVED_CLASS: u32 = 1 << 10;
const FUNCTION_NAME: u32 = 3 << 12;
const INFERRED_NAME: u32 = 1 << 14;

/// What a scope tells of its function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// The strings that may be its name, the best first; they may be empty, or no strings.
    pub(super) names: [Option<u64>; 2],
    /// Where it begins in its script: UTF-16 units from the script's start.
    pub(super) start: Option<u32>,
}

impl<M: Memory> Heap<'_, M> {
    /// Reads a `ScopeInfo`.
    pub(super) fn scope(&self, scope: u64) -> Result<Scope, NotFunction> {
        let word = |index: u32| self.word(scope, index * 8);
        let plain = word(FLAGS)?;
        let (flags, old) = small(plain).map_or((plain as u32, false), |flags| (flags, true));
        let locals = small(word(LOCALS)?).filter(|&locals| locals <= MAX_LOCALS);
        let locals = locals.ok_or(NotFunction::Other(scope))?;
        let mut at = if old { FIRST } else { FIRST + 2 };
        // Names are objects: a number before them is a module's.
        at += u32::from(locals > 0 && pointer(word(at)?).is_none());
        at += locals + if locals < TABLE { locals } else { 1 };
        at += u32::from(flags & SAVED_CLASS != 0);
        let mut found = Scope::default();
        if flags & FUNCTION_NAME != 0 {
            found.names[0] = pointer(word(at)?);
            at += 2;
        }
        if flags & INFERRED_NAME != 0 {
            found.names[1] = pointer(word(at)?);
            at += 1;
        }
        found.start = small(word(if old { at } else { FIRST })?);
        Ok(found)
    }
}
