//! Processes that the rules say are agents.

use rustc_hash::FxHashSet;

use super::{Aggregator, Watch, target};
use crate::{
    collect::ProcessTree,
    enrich::{identity::ProcessFacts, rules::RuleMatch},
    model::{
        agent::AgentSource,
        control::{AttachError, Start},
    },
};

impl Aggregator {
    /// Matches every running process against the rules.
    pub(super) async fn match_running(&mut self) {
        match ProcessTree::read() {
            Ok(tree) => {
                // An agent's descendants belong to it, though we are told of them only later.
                let mut settled = FxHashSet::default();
                // Parents first.
                for pid in tree.all() {
                    if !settled.contains(&pid) && self.match_process(pid).await {
                        settled.extend(tree.subtree(pid));
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the running processes cannot be listed"),
        }
    }

    /// Watches the process if a rule says so; whether it is watched now.
    pub(super) async fn match_process(&mut self, pid: u32) -> bool {
        if self.roster.agent_of_pid(pid).is_some() {
            return true;
        }
        if pid == 0 || pid == std::process::id() {
            return false;
        }
        // A process that is gone, or a kernel thread, has no facts and matches nothing.
        let Ok(facts) = ProcessFacts::read(pid) else { return false };
        let Some(RuleMatch { rule, name, probes }) = self.rules.evaluate(&facts) else { return false };
        if let Err(error) = target::check(pid) {
            tracing::debug!(pid, rule, %error, "matched, but cannot be watched");
            return false;
        }
        let watch = Watch { probes, start: Start::Now, expires: None };
        match self.watch(pid, name, AgentSource::Rule(rule.clone()), watch).await {
            // A child of an agent, forked so lately that only the kernel side knows.
            Ok(_) | Err(AttachError::AlreadyAttached { .. } | AttachError::Taken(_)) => true,
            Err(error) => {
                tracing::warn!(pid, rule, %error, "matched, but cannot be watched");
                false
            }
        }
    }
}
