//! Puts the frames of an interpreter between the native ones, where they belong: a JavaScript frame in place of
//! the compiled code or trampoline that runs it, Python frames just inside the evaluation loop that runs them.

use std::sync::Arc;

use crate::{
    model::{
        observation::{InterpretedFrame, Interpreter, RawUserStack},
        stack::{Frame, FrameKind, StackEnd},
    },
    unwind::{
        Grouping,
        python::{self, Native, PythonFrames, Slot},
    },
};

/// Frames of an interpreter that one walk keeps: where there are as many, the outermost may be missing.
const MAX_INTERPRETED: usize = 63;

/// The frames of a user stack, innermost first; `native` are those of its addresses.
pub(super) fn interleave(
    native: Vec<Arc<Frame>>,
    raw: &RawUserStack,
    python: Option<Grouping>,
) -> Vec<Arc<Frame>> {
    match (raw.interpreter, python) {
        (Interpreter::V8, _) => with_javascript(native, &raw.interpreted),
        (Interpreter::Python, Some(grouping)) => with_python(&native, raw, &grouping),
        (Interpreter::Python | Interpreter::None, _) => native,
    }
}

fn with_javascript(mut native: Vec<Arc<Frame>>, interpreted: &[InterpretedFrame]) -> Vec<Arc<Frame>> {
    for frame in interpreted {
        let Some(name) = &frame.frame else { continue };
        let place = usize::try_from(frame.position).ok().and_then(|i| native.get_mut(i));
        // A perf map that the process writes knows more: its names carry what the code was compiled as.
        if let Some(place) = place.filter(|p| p.kind != FrameKind::Javascript) {
            *place =
                Arc::new(Frame { binary: place.binary.clone(), address: place.address, ..(**name).clone() });
        }
    }
    native
}

fn with_python(native: &[Arc<Frame>], raw: &RawUserStack, grouping: &Grouping) -> Vec<Arc<Frame>> {
    let natives: Vec<Native> = native
        .iter()
        .zip(raw.addresses.iter())
        .map(|(frame, address)| {
            // A return address is behind its call.
            if grouping.cold.contains(&address.saturating_sub(1)) {
                Native::EvalLoop
            } else {
                Native::of(&frame.function)
            }
        })
        .collect();
    let owners: Vec<u8> = raw.interpreted.iter().map(|f| python::owner(f.position)).collect();
    let frames =
        PythonFrames { owners: &owners, entry: grouping.entry, whole: owners.len() < MAX_INTERPRETED };
    let merged = python::merge(&natives, raw.end == StackEnd::Complete, frames);
    let frame = |slot: &Slot| match *slot {
        Slot::Native(i) => native.get(i).cloned(),
        Slot::Python(i) => raw.interpreted.get(i).map(|f| f.frame.clone().unwrap_or_else(unnamed)),
    };
    merged.order.iter().filter_map(frame).collect()
}

/// A Python frame whose code object could not be read.
fn unnamed() -> Arc<Frame> {
    Arc::new(Frame {
        kind: FrameKind::Python,
        function: "[unknown]".to_owned(),
        file: None,
        line: None,
        binary: None,
        address: 0,
    })
}
