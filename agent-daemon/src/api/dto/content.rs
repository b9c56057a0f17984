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

/// Bytes of what was said that one page holds, about; one call it holds in any case.
const MOST_BYTES: usize = 16_000_000;

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
    /// What `offset` gives the next page; null on the last. A page ends after `limit` calls, or before its texts come to more than 16 MB.
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
        let mut bytes = 0;
        let fits = |(place, kept): &(usize, &Kept)| {
            bytes += kept.bytes();
            *place == 0 || bytes <= MOST_BYTES
        };
        let calls = kept.iter().map(AsRef::as_ref).skip(offset).take(limit).enumerate();
        let page: Vec<_> = calls.take_while(fits).map(|(_, kept)| ContentDto::of(kept)).collect();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{
            content::{Content, Held},
            id::AgentId,
        },
        store::fixture::at,
    };

    fn kept(call: u64, bytes: usize) -> Arc<Kept> {
        let (part, text) = (Part::Prompts, "x".repeat(bytes));
        let text = Text { part, role: None, tool: None, text, left_out: 0, masked: 0, is_broken: false };
        let content = Content { keep: Keep::NOTHING, texts: vec![text], left_out: 0, held: Held::default() };
        Arc::new(Kept { agent: AgentId::new(1, 2), call, kind: "llm", start: at(0), content })
    }

    #[test]
    fn a_page_is_bounded_by_calls_and_by_bytes() {
        let kept = [kept(1, 7_000_000), kept(2, 7_000_000), kept(3, 20_000_000), kept(4, 1)];
        let page = |offset, limit| {
            let list = ContentListDto::new(Keep::NOTHING, &kept, (offset, limit));
            (list.calls.len(), list.next_offset)
        };
        assert_eq!(page(0, 1), (1, Some(1)));
        assert_eq!(page(0, 1000), (2, Some(2)));
        assert_eq!(page(2, 1000), (1, Some(3)), "one is told, whatever it says");
        assert_eq!(page(3, 1000), (1, None));
    }
}
