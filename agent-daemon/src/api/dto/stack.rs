//! Stacks on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{FrameKindDto, StackEndDto};
use crate::model::stack::{Frame, Stack};

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Stack)]
pub struct StackDto {
    /// Innermost frame first; kernel frames stand before user frames.
    pub frames: Vec<FrameDto>,
    /// How the walk of the user part ended.
    pub end: StackEndDto,
}

/// One function call on a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Frame)]
pub struct FrameDto {
    /// Which world.
    pub kind: FrameKindDto,
    /// The function's name; `[unknown]` where no symbol covers the address.
    pub function: String,
    /// Source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Source line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Path of the binary that the code comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// That binary's GNU build id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Offset in the binary's file, or the address itself where there is no file; hexadecimal, since JSON
    /// numbers cannot hold it.
    #[schema(example = "0x1a2b")]
    pub address: String,
}

impl From<&Stack> for StackDto {
    fn from(stack: &Stack) -> Self {
        Self { frames: stack.frames.iter().map(|f| f.as_ref().into()).collect(), end: stack.end.into() }
    }
}

impl From<&Frame> for FrameDto {
    fn from(frame: &Frame) -> Self {
        Self {
            kind: frame.kind.into(),
            function: frame.function.clone(),
            file: frame.file.clone(),
            line: frame.line,
            binary: frame.binary.as_ref().map(|b| b.path.clone()),
            build_id: frame.binary.as_ref().and_then(|b| b.build_id.clone()),
            address: format!("{:#x}", frame.address),
        }
    }
}
