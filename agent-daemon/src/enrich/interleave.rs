//! Puts the frames of an interpreter between the native ones, where they belong: a JavaScript frame in place of
//! the compiled code or trampoline that runs it, Python frames just inside the evaluation loop that runs them. Stacks
//! that miss frames of the interpreter, or whose order is a guess, say so, and are counted.

use std::sync::Arc;

use crate::{
    model::{
        observation::{InterpretedFrame, Interpreter, RawUserStack},
        stack::{Frame, FrameKind, StackEnd},
    },
    telemetry::{Loss, Losses},
    unwind::{
        Grouping,
        python::{self, Native, PythonFrames, Slot},
    },
};

/// The frames of a user stack, innermost first, and how it ends; `native` are those of its addresses.
pub(super) fn interleave(
    native: Vec<Arc<Frame>>,
    raw: &RawUserStack,
    python: Option<Grouping>,
    losses: &Losses,
) -> (Vec<Arc<Frame>>, StackEnd) {
    let (frames, flaw) = match (raw.interpreter, python) {
        (Interpreter::V8, _) => with_javascript(native, &raw.interpreted),
        (Interpreter::Python, Some(grouping)) => with_python(&native, raw, &grouping),
        // Nobody knows any more what its Python was like.
        (Interpreter::Python, None) => (native, (!raw.interpreted.is_empty()).then_some(Flaw::Missing)),
        (Interpreter::None, _) => (native, None),
    };
    let (loss, end) = match flaw {
        None => return (frames, raw.end),
        Some(Flaw::Missing) => (Loss::InterpretedMissing, StackEnd::InterpretedMissing),
        Some(Flaw::Guessed) => (Loss::OrderGuessed, StackEnd::OrderGuessed),
    };
    losses.add(loss, 1);
    // What ended the walk earlier says more.
    (frames, if raw.end == StackEnd::Complete { end } else { raw.end })
}

/// What is wrong with the interpreter's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Some are missing.
    Missing,
    /// Where they belong is a guess.
    Guessed,
}

fn with_javascript(
    mut native: Vec<Arc<Frame>>,
    interpreted: &[InterpretedFrame],
) -> (Vec<Arc<Frame>>, Option<Flaw>) {
    let index = |frame: &InterpretedFrame| usize::try_from(frame.position).unwrap_or(usize::MAX);
    // Their native frames were cut off, where an address could not be one.
    let is_missing = interpreted.iter().any(|frame| index(frame) >= native.len());
    for frame in interpreted {
        // Its native frame stays: code without a name.
        let Some(name) = &frame.frame else { continue };
        let place = native.get_mut(index(frame));
        // A perf map that the process writes knows more: its names carry what the code was compiled as.
        if let Some(place) = place.filter(|p| p.kind != FrameKind::Javascript) {
            *place =
                Arc::new(Frame { binary: place.binary.clone(), address: place.address, ..(**name).clone() });
        }
    }
    (native, is_missing.then_some(Flaw::Missing))
}

fn with_python(
    native: &[Arc<Frame>],
    raw: &RawUserStack,
    grouping: &Grouping,
) -> (Vec<Arc<Frame>>, Option<Flaw>) {
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
    let frames = PythonFrames::walked(&owners, grouping.entry);
    let merged = python::merge(&natives, raw.end == StackEnd::Complete, frames);
    // Where there are none at all, there is no order to guess.
    let (is_guessed, has_none) = (!merged.merged, owners.is_empty());
    let flaw = match (is_guessed, has_none) {
        _ if !frames.whole => Some(Flaw::Missing),
        (true, true) => Some(Flaw::Missing),
        (true, false) => Some(Flaw::Guessed),
        (false, _) => None,
    };
    let frame = |slot: &Slot| match *slot {
        Slot::Native(i) => native.get(i).cloned(),
        Slot::Python(i) => raw.interpreted.get(i).map(|f| f.frame.clone().unwrap_or_else(unnamed)),
    };
    (merged.order.iter().filter_map(frame).collect(), flaw)
}

/// A Python frame whose code object could not be read.
fn unnamed() -> Arc<Frame> {
    Arc::new(Frame {
        kind: FrameKind::Python,
        function: Frame::UNKNOWN.to_owned(),
        file: None,
        line: None,
        binary: None,
        address: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::python::Entry;

    const LOOP: &str = "_PyEval_EvalFrameDefault";

    fn frame(kind: FrameKind, function: &str) -> Arc<Frame> {
        let function = function.to_owned();
        Arc::new(Frame { kind, function, file: None, line: None, binary: None, address: 0 })
    }

    /// The functions of a stack, and what was counted as missing and as guessed.
    fn interleaved(
        native: &[&str],
        interpreter: Interpreter,
        positions: &[u64],
        grouping: Option<Entry>,
    ) -> (String, [u64; 2]) {
        let interpreted = positions.iter().enumerate().map(|(i, position)| InterpretedFrame {
            function: 0,
            position: *position,
            frame: Some(frame(FrameKind::Python, &format!("f{i}"))),
        });
        let raw = RawUserStack {
            addresses: vec![0x5000; native.len()].into(),
            interpreter,
            interpreted: interpreted.collect(),
            end: StackEnd::Complete,
            execs: 0,
        };
        let native = native.iter().map(|function| frame(FrameKind::Native, function)).collect();
        let losses = Losses::default();
        let grouping = grouping.map(|entry| Grouping { entry, cold: 0..0 });
        let (frames, end) = interleave(native, &raw, grouping, &losses);
        let names: Vec<_> = frames.iter().map(|f| f.function.as_str()).collect();
        let counted = ["interpreted_missing", "order_guessed"].map(|name| losses.all()[name]);
        let said = [StackEnd::InterpretedMissing, StackEnd::OrderGuessed].map(|e| u64::from(e == end));
        assert_eq!(counted, said, "what is counted is said");
        (names.join(" "), counted)
    }

    #[test]
    fn what_is_missing_or_guessed_is_counted() {
        let python = |native: &[&str], owners: &[u64]| {
            let positions: Vec<_> = owners.iter().map(|owner| owner << 48).collect();
            interleaved(native, Interpreter::Python, &positions, Some(Entry::Shim))
        };
        let whole = python(&[LOOP, "main"], &[0, 3]);
        assert_eq!(whole, (format!("f0 {LOOP} main"), [0, 0]));
        assert_eq!(python(&["main"], &[0, 3]), ("main f0".to_owned(), [0, 1]), "the loop has no name");
        let cut = python(&[LOOP, LOOP, "main"], &[0, 3, 0]);
        assert_eq!(cut, (format!("f0 {LOOP} f2 {LOOP} main"), [1, 0]), "a frame could not be read");
        assert_eq!(python(&[LOOP, "main"], &[]).1, [1, 0]);
        assert_eq!(python(&["main"], &[]).1, [0, 0]);
        let gone = interleaved(&[LOOP, "main"], Interpreter::Python, &[0, 3 << 48], None);
        assert_eq!(gone, (format!("{LOOP} main"), [1, 0]));
    }

    #[test]
    fn javascript_takes_its_native_frames_place() {
        let v8 = |positions: &[u64]| interleaved(&["[jit]", "main"], Interpreter::V8, positions, None);
        assert_eq!(v8(&[0]), ("f0 main".to_owned(), [0, 0]));
        assert_eq!(v8(&[0, 2]), ("f0 main".to_owned(), [1, 0]));
    }
}
