//! Profile formats, each a pure function of the same weighted stacks. pprof's is `profile`'s, since others send it too.

pub(super) mod folded;
pub(super) mod speedscope;
pub(super) mod svg;

pub(super) use crate::profile::{Subject, missing, pprof};

use crate::model::stack::{Frame, FrameKind};

/// A frame's name among frames of every world: unknown functions are told apart by their binary, scripts'
/// functions by their file.
fn label(frame: &Frame) -> String {
    let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match frame.kind {
        FrameKind::Kernel => format!("{}_[k]", frame.function),
        FrameKind::Python | FrameKind::Javascript => match &frame.file {
            Some(path) => format!("{} ({})", frame.function, file(path)),
            None => frame.function.clone(),
        },
        FrameKind::Native if frame.function == "[unknown]" => match &frame.binary {
            Some(binary) => format!("[{}]", file(&binary.path).trim_matches(['[', ']'])),
            None => frame.function.clone(),
        },
        FrameKind::Native => frame.function.clone(),
    }
}
