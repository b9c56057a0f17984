//! What is kept of what agents say, word by word, where the operator has it kept.
//!
//! It stands beside the flow and in no [`Record`](crate::model::record::Record), so that no store, export, journal or alert can
//! carry it: the aggregator puts it here, and the API alone reads it. It is in memory only. It goes when its call does, that is
//! after `history.raw` (or `history.keep`, if that is less), when its agent is forgotten, for newer when there is no room, and
//! with the daemon.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashSet;

use crate::{
    config::{self, Config},
    model::{
        agent::AgentSource,
        content::{Content, Keep},
        id::AgentId,
        time::Timestamp,
    },
    telemetry::{Loss, Telemetry},
};

/// What a text takes beside its bytes, about.
const OVERHEAD: usize = 256;
/// How long an agent may be unknown that content comes of: it is stored by another thread.
const LATELY: Duration = Duration::from_secs(60);

/// What was said in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Whose call it was.
    pub agent: AgentId,
    /// The call, by its operation's id.
    pub call: u64,
    /// `llm` or `mcp`.
    pub kind: &'static str,
    /// When it began.
    pub start: Timestamp,
    /// What was said.
    pub content: Content,
}

impl Kept {
    /// What it takes, about, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = self.content.texts.iter();
        OVERHEAD + texts.map(|text| OVERHEAD + text.text.len()).sum::<usize>()
    }
}

#[derive(Debug, Default)]
struct All {
    /// In the order in which it came.
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
}

/// Everything that is kept.
#[derive(Debug)]
pub struct Contents {
    rules: config::Content,
    keep: Duration,
    all: Mutex<All>,
    telemetry: Arc<Telemetry>,
}

impl Contents {
    /// Nothing yet, of those whom the configuration names.
    #[must_use]
    pub fn new(config: &Config, telemetry: Arc<Telemetry>) -> Self {
        let keep = config.history.raw.min(config.history.keep);
        Self { rules: config.content.clone(), keep, all: Mutex::default(), telemetry }
    }

    /// What is kept of an agent of this name, which was found in this way.
    #[must_use]
    pub fn of_agent(&self, name: &str, source: &AgentSource) -> Keep {
        self.rules.of(name, source)
    }

    /// Keeps it, unless it came by another rule than that of its agent, of which it says what it kept and masked.
    pub fn put(&self, keep: Keep, kept: Kept) {
        if !keep.is_any() || kept.content.keep != keep {
            return self.telemetry.losses.count(Loss::ContentDropped);
        }
        // What is stored needs no room on its way any more.
        let content = Content { held: Default::default(), ..kept.content };
        let kept = Kept { content, ..kept };
        let mut all = self.all();
        all.bytes += kept.bytes();
        all.kept.push_back(Arc::new(kept));
        let most = usize::try_from(self.rules.max_bytes).unwrap_or(usize::MAX);
        while all.bytes > most {
            let Some(oldest) = all.kept.pop_front() else { break };
            all.bytes -= oldest.bytes();
            self.telemetry.losses.count(Loss::ContentDropped);
        }
    }

    /// What was said in an agent's calls, or in one of them; the newest first.
    #[must_use]
    pub fn of(&self, agent: &AgentId, call: Option<u64>) -> Vec<Arc<Kept>> {
        let all = self.all();
        let is_asked = |kept: &&Arc<Kept>| kept.agent == *agent && call.is_none_or(|call| kept.call == call);
        let mut found: Vec<_> = all.kept.iter().filter(is_asked).cloned().collect();
        drop(all);
        found.sort_by_key(|kept| std::cmp::Reverse(kept.start));
        found
    }

    /// Forgets what is older than its call is kept, and what is of agents that are forgotten.
    pub fn maintain(&self, now: Timestamp, is_known: impl Fn(&AgentId) -> bool) {
        let is_older = |at: Timestamp, age: Duration| at.checked_add(age).is_ok_and(|until| until < now);
        let asked: FxHashSet<AgentId> = {
            let all = self.all();
            let old = all.kept.iter().filter(|kept| is_older(kept.start, LATELY));
            old.map(|kept| &kept.agent).collect::<FxHashSet<_>>().into_iter().cloned().collect()
        };
        // Whoever puts something here does not wait for the answers.
        let forgotten: FxHashSet<AgentId> = asked.into_iter().filter(|agent| !is_known(agent)).collect();
        let mut all = self.all();
        let goes = |kept: &Arc<Kept>| {
            let is_forgotten = || is_older(kept.start, LATELY) && forgotten.contains(&kept.agent);
            is_older(kept.start, self.keep) || is_forgotten()
        };
        all.kept.retain(|kept| !goes(kept));
        all.bytes = all.kept.iter().map(|kept| kept.bytes()).sum();
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::ContentRule,
        model::content::{Held, Part, Text},
        telemetry::Telemetry,
    };

    fn contents(max_bytes: u64) -> Contents {
        let agents = vec![ContentRule::keeping("claude*")];
        let content = config::Content { agents, max_bytes };
        let mut config = Config::default();
        config.content = content;
        Contents::new(&config, Arc::new(Telemetry::default()))
    }

    fn rule() -> AgentSource {
        AgentSource::Rule("any".to_owned())
    }

    fn kept(keep: Keep, call: u64, second: i64) -> Kept {
        let text = "x".repeat(100);
        let (part, role, tool) = (Part::Prompts, None, None);
        let texts = vec![Text { part, role, tool, text, left_out: 0, masked: 0, is_broken: false }];
        let content = Content { keep, texts, left_out: 0, held: Held::default() };
        let start = Timestamp::from_second(1_790_000_000 + second).unwrap();
        Kept { agent: AgentId::new(1, 2), call, kind: "llm", start, content }
    }

    fn calls(contents: &Contents) -> Vec<u64> {
        contents.of(&AgentId::new(1, 2), None).iter().map(|kept| kept.call).collect()
    }

    #[test]
    fn what_came_by_another_rule_is_not_kept() {
        let contents = contents(1 << 20);
        let (keep, other) = (contents.of_agent("claude x", &rule()), Keep::new(3, &[Part::Prompts], 1000));
        assert_eq!(contents.of_agent("codex", &rule()), Keep::NOTHING);
        contents.put(keep, kept(other, 1, 0));
        contents.put(Keep::NOTHING, kept(Keep::NOTHING, 2, 0));
        assert_eq!(calls(&contents), [0; 0]);
        contents.put(keep, kept(keep, 3, 0));
        contents.put(keep, kept(keep, 4, 1));
        assert_eq!(calls(&contents), [4, 3]);
        assert_eq!(contents.of(&AgentId::new(1, 2), Some(3)).len(), 1);
        assert!(contents.of(&AgentId::new(1, 3), None).is_empty());
    }

    #[test]
    fn the_oldest_goes_for_the_newest() {
        let contents = contents(2 * (2 * OVERHEAD as u64 + 100));
        let keep = contents.of_agent("claude", &rule());
        (0..5).for_each(|n| contents.put(keep, kept(keep, n, 0)));
        let mut left = calls(&contents);
        left.sort_unstable();
        assert_eq!(left, [3, 4]);
    }

    #[test]
    fn it_goes_with_its_call_and_with_its_agent() {
        let contents = contents(1 << 20);
        let keep = contents.of_agent("claude", &rule());
        let day = 86_400;
        contents.put(keep, kept(keep, 1, 0));
        contents.put(keep, kept(keep, 2, day));
        let at = |second| Timestamp::from_second(1_790_000_000 + second).unwrap();
        contents.maintain(at(day + 10), |_| true);
        assert_eq!(calls(&contents), [2]);
        contents.maintain(at(day + 20), |_| false);
        assert_eq!(calls(&contents), [2], "its agent may not be stored yet");
        contents.maintain(at(day + 100), |_| false);
        assert_eq!(calls(&contents), [0; 0]);
    }

    #[test]
    fn each_agent_is_asked_for_once_and_nobody_waits_for_it() {
        let contents = contents(1 << 20);
        let keep = contents.of_agent("claude", &rule());
        (0..5).for_each(|n| contents.put(keep, kept(keep, n, n as i64)));
        let asked = std::cell::Cell::new(0);
        let now = Timestamp::from_second(1_790_000_000 + 1000).unwrap();
        contents.maintain(now, |agent| {
            // Were it locked, this would never end.
            assert_eq!(contents.of(agent, None).len(), 5);
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!((asked.get(), calls(&contents).len()), (1, 5));
    }
}
