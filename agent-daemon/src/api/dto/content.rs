//! What agents said, on the wire: only what the configuration has kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    content::Kept,
    model::{
        content::{Keep, Part, Text},
        time::Timestamp,
    },
};

/// What an agent said in its calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ContentList)]
pub struct ContentListDto {
    /// What the configuration (`content.agents`) keeps of this agent: nothing, where this is empty.
    pub keeps: Vec<PartDto>,
    /// The most bytes of each of these that are kept of one call.
    pub max_bytes: u64,
    /// All calls that match of which something is kept.
    pub total: usize,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// The calls, the newest first.
    pub calls: Vec<ContentDto>,
}

/// What may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ContentPart)]
pub enum PartDto {
    /// What models are asked.
    Prompts,
    /// What they answer.
    Completions,
    /// What tools are called with.
    ToolArguments,
}

impl From<Part> for PartDto {
    fn from(part: Part) -> Self {
        match part {
            Part::Prompts => Self::Prompts,
            Part::Completions => Self::Completions,
            Part::ToolArguments => Self::ToolArguments,
        }
    }
}

impl PartDto {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => Part::Prompts.name(),
            Self::Completions => Part::Completions.name(),
            Self::ToolArguments => Part::ToolArguments.name(),
        }
    }
}

/// What was said in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Content)]
pub struct ContentDto {
    /// The call, as `/api/v1/llm-calls` and `/api/v1/mcp-calls` have it.
    pub call: String,
    /// `llm` or `mcp`.
    #[schema(example = "llm")]
    pub kind: String,
    /// When it began.
    pub start: Timestamp,
    /// Bytes of texts that are left out as a whole: those that were said first.
    pub left_out_bytes: u64,
    /// What was said, in its order.
    pub texts: Vec<TextDto>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ContentText)]
pub struct TextDto {
    /// What it is.
    pub part: PartDto,
    /// Who says it, in the provider's word; `reasoning` for what a model thinks. Null for arguments.
    #[schema(example = "user")]
    pub role: Option<String>,
    /// The tool that is called; null for all else.
    pub tool: Option<String>,
    /// What was said, `[masked]` in the place of secrets.
    pub text: String,
    /// Bytes that are left out of its beginning.
    pub left_out_bytes: u64,
    /// How many secrets are masked, or what may be parts of such at the ends.
    pub masked: u32,
    /// Whether something of it was not seen.
    pub partial: bool,
}

impl ContentListDto {
    /// A page of what is kept, in this order.
    #[must_use]
    pub fn new(keep: Keep, kept: &[impl AsRef<Kept>], (offset, limit): (usize, usize)) -> Self {
        let page: Vec<_> =
            kept.iter().skip(offset).take(limit).map(|kept| ContentDto::of(kept.as_ref())).collect();
        let next = offset.saturating_add(page.len());
        Self {
            keeps: keep.parts().map(PartDto::from).collect(),
            max_bytes: keep.max_bytes() as u64,
            total: kept.len(),
            next_offset: (next < kept.len() && !page.is_empty()).then_some(next),
            calls: page,
        }
    }
}

impl ContentDto {
    fn of(kept: &Kept) -> Self {
        Self {
            call: format!("{:016x}", kept.call),
            kind: kept.kind.to_owned(),
            start: kept.start,
            left_out_bytes: kept.content.left_out,
            texts: kept.content.texts.iter().map(TextDto::from).collect(),
        }
    }
}

impl From<&Text> for TextDto {
    fn from(text: &Text) -> Self {
        Self {
            part: text.part.into(),
            role: text.role.clone(),
            tool: text.tool.clone(),
            text: text.text.clone(),
            left_out_bytes: text.left_out,
            masked: text.masked,
            partial: text.is_broken,
        }
    }
}
