//! What is known of a call so far: values of request and answer, gathered document by document.
//!
//! Counts of tokens are cumulative wherever they come more than once, so the largest counts. Nothing here is content, but for
//! [`Said`], where that is kept.

use crate::model::{operation::Durations, wire::Tokens};

use super::{
    field::{Field, Server},
    json::{Document, Hit, Value},
    rpc::Message,
    said::Said,
};

/// Tools that are kept of one answer.
const MOST_TOOLS: usize = 64;
/// The most tokens that a count may tell: no model reads or writes as many, and one answer is not to spend a budget.
const MOST_TOKENS: u64 = 1_000_000_000;
/// Messages of JSON-RPC that wait to be taken.
const MOST_MESSAGES: usize = 256;

/// How a provider counts what is part of something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counting {
    /// Tokens of a cache are not in its count of the input.
    pub(super) cache_apart: bool,
    /// Reasoning is not in its count of the output.
    pub(super) reasoning_apart: bool,
}

/// When content came.
#[derive(Debug, Default)]
pub(super) struct Pace {
    first_ns: Option<u64>,
    /// Whether content may have come that was not seen: before the first that was, or at all.
    late: bool,
    broken: bool,
    last_ns: u64,
    pub(super) chunks: u64,
    gaps: Durations,
}

impl Pace {
    fn content(&mut self, at_ns: u64) {
        if self.first_ns.is_some() {
            self.gaps.add(at_ns.saturating_sub(self.last_ns));
        }
        self.first_ns.get_or_insert(at_ns);
        self.last_ns = at_ns;
        self.chunks += 1;
    }

    /// Content may have been lost.
    pub(super) fn gap(&mut self) {
        self.late |= self.first_ns.is_none();
        self.broken = true;
    }

    /// When the first content came, ns.
    pub(super) fn first(&self) -> Option<u64> {
        self.first_ns.filter(|_| !self.late)
    }

    /// The mean of the times between two pieces of content, ns, and what 99 % of them do not exceed.
    pub(super) fn gaps(&self) -> Option<(u64, u64)> {
        let span = self.last_ns.saturating_sub(self.first_ns.filter(|_| !self.broken)?);
        let mean = span.checked_div(self.chunks.saturating_sub(1))?;
        Some((mean, self.gaps.quantile(0.99, span)?))
    }
}

/// What bodies told.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    /// The request is one of this dialect.
    pub(super) asked: bool,
    /// The answer is one of this dialect.
    pub(super) answered: bool,
    pub(super) response_model: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    tool_input: Option<u64>,
    total: Option<u64>,
    pub(super) finish: Option<String>,
    pub(super) tools: Vec<String>,
    error_type: Option<String>,
    error_code: Option<String>,
    pub(super) failed: bool,
    /// The status that an error names within an answer, in the place of its head's.
    pub(super) status: Option<u16>,
    /// The answer said that it is over.
    pub(super) ended: bool,
    pub(super) server: Option<Server>,
    pub(super) pace: Pace,
    /// Messages of JSON-RPC that nobody took yet.
    pub(super) messages: Vec<Message>,
    /// Messages that found no room.
    pub(super) messages_lost: u64,
    /// What was said, where that is kept.
    pub(super) said: Option<Box<Said>>,
}

impl Facts {
    /// Takes what a document says, as it stands.
    pub(super) fn fold(&mut self, document: &Document<'_>, at_ns: u64) {
        let mut content = false;
        for hit in document.hits {
            content |= hit.field == Field::Content;
            self.take(hit);
        }
        if content {
            self.pace.content(at_ns);
        }
        if let Some(said) = &mut self.said {
            said.take(document);
        }
    }

    pub(super) fn take(&mut self, hit: &Hit) {
        match (hit.field, &hit.value) {
            (Field::Hint(server), _) => self.server = Some(server),
            (Field::Asked, _) => self.asked = true,
            (Field::Answered, _) => self.answered = true,
            (Field::Failed, _) => self.failed = true,
            (Field::Stream, Value::Flag(stream)) => self.stream = Some(*stream),
            (field, Value::Word(word)) => self.word(field, word),
            (field, Value::Number(number)) => self.number(field, *number),
            _ => {}
        }
    }

    fn word(&mut self, field: Field, word: &str) {
        let place = match field {
            Field::Model => &mut self.model,
            Field::ResponseModel => &mut self.response_model,
            Field::Finish => &mut self.finish,
            Field::ErrorType => &mut self.error_type,
            Field::ErrorCode => &mut self.error_code,
            Field::Tool if self.tools.len() < MOST_TOOLS => return self.tools.push(word.to_owned()),
            _ => return,
        };
        // What begins an answer may be said again at its end; errors are told once.
        *place = Some(word.to_owned());
    }

    fn number(&mut self, field: Field, number: u64) {
        let place = match field {
            Field::Input => &mut self.input,
            Field::Output => &mut self.output,
            Field::CacheRead => &mut self.cache_read,
            Field::CacheWrite => &mut self.cache_write,
            Field::Reasoning => &mut self.reasoning,
            Field::ToolInput => &mut self.tool_input,
            Field::Total => &mut self.total,
            _ => return,
        };
        *place = (*place).max(Some(number));
    }

    /// An exception that a stream told of beside its documents.
    pub(super) fn exception(&mut self, name: &str) {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.len() <= 128 && name.bytes().all(is_word) {
            self.error_type = Some(name.to_owned());
        }
        self.failed = true;
    }

    /// The class of the error that the answer told of.
    pub(super) fn error(&self) -> Option<&str> {
        self.error_type.as_deref().or(self.error_code.as_deref())
    }

    /// Whether the answer told how much was used.
    pub(super) fn has_usage(&self) -> bool {
        self.input.is_some() || self.output.is_some() || self.total.is_some()
    }

    /// Totals and their parts, whatever the provider's habit.
    pub(super) fn tokens(&self, counting: Counting) -> Tokens {
        let parts = [self.cache_read, self.cache_write].map(Option::unwrap_or_default);
        let cache = if counting.cache_apart { parts[0].saturating_add(parts[1]) } else { 0 };
        let beside = cache.saturating_add(self.tool_input.unwrap_or(0));
        let input = self.input.map(|input| input.saturating_add(beside));
        let reasoning = self.reasoning.unwrap_or(0);
        let apart = counting.reasoning_apart || self.total_has_reasoning_apart();
        let output = match apart {
            // A model may have done nothing but think.
            true => self.output.or(self.reasoning.map(|_| 0)).map(|output| output.saturating_add(reasoning)),
            false => self.output,
        };
        let credible = |count: Option<u64>| count.filter(|count| *count <= MOST_TOKENS);
        Tokens {
            input: credible(input),
            output: credible(output),
            cache_read: credible(self.cache_read),
            cache_write: credible(self.cache_write),
            reasoning: credible(self.reasoning),
        }
    }

    /// Servers of one dialect differ in this; where they tell the sum, it decides.
    fn total_has_reasoning_apart(&self) -> bool {
        let sum = || self.input?.checked_add(self.output?)?.checked_add(self.reasoning?);
        self.reasoning.is_some_and(|reasoning| reasoning > 0) && sum().is_some() && sum() == self.total
    }

    /// Takes what the answer's head counted.
    pub(super) fn headers_count(&mut self, input: Option<u64>, output: Option<u64>) {
        self.input = self.input.or(input);
        self.output = self.output.or(output);
    }

    /// Keeps a message of JSON-RPC until it is taken.
    pub(super) fn message(&mut self, message: Message) {
        match self.messages.len() < MOST_MESSAGES {
            true => self.messages.push(message),
            false => self.messages_lost += 1,
        }
    }
}
