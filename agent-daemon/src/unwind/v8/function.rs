//! Functions of JavaScript: their names, scripts and lines, by `SharedFunctionInfo`.

use std::sync::Arc;

use super::{
    heap::{Heap, NotFunction, pointer},
    layout::Layout,
    scope::Scope,
    text::End,
};
use crate::unwind::memory::Memory;

/// UTF-16 units of a function's name that are kept.
const MAX_NAME: u64 = 256;
/// Those of a script's name: the last ones.
const MAX_SCRIPT: u64 = 512;
/// How the name of a script begins that is its own source.
const DATA: &str = "data:";
/// Modules (ECMAScript's) are named by address, others by path.
const FILE: &str = "file://";

/// What makes a function itself: as long as these are the same, so is the rest. The collector may move what they
/// point to; then the function is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    name_or_scope: u64,
    script: u64,
}

/// A function of JavaScript.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name, or the one that V8 inferred from where it was assigned (`handlers.spin`); `None` if it has none,
    /// as the function that a script itself is.
    pub name: Option<Arc<str>>,
    /// Its script: a path, or an address such as `node:internal/timers`, of one that holds the source (`data:`) only
    /// the length; `None` if it has none: built-in, or made by `eval`.
    pub script: Option<Arc<str>>,
    /// The line on which it begins, as far as that can be read.
    pub line: Option<u32>,
    /// What it was known by when it was read.
    pub fingerprint: Fingerprint,
}

impl Fingerprint {
    /// That of the function at an address now.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn read(memory: &impl Memory, layout: &Layout, address: u64) -> Result<Self, NotFunction> {
        Heap { memory, layout }.fingerprint(address)
    }
}

impl Function {
    /// The function at an address without a tag: that of a `SharedFunctionInfo`, or of a `JSFunction`.
    ///
    /// # Errors
    /// If it cannot be read, or is none. What only its name, script or line lack is left out.
    pub fn read(memory: &impl Memory, layout: &Layout, address: u64) -> Result<Self, NotFunction> {
        let heap = Heap { memory, layout };
        let fingerprint = heap.fingerprint(address)?;
        let scope = heap.name_or_scope(fingerprint.name_or_scope).unwrap_or_default();
        let name =
            scope.names.into_iter().flatten().find_map(|name| heap.some_text(name, MAX_NAME, End::First));
        let script =
            pointer(fingerprint.script).filter(|&script| heap.kind(script) == Ok(layout.script_type));
        let line =
            script.zip(scope.start).and_then(|(script, start)| heap.line(script, start).ok().flatten());
        Ok(Self { name, script: script.and_then(|script| heap.script_name(script)), line, fingerprint })
    }

    /// Bytes that it takes in a cache.
    pub(super) fn bytes(&self) -> usize {
        let text = [&self.name, &self.script].into_iter().flatten().map(|text| text.len());
        2 * size_of::<Self>() + text.sum::<usize>()
    }
}

impl<M: Memory> Heap<'_, M> {
    fn fingerprint(&self, address: u64) -> Result<Fingerprint, NotFunction> {
        let layout = self.layout;
        let shared = if self.kind(address)? == layout.shared_type {
            address
        } else {
            self.typed(address, layout.js_shared, layout.shared_type)?
        };
        Ok(Fingerprint {
            name_or_scope: self.word(shared, layout.shared.name_or_scope_info)?,
            script: self.word(shared, layout.shared.script)?,
        })
    }

    /// Before it is compiled a function keeps a name, afterwards a scope.
    fn name_or_scope(&self, word: u64) -> Result<Scope, NotFunction> {
        let Some(object) = pointer(word) else { return Ok(Scope::default()) };
        if self.kind(object)? == self.layout.scope_info_type {
            self.scope(object)
        } else {
            Ok(Scope { names: [Some(object), None], start: None })
        }
    }

    /// A string that is one, and not empty.
    fn some_text(&self, string: u64, max: u64, end: End) -> Option<Arc<str>> {
        self.text(string, max, end).ok().filter(|text| !text.is_empty()).map(Arc::from)
    }

    fn script_name(&self, script: u64) -> Option<Arc<str>> {
        let name = self.object(script, self.layout.script.name).ok()?;
        let scheme = self.text(name, DATA.len() as u64, End::First).ok()?;
        if scheme.starts_with(DATA) {
            let length = self.length(name).ok()?;
            return Some(format!("{DATA}[{} characters]", length.saturating_sub(DATA.len() as u64)).into());
        }
        let name = self.some_text(name, MAX_SCRIPT, End::Last)?;
        Some(name.strip_prefix(FILE).map_or_else(|| Arc::clone(&name), Arc::from))
    }
}
