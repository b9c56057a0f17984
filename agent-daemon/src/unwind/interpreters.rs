//! The interpreters of processes: which one each runs, and the names of its frames, read from its memory. Shared
//! by the thread that tells the walker, the collector, which names the frames of processes that may not live
//! long, and the resolver, which names the rest once per window.

use std::{
    num::NonZeroUsize,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

use super::{
    bounded::Bounded,
    memory::{Memory as _, ProcessMemory, Unreadable},
    processes::Interpreter as Told,
    python,
    symbols::Symbols,
    v8,
};
use crate::model::{
    id::ProcessId,
    observation::{InterpretedFrame, Interpreter, RawUserStack},
    stack::{Frame, FrameKind},
};

/// Processes whose interpreter is known, live and exited.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(16 << 10).unwrap();
/// Frames with names: some 200 bytes each.
const FRAMES: NonZeroUsize = NonZeroUsize::new(32 << 10).unwrap();
/// Bytes that they may take.
const FRAME_BYTES: usize = 16 << 20;

/// How long naming a stack may take on the collector's thread: a hundred times what it mostly takes.
const AT_ONCE: Duration = Duration::from_millis(20);

/// What a JavaScript function is called that has no name.
const ANONYMOUS: &str = "(anonymous)";

/// What a mapping can tell about interpreters.
pub(super) struct CodeOf {
    pub(super) path: String,
    /// Address in the process less address in the file.
    pub(super) bias: u64,
    pub(super) symbols: Arc<Symbols>,
}

/// How the Python frames of a process stand among the native ones.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// Which of them one call of the evaluation loop runs.
    pub entry: python::Entry,
    /// Where the process has a part of the evaluation loop that no symbol names.
    pub cold: Range<u64>,
}

/// The interpreter of one process.
#[derive(Clone, Debug)]
enum Runtime {
    Python(python::Layout, Grouping),
    V8(Box<v8::Layout>),
    /// There is one, whose frames cannot be read, for this reason.
    Refused(String),
}

/// A frame that was named, and in which round that was last checked.
struct Named {
    frame: Arc<Frame>,
    round: u64,
}

struct Known {
    runtimes: LruCache<ProcessId, Runtime>,
    codes: python::Codes,
    functions: v8::Functions,
    frames: Bounded<(ProcessId, u64, u64), Named>,
    round: u64,
}

/// The interpreters of all processes.
pub struct Interpreters(Mutex<Known>);

impl Default for Interpreters {
    fn default() -> Self {
        Self(Mutex::new(Known {
            runtimes: LruCache::new(PROCESSES),
            codes: python::Codes::default(),
            functions: v8::Functions::default(),
            frames: Bounded::new(FRAMES, FRAME_BYTES),
            round: 0,
        }))
    }
}

impl Interpreters {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks which interpreter a process runs, by the files that it has mapped; `is_whole` says that these could all
    /// be read. `None` if that could not be told now, as of a process that is about to end: what was known stands.
    pub(super) fn detect(&self, process: ProcessId, files: &[CodeOf], is_whole: bool) -> Option<Told> {
        let memory = ProcessMemory::new(process);
        let found =
            detect_python(files, &memory).transpose().or_else(|| detect_v8(files, &memory).transpose());
        let is_certain = is_whole && !matches!(found, Some(Err(Refusal::Unreadable(_))));
        let mut known = self.lock();
        let knows = |known: &mut Known| {
            matches!(known.runtimes.peek(&process), Some(Runtime::Python(..) | Runtime::V8(_)))
        };
        let (runtime, told) = match found {
            Some(Ok(found)) => found,
            _ if !is_certain && knows(&mut known) => return None,
            Some(Err(refusal)) => (Runtime::Refused(refusal.to_string()), Told::default()),
            None => {
                known.runtimes.pop(&process);
                return Some(Told::default());
            }
        };
        tracing::debug!(pid = process.pid(), ?runtime, "an interpreter");
        known.runtimes.put(process, runtime);
        Some(told)
    }

    /// The child runs what its parent runs.
    pub(super) fn forked(&self, parent: ProcessId, child: ProcessId) {
        let mut known = self.lock();
        if let Some(runtime) = known.runtimes.get(&parent).cloned() {
            known.runtimes.put(child, runtime);
        }
    }

    /// Begins a round: names are believed for one, then compared with the process's memory again.
    pub fn begin_round(&self) {
        self.lock().round += 1;
    }

    /// How the Python frames of a process stand among the native ones, if it runs Python.
    #[must_use]
    pub fn python(&self, process: ProcessId) -> Option<Grouping> {
        match self.lock().runtimes.get(&process) {
            Some(Runtime::Python(_, grouping)) => Some(grouping.clone()),
            _ => None,
        }
    }

    /// Why the frames of a process's interpreter cannot be read, if it has one and they cannot.
    #[must_use]
    pub fn refusal(&self, process: ProcessId) -> Option<String> {
        match self.lock().runtimes.peek(&process) {
            Some(Runtime::Refused(reason)) => Some(reason.clone()),
            _ => None,
        }
    }

    /// The interpreted frames of a stack with their names, as far as those can be read at once.
    #[must_use]
    pub fn name(&self, process: ProcessId, stack: &RawUserStack) -> Arc<[InterpretedFrame]> {
        let began = Instant::now();
        self.name_in_time(process, stack, || began.elapsed() < AT_ONCE).0
    }

    /// The interpreted frames of a stack with their names, as far as those can be read while there is time; and for
    /// how many there was none. Names that were right a round ago then stand.
    #[must_use]
    pub fn name_in_time(
        &self,
        process: ProcessId,
        stack: &RawUserStack,
        in_time: impl Fn() -> bool,
    ) -> (Arc<[InterpretedFrame]>, u64) {
        if stack.interpreter == Interpreter::None {
            return (Arc::clone(&stack.interpreted), 0);
        }
        let memory = ProcessMemory::new(process);
        let mut late = 0;
        let named = stack.interpreted.iter().map(|raw| {
            // Others, among them the collector, wait for no more than one frame.
            let frame = self.lock().frame(process, &memory, raw, &in_time).unwrap_or_else(|Late| {
                late += 1;
                None
            });
            InterpretedFrame { frame, ..*raw }
        });
        (named.collect(), late)
    }
}

/// There was no time to read a name.
struct Late;

/// Why there is an interpreter whose frames cannot be read.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Python(python::Refusal),
    #[error(transparent)]
    V8(#[from] v8::Refusal),
}

impl From<python::Refusal> for Refusal {
    fn from(refusal: python::Refusal) -> Self {
        match refusal {
            python::Refusal::Unreadable(unreadable) => Self::Unreadable(unreadable),
            refusal => Self::Python(refusal),
        }
    }
}

/// CPython, where a binary has its state.
fn detect_python(files: &[CodeOf], memory: &ProcessMemory) -> Result<Option<(Runtime, Told)>, Refusal> {
    let symbols: Vec<_> = files.iter().map(|f| |name: &str| f.symbols.get(name)).collect();
    let sections: Vec<_> = files.iter().map(|f| |name: &str| f.symbols.section(name)).collect();
    let code = files.iter().zip(&symbols).zip(&sections).map(|((file, symbol), section)| python::CodeFile {
        path: &file.path,
        bias: file.bias,
        symbol,
        section,
    });
    let code: Vec<_> = code.collect();
    let Some(layout) = python::detect(&code, memory)? else { return Ok(None) };
    let cold = files.iter().find_map(|f| {
        let cold = f.symbols.eval_cold()?;
        Some(cold.start.wrapping_add(f.bias)..cold.end.wrapping_add(f.bias))
    });
    let grouping = Grouping { entry: layout.entry, cold: cold.unwrap_or_default() };
    let told = Told { python: layout.walker, ..Told::default() };
    Ok(Some((Runtime::Python(layout, grouping), told)))
}

/// V8, where a binary tells of it.
fn detect_v8(files: &[CodeOf], memory: &ProcessMemory) -> Result<Option<(Runtime, Told)>, Refusal> {
    const PREFIX: &str = "v8dbg_";
    let is_v8 = |f: &&CodeOf| f.symbols.with_prefix(PREFIX).next().is_some();
    let Some(file) = files.iter().find(is_v8) else { return Ok(None) };
    let numbers = file
        .symbols
        .with_prefix(PREFIX)
        .map(|(name, address)| Ok((name, memory.u32(address.wrapping_add(file.bias))?.cast_signed())));
    let layout = v8::Layout::read(numbers.collect::<Result<Vec<_>, Unreadable>>()?)?;
    let told = Told { js_shared: layout.js_shared, ..Told::default() };
    Ok(Some((Runtime::V8(Box::new(layout)), told)))
}

impl Known {
    fn frame(
        &mut self,
        process: ProcessId,
        memory: &ProcessMemory,
        raw: &InterpretedFrame,
        in_time: impl Fn() -> bool,
    ) -> Result<Option<Arc<Frame>>, Late> {
        let key = (process, raw.function, raw.position);
        let round = self.round;
        let known = self.frames.get(&key).filter(|n| n.round + 1 >= round);
        if let Some(named) = known.filter(|n| n.round == round || !in_time()) {
            return Ok(Some(Arc::clone(&named.frame)));
        }
        if !matches!(self.runtimes.peek(&process), Some(Runtime::Python(..) | Runtime::V8(_))) {
            return Ok(None);
        }
        if !in_time() {
            return Err(Late);
        }
        let Some(frame) = self.read(process, memory, raw) else { return Ok(None) };
        // Most frames are what they were: their allocation is kept, so that stacks stay equal.
        let frame = match self.frames.get(&key).filter(|n| *n.frame == frame) {
            Some(same) => Arc::clone(&same.frame),
            None => Arc::new(frame),
        };
        let bytes =
            2 * size_of::<Frame>() + frame.function.len() + frame.file.as_ref().map_or(0, String::len);
        self.frames.put(key, Named { frame: Arc::clone(&frame), round }, bytes);
        Ok(Some(frame))
    }

    /// Reads a frame's name from its process's memory.
    fn read(&mut self, process: ProcessId, memory: &ProcessMemory, raw: &InterpretedFrame) -> Option<Frame> {
        let (kind, function, file, line) = match self.runtimes.get(&process)? {
            Runtime::Refused(_) => return None,
            Runtime::Python(layout, _) => {
                let code = self.codes.get(process, memory, &layout.names, raw.function).ok()?;
                let line = code.line(raw.position);
                (FrameKind::Python, code.name.to_string(), Some(code.file.to_string()), line)
            }
            Runtime::V8(layout) => {
                let read = self.functions.get(process, memory, layout, raw.function).ok()?;
                let name = read.name.as_deref().unwrap_or(ANONYMOUS).to_owned();
                (FrameKind::Javascript, name, read.script.as_deref().map(str::to_owned), read.line)
            }
        };
        Some(Frame { kind, function, file, line, binary: None, address: 0 })
    }
}

#[cfg(test)]
mod tests;
