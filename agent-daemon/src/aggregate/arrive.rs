//! How agents come to be: somebody attaches a process, or a rule matches it.

use rustc_hash::FxHashSet;
use tokio::sync::oneshot;

use super::{Aggregator, target};
use crate::{
    collect::{Order, ProcessTree, WatchError, Watched},
    enrich::{identity::ProcessFacts, rules::RuleMatch},
    model::{
        agent::{Agent, AgentSource},
        content::Part,
        control::{AttachError, AttachRequest, Start},
        id::AgentId,
        probe::{Probe, ProbeSet},
        record::Record,
        time::Timestamp,
    },
};

/// How an agent is watched.
struct Watch {
    probes: ProbeSet,
    start: Start,
    expires: Option<Timestamp>,
}

impl Aggregator {
    pub(super) async fn attach(&mut self, request: AttachRequest) -> Result<Agent, AttachError> {
        let pid = request.pid;
        target::check(pid)?;
        if let Some(agent) = self.roster.agent_of_pid(pid) {
            return Err(AttachError::AlreadyAttached { pid, agent });
        }
        for probe in request.probes.iter().flat_map(|named| named.iter()) {
            target::check_probe(probe, &self.telemetry.probes())?;
        }
        let expires = request.duration.and_then(|d| Timestamp::now().checked_add(d).ok());
        let name = request.name.unwrap_or_else(|| target::comm(pid));
        let probes = request.probes.unwrap_or(ProbeSet::ALL);
        self.watch(pid, name, AgentSource::Attach, Watch { probes, start: request.start, expires }).await
    }

    /// Takes a slot, has the collector watch the tree by as many of `probes` as the host allows, and enters
    /// the agent.
    async fn watch(
        &mut self,
        pid: u32,
        name: String,
        source: AgentSource,
        Watch { probes, start, expires }: Watch,
    ) -> Result<Agent, AttachError> {
        let slot = self.roster.free_slot().ok_or_else(|| AttachError::TooMany(self.roster.capacity()))?;
        let attached = Timestamp::now();
        let (reply, answer) = oneshot::channel();
        let keep = self.calls.enter(slot, &name, &source);
        self.order(Order::Watch { slot, root: pid, probes, start, keep, reply }).await;
        let Watched { root, created, probes } = match answer.await.map_err(|_| AttachError::ShuttingDown)? {
            Ok(watched) => watched,
            Err(WatchError::Gone(pid)) => return Err(AttachError::NoSuchProcess(pid)),
            Err(WatchError::Hidden(pid)) => return Err(AttachError::Hidden(pid)),
            Err(WatchError::Taken { pid, slot }) => {
                let agent = slot.and_then(|slot| self.roster.agent_in(slot));
                return Err(match agent {
                    Some(agent) => AttachError::AlreadyAttached { pid, agent },
                    None => AttachError::Taken(pid),
                });
            }
            Err(WatchError::Kernel(e)) => return Err(AttachError::Failed(e.to_string())),
        };
        let agent = Agent {
            id: AgentId::new(root.pid(), created.as_millisecond()),
            name,
            root,
            created,
            attached,
            expires,
            ended: None,
            source,
            probes,
            boot_id: self.boot_id.clone(),
        };
        let by: Vec<&str> = probes.iter().map(Probe::name).collect();
        tracing::info!(agent = %agent.id, name = agent.name, pid, ?by, "watching");
        if keep.is_any() {
            let parts: Vec<&str> = keep.parts().map(Part::name).collect();
            tracing::info!(agent = %agent.id, ?parts, "what it says is kept, as content.agents has it");
        }
        self.tools.enter(slot, &agent);
        self.roster.enter(slot, agent.clone());
        self.record(Record::Agent(agent.clone())).await;
        Ok(agent)
    }

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
