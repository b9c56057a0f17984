//! Of which agents content is kept: what models are asked and answer, and what tools are called with. Of none, unless said.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    glob::Glob,
    options::{Opt, boolean, put},
    raw::{ItemError, Text},
    rule::Regex,
    size::{format_bytes, parse_bytes},
    texts::Texts,
};
use crate::model::{
    agent::AgentSource,
    content::{Keep, Part},
};

/// The most rules.
pub(super) const MAX_RULES: usize = 64;
/// The most patterns of one.
const MAX_PATTERNS: usize = 64;
/// What is kept of each part of a call, bytes, where nothing is said.
const USUAL: u64 = 16_000;
const LEAST: u64 = 64;
const MOST: u64 = 1_000_000;

/// A rule, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawContentRule {
    agent: Text,
    keep: Option<Spanned<Texts>>,
    max_size: Text,
    mask: Option<Spanned<Texts>>,
    attached: Text,
}

/// What is kept of what agents say.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Of whom; the first rule that matches an agent's name counts.
    pub agents: Vec<ContentRule>,
    /// Bytes of all of it together; beyond, the oldest goes.
    pub max_bytes: u64,
}

/// Of which agents what is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentRule {
    /// Their names.
    pub agent: Glob,
    /// Whether also of those that somebody attached by pid, and named as they liked.
    pub attached: bool,
    /// What.
    pub parts: Vec<Part>,
    /// The most bytes of each part of a call.
    pub max_bytes: u32,
    /// What is masked besides well-known secrets.
    pub mask: Vec<Regex>,
}

impl Default for Content {
    fn default() -> Self {
        Self { agents: Vec::new(), max_bytes: 64_000_000 }
    }
}

impl Content {
    /// What is kept of an agent of this name, which was found in this way.
    #[must_use]
    pub fn of(&self, name: &str, source: &AgentSource) -> Keep {
        let is_configured = matches!(source, AgentSource::Rule(_));
        let is_of = |rule: &ContentRule| rule.agent.matches(name) && (is_configured || rule.attached);
        let found = self.agents.iter().zip(0..).find(|(rule, _)| is_of(rule));
        found.map_or(Keep::NOTHING, |(rule, place)| Keep::new(place, &rule.parts, rule.max_bytes))
    }
}

impl ContentRule {
    /// One that keeps everything, for tests.
    #[cfg(test)]
    pub(crate) fn keeping(agent: &str) -> Self {
        let agent = Glob::new(agent).unwrap();
        Self { agent, attached: false, parts: Part::ALL.to_vec(), max_bytes: 1000, mask: Vec::new() }
    }

    /// Reads a rule.
    pub(super) fn from_raw(raw: RawContentRule) -> Result<Self, ItemError> {
        let Some(agent) = raw.agent else {
            return Err((None, "agent", "is missing: the names of the agents, as in 'claude*'".to_owned()));
        };
        let agent = Glob::new(&agent.value).map_err(|error| (Some(agent), "agent", error.to_string()))?;
        let Some(keep) = raw.keep else {
            return Err((None, "keep", format!("is missing: some of {}", names())));
        };
        let parts = Texts::into_items(keep).map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Err((None, "keep", format!("must be some of {}", names())));
        }
        let size = |text: Spanned<String>| match parse_bytes(&text.value)
            .filter(|n| (LEAST..=MOST).contains(n))
        {
            Some(bytes) => Ok(bytes),
            None => Err((Some(text), "max_size", "must be a size from 64B to 1MB, as in 16KB".to_owned())),
        };
        let max_bytes = raw.max_size.map_or(Ok(USUAL), size)?;
        let mask = raw.mask.map_or(Ok(Vec::new()), |mask| Texts::into_items(mask).map(pattern).collect())?;
        if mask.len() > MAX_PATTERNS {
            return Err((None, "mask", format!("may have {MAX_PATTERNS} patterns at most")));
        }
        let attached = raw.attached.map_or(Ok(false), |text| {
            boolean(&text.value).ok_or_else(|| (Some(text), "attached", "must be true or false".to_owned()))
        })?;
        Ok(Self { agent, attached, parts, max_bytes: u32::try_from(max_bytes).unwrap_or(u32::MAX), mask })
    }
}

fn names() -> String {
    Part::ALL.map(Part::name).join(", ")
}

fn part(text: Spanned<String>) -> Result<Part, ItemError> {
    let found = Part::ALL.into_iter().find(|part| part.name() == text.value);
    found.ok_or_else(|| {
        let message = format!("has {:?}, but must be some of {}", text.value, names());
        (Some(text), "keep", message)
    })
}

fn pattern(text: Spanned<String>) -> Result<Regex, ItemError> {
    let read = Regex::new(&text.value);
    // What is found everywhere masks nothing.
    let read = read.and_then(|regex| match regex.is_match("") {
        true => Err("must not match nothing at all: write + in the place of *".to_owned()),
        false => Ok(regex),
    });
    read.map_err(|message| (Some(text), "mask", message))
}

/// Every option of it.
pub(super) const OPTIONS: [Opt; 1] = [Opt {
    key: "content.max_size",
    doc: "Memory for what is kept of what agents say (content.agents below), 1MB to 10GB; beyond, the oldest is dropped.\nIt is never written to disk, and gone with a restart.",
    get: |c| format_bytes(c.content.max_bytes),
    set: |c, t| {
        let range = |bytes: &u64| (1_000_000..=10_000_000_000).contains(bytes);
        put(&mut c.content.max_bytes, parse_bytes(t).filter(range), "a size from 1MB to 10GB, as in 64MB")
    },
}];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(rules: &str) -> Result<Content, String> {
        let text = format!("content: {{ agents: [{rules}] }}");
        let config = Config::parse(&text, Path::new("a.yaml"));
        config.map(|config| config.content).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_kept_unless_a_rule_says_so() {
        let rule = &AgentSource::Rule("any".to_owned());
        assert_eq!(Content::default().of("claude", rule), Keep::NOTHING);
        let content = parse(
            "{ agent: 'claude*', keep: [prompts, completions], max_size: 2KB, mask: ['a+'] }, { agent: '*', keep: tool_arguments, attached: true }",
        )
        .unwrap();
        let claude = content.of("claude in x", rule);
        assert_eq!(claude.parts().collect::<Vec<_>>(), [Part::Prompts, Part::Completions]);
        assert_eq!((claude.max_bytes(), claude.rule()), (2000, 0));
        let other = content.of("codex", rule);
        assert_eq!(other.parts().collect::<Vec<_>>(), [Part::ToolArguments]);
        assert_eq!((other.max_bytes(), other.rule()), (16_000, 1));
        // Whoever attaches an agent names it, which is not to open what others say.
        let named = content.of("claude in x", &AgentSource::Attach);
        assert_eq!((named.parts().collect::<Vec<_>>(), named.rule()), (vec![Part::ToolArguments], 1));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_place() {
        for (rule, says) in [
            ("{ keep: prompts }", "content.agents[0].agent is missing"),
            (
                "{ agent: a }",
                "content.agents[0].keep is missing: some of prompts, completions, tool_arguments",
            ),
            ("{ agent: a, keep: [] }", "must be some of"),
            ("{ agent: a, keep: [prompts, answers] }", "has \"answers\", but must be some of prompts"),
            ("{ agent: a, keep: prompts, max_size: 2MB }", "from 64B to 1MB"),
            ("{ agent: a, keep: prompts, mask: '(' }", "mask is no regular expression"),
            ("{ agent: a, keep: prompts, mask: 'x*' }", "mask must not match nothing"),
            ("{ agent: a, keep: prompts, attached: maybe }", "attached must be true or false"),
            ("{ agent: a, keep: prompts, what: x }", "unknown key what"),
        ] {
            let error = parse(rule).unwrap_err();
            assert!(error.contains(says), "{rule}: {error}");
        }
    }
}
