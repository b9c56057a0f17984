//! Frames and stacks in the journal: each told once a section, and referred to by number.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::DataError;
use crate::model::stack::{Binary, Frame, FrameKind, Stack, StackEnd};

/// The most frames, and the most stacks, of one section that are remembered: more than a file of a gigabyte tells.
const MAX_NAMES: usize = 4 << 20;

/// New frames and stacks. Each list's first number is told, so that a line that is lost shifts none.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct NamesData {
    pub(in crate::export::journal) v: u32,
    pub(in crate::export::journal) section: String,
    pub(in crate::export::journal) first_frame: u64,
    pub(in crate::export::journal) frames: Vec<FrameData>,
    pub(in crate::export::journal) first_stack: u64,
    pub(in crate::export::journal) stacks: Vec<StackData>,
}

/// One call on a stack.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct FrameData {
    kind: FrameKind,
    function: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build_id: Option<String>,
    /// Hexadecimal, `0x…`: it may exceed what readers of JSON hold as a number.
    address: String,
}

/// A stack: the numbers of its frames, innermost first.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct StackData {
    pub(in crate::export::journal) end: StackEnd,
    pub(in crate::export::journal) frames: Vec<u64>,
}

impl From<&Frame> for FrameData {
    fn from(frame: &Frame) -> Self {
        Self {
            kind: frame.kind,
            function: frame.function.clone(),
            file: frame.file.clone(),
            line: frame.line,
            binary: frame.binary.as_ref().map(|b| b.path.clone()),
            build_id: frame.binary.as_ref().and_then(|b| b.build_id.clone()),
            address: format!("{:#x}", frame.address),
        }
    }
}

impl TryFrom<FrameData> for Frame {
    type Error = DataError;

    fn try_from(data: FrameData) -> Result<Self, DataError> {
        let digits = data.address.strip_prefix("0x").ok_or(DataError::Value("an address"))?;
        let build_id = data.build_id;
        Ok(Self {
            kind: data.kind,
            function: data.function,
            file: data.file,
            line: data.line,
            binary: data.binary.map(|path| Arc::new(Binary { path, build_id })),
            address: u64::from_str_radix(digits, 16).map_err(|_| DataError::Value("an address"))?,
        })
    }
}

/// The names of one section, as far as it was read.
#[derive(Debug, Default)]
pub(in crate::export::journal) struct Names {
    frames: FxHashMap<u64, Arc<Frame>>,
    stacks: FxHashMap<u64, Arc<Stack>>,
}

impl Names {
    /// Takes in what a line tells. All of it, or nothing.
    pub(in crate::export::journal) fn add(&mut self, data: NamesData) -> Result<(), DataError> {
        let room = |known: usize, new: usize| known.saturating_add(new) <= MAX_NAMES;
        if !room(self.frames.len(), data.frames.len()) || !room(self.stacks.len(), data.stacks.len()) {
            return Err(DataError::TooMany);
        }
        let mut frames = FxHashMap::default();
        for (number, frame) in (data.first_frame..).zip(data.frames) {
            frames.insert(number, Arc::new(Frame::try_from(frame)?));
        }
        let mut stacks = Vec::with_capacity(data.stacks.len());
        for stack in data.stacks {
            let frame = |number| {
                let known = frames.get(&number).or_else(|| self.frames.get(&number));
                known.cloned().ok_or(DataError::Dangling("a frame"))
            };
            let named = stack.frames.into_iter().map(frame).collect::<Result<_, _>>()?;
            stacks.push(Arc::new(Stack { frames: named, end: stack.end }));
        }
        self.frames.extend(frames);
        self.stacks.extend((data.first_stack..).zip(stacks));
        Ok(())
    }

    /// The stack of this number.
    pub(in crate::export::journal) fn stack(&self, number: u64) -> Option<Arc<Stack>> {
        self.stacks.get(&number).cloned()
    }
}
