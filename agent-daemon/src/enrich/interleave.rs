//! Puts the frames of an interpreter between the native ones, where they belong: a JavaScript frame in place of
//! the compiled code or trampoline that runs it, Python frames in place of the evaluation loop that runs them.

use std::sync::Arc;

use crate::model::{
    observation::{InterpretedFrame, Interpreter, RawUserStack},
    stack::{Frame, FrameKind},
};

/// The frames of a user stack, innermost first.
pub(super) fn interleave(native: Vec<Arc<Frame>>, raw: &RawUserStack) -> Vec<Arc<Frame>> {
    match raw.interpreter {
        Interpreter::None => native,
        Interpreter::V8 => with_javascript(native, &raw.interpreted),
        Interpreter::Python => native,
    }
}

fn with_javascript(mut native: Vec<Arc<Frame>>, interpreted: &[InterpretedFrame]) -> Vec<Arc<Frame>> {
    for frame in interpreted {
        let Some(name) = &frame.frame else { continue };
        let place = usize::try_from(frame.position).ok().and_then(|i| native.get_mut(i));
        // A perf map that the process writes knows more: its names carry what the code was compiled as.
        if let Some(place) = place.filter(|p| p.kind != FrameKind::Javascript) {
            *place = Arc::new(Frame { binary: place.binary.clone(), address: place.address, ..(**name).clone() });
        }
    }
    native
}
