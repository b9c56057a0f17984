//! Which answer of a model asked for a tool call. Nothing that is seen links the two but time and names: an agent runs tools after
//! the answer that asks for them and before it asks again. So it is the last that had ended, if it asked for tools at all,
//! and how sure that is depends on the names.

use std::time::Duration;

use super::{OperationFilter, Order, operations};
use crate::{
    model::{
        id::AgentId,
        operation::{LLM, Operation, Source},
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// How long before a call its answer may have ended, and how long before it an answer that matters may have been asked for.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Answers that are looked at.
const MOST: usize = 10_000;

/// What asked for a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBy {
    /// The call of a model, an operation's id.
    pub call: u64,
    /// The tool that it asked for, by the name that it has there, where it is known which.
    pub tool: Option<String>,
    /// How that is known.
    pub confidence: Confidence,
}

/// How it is known what asked for a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The last answer before it asked for a tool of this very name.
    Name,
    /// The last answer before it asked for one tool, by another name.
    Single,
    /// The last answer before it asked for several tools, all by other names.
    Several,
}

impl Confidence {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Single => "single",
            Self::Several => "several",
        }
    }
}

/// An agent's answers of models.
pub struct Answers(Vec<Operation>);

/// Those of an agent that matter to calls of the range.
///
/// # Errors
/// The store cannot be read.
pub fn answers(store: &dyn Store, agent: &AgentId, calls: TimeRange) -> Result<Answers, StoreError> {
    let from = calls.from.checked_sub(PATIENCE).unwrap_or(Timestamp::MIN);
    let (kind, source) = (Some(LLM.to_owned()), Some(Source::Wire));
    let filter = OperationFilter { agent: Some(agent.clone()), kind, source, ..OperationFilter::default() };
    let page = operations(store, TimeRange { from, ..calls }, &filter, (Order::Newest, 0, MOST))?;
    Ok(Answers(page.operations))
}

impl Answers {
    /// What asked for the process tree of this name that began then.
    #[must_use]
    pub fn of_tool(&self, name: &str, at: Timestamp) -> Option<AskedBy> {
        let program = name.split(' ').next().unwrap_or(name);
        self.asked(at, |asked| asked.eq_ignore_ascii_case(program) || asked.eq_ignore_ascii_case(name))
    }

    /// What asked for the call of an MCP server's tool that began then: by its name alone, which clients put the server's
    /// before.
    #[must_use]
    pub fn of_mcp(&self, tool: &str, at: Timestamp) -> Option<AskedBy> {
        let is_it = |asked: &str| {
            asked.strip_suffix(tool).is_some_and(|server| server.is_empty() || server.ends_with('_'))
        };
        self.asked(at, is_it).filter(|asked| asked.confidence == Confidence::Name)
    }

    fn asked(&self, at: Timestamp, is_it: impl Fn(&str) -> bool) -> Option<AskedBy> {
        let asked = self.0.iter().filter_map(|answer| Some((answer, answer.llm.as_deref()?)));
        let is_recent =
            |end: Timestamp| end <= at && end.checked_add(PATIENCE).is_ok_and(|until| at <= until);
        let before = asked.filter(|(answer, llm)| !llm.serves && is_recent(answer.end()));
        let (last, llm) = before.max_by_key(|(answer, _)| answer.end())?;
        let (tool, confidence) = match (llm.tools.iter().find(|asked| is_it(asked)), &llm.tools[..]) {
            (_, []) => return None,
            (Some(tool), _) => (Some(tool.clone()), Confidence::Name),
            (None, [first, rest @ ..]) if rest.iter().all(|other| other == first) => {
                (Some(first.clone()), Confidence::Single)
            }
            (None, _) => (None, Confidence::Several),
        };
        Some(AskedBy { call: last.id, tool, confidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, llm_call_at};

    fn answer(id: u64, start: i64, tools: &[&str]) -> Operation {
        let mut answer = llm_call_at(at(start), id);
        (answer.id, answer.duration_ns) = (id, 2_000_000_000);
        let llm = answer.llm.as_mut().unwrap();
        llm.serves = false;
        llm.tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        answer
    }

    #[test]
    fn the_last_answer_before_a_call_asked_for_it() {
        let answers =
            Answers(vec![answer(1, 10, &["bash"]), answer(2, 20, &["grep", "read"]), answer(3, 30, &[])]);
        let told = |name, second| answers.of_tool(name, at(second)).map(|a| (a.call, a.tool, a.confidence));
        assert_eq!(told("ls", 11), None, "it had not ended");
        assert_eq!(told("ls", 13), Some((1, Some("bash".to_owned()), Confidence::Single)));
        assert_eq!(told("grep -r", 23), Some((2, Some("grep".to_owned()), Confidence::Name)));
        assert_eq!(told("cargo test", 23), Some((2, None, Confidence::Several)));
        assert_eq!(told("grep -r", 33), None, "the last answer asked for nothing");
    }

    #[test]
    fn calls_of_mcp_are_known_by_their_name_alone() {
        let answers = Answers(vec![answer(1, 10, &["mcp__weather__get_weather"])]);
        let told = |tool| answers.of_mcp(tool, at(13)).map(|asked| asked.confidence);
        assert_eq!(told("get_weather"), Some(Confidence::Name));
        assert_eq!((told("weather_now"), told("eather")), (None, None));
    }
}
