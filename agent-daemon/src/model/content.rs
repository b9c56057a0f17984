//! What agents say to models and tools, word by word: only of agents of whom the operator has it kept.
//!
//! None of these types shows in `Debug` what it holds. What is [`Unmasked`] goes nowhere but to who masks it; what is kept
//! is [`Content`].

use std::{fmt, sync::Arc};

/// What stands in a text where something of it was lost.
pub const LOST: &str = " … ";

/// Whether a byte may be of a secret that goes on: that ends where a blank, a quote or another script begins.
#[must_use]
pub fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`')
}

/// What may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// What models are asked.
    Prompts,
    /// What they answer.
    Completions,
    /// What tools are called with.
    ToolArguments,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Prompts, Self::Completions, Self::ToolArguments];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Completions => "completions",
            Self::ToolArguments => "tool_arguments",
        }
    }
}

/// What is kept of an agent: nothing, unless a rule says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The rule, by its place.
    rule: u16,
    parts: u8,
    /// The most bytes of each part of a call.
    max_bytes: u32,
}

impl Keep {
    /// Nothing.
    pub const NOTHING: Self = Self { rule: 0, parts: 0, max_bytes: 0 };

    /// These parts, so many bytes of each, by the rule of this place.
    #[must_use]
    pub fn new(rule: u16, parts: &[Part], max_bytes: u32) -> Self {
        let parts = parts.iter().fold(0, |bits, part| bits | 1 << *part as u8);
        Self { rule, parts, max_bytes }
    }

    /// Whether anything is kept.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.parts != 0
    }

    /// Whether this part is kept.
    #[must_use]
    pub fn has(self, part: Part) -> bool {
        self.parts & 1 << part as u8 != 0
    }

    /// The parts that are kept.
    pub fn parts(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| self.has(*part))
    }

    /// The most bytes of each part of a call.
    #[must_use]
    pub fn max_bytes(self) -> usize {
        self.max_bytes as usize
    }

    /// The rule, by its place.
    #[must_use]
    pub fn rule(self) -> usize {
        usize::from(self.rule)
    }
}

/// Something that was said.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is.
    pub part: Part,
    /// Who says it, in the provider's word; `reasoning` for what a model thinks.
    pub role: Option<String>,
    /// The tool that is called.
    pub tool: Option<String>,
    /// What was said.
    pub text: String,
    /// Bytes of it that are left out, from its beginning.
    pub left_out: u64,
    /// How many secrets in it are masked.
    pub masked: u32,
    /// Not all of it was seen.
    pub is_broken: bool,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {}", self.text.len(), self.part.name())
    }
}

/// What was said in a call, secrets and all.
#[derive(Clone, PartialEq, Eq)]
pub struct Unmasked {
    /// What is kept of it, and by which rule.
    pub keep: Keep,
    /// In their order. They reach further back than what is kept, so that secrets are known for what they are.
    pub texts: Vec<Text>,
    /// Bytes of texts that are left out as a whole.
    pub left_out: u64,
    /// Its share of the room for what is not stored yet.
    pub held: Held,
}

impl fmt::Debug for Unmasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.texts)
    }
}

/// What is kept of a call, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What is kept, and by which rule.
    pub keep: Keep,
    /// In their order.
    pub texts: Vec<Text>,
    /// Bytes of texts that are left out as a whole.
    pub left_out: u64,
    /// Its share of the room for what is not stored yet.
    pub held: Held,
}

/// A share of a room: it is free again when the last of its clones is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Held(Arc<()>);

impl Held {
    /// How many shares of the same room there are, this one and its maker's included.
    #[must_use]
    pub fn shares(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("held")
    }
}
