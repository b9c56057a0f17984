//! An agent's ledger, held against what the agent says that it did: each cause within 3 % of the wall or 20 ms, and the
//! causes' sum the wall.

use std::{collections::BTreeMap, time::Instant};

use serde_json::Value;

use super::{daemon::Daemon, puppet::Puppet, tolerance::allowed, workload::Truth};

/// What agentperf says of one stretch.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) wall: f64,
    pub(crate) causes: BTreeMap<String, f64>,
    pub(crate) answer: Value,
}

impl Seen {
    pub(crate) fn of(daemon: &Daemon, agent: &str) -> Self {
        let answer = daemon.api().get(&format!("/api/v1/agents/{agent}/ledger")).expect(200).json();
        let cause = |c: &Value| (c["cause"].as_str().unwrap().to_owned(), c["seconds"].as_f64().unwrap());
        let causes: BTreeMap<_, _> = answer["causes"].as_array().unwrap().iter().map(cause).collect();
        let seen = Self { wall: answer["wall_seconds"].as_f64().unwrap(), causes, answer };
        assert_eq!(seen.causes.len(), 13, "{seen:?}");
        let sum: f64 = seen.causes.values().sum();
        assert!((sum - seen.wall).abs() < 1e-6, "the sum {sum} is the wall: {seen:?}");
        seen
    }

    pub(crate) fn cause(&self, cause: &str) -> f64 {
        self.causes[cause]
    }

    /// Asserts that these causes have these times, the rest of the wall is idle, and next to nothing is unknown.
    #[track_caller]
    pub(crate) fn is(&self, what: &str, truths: &[(&str, f64)]) {
        let off = (self.wall * allowed(0.03)).max(allowed(0.02));
        for (cause, truth) in truths {
            let seen = self.cause(cause);
            assert!(
                (seen - truth).abs() <= off,
                "{what}: {cause} was {truth:.4}, seen {seen:.4}, {off:.4} are allowed: {self:?}"
            );
        }
        assert!(self.cause("unknown") < 0.02 * self.wall, "{what}: {self:?}");
    }
}

/// Whether the kernel tells what sockets send and receive; those before 6.3 do not.
pub(crate) fn sees_connections(daemon: &Daemon) -> bool {
    !daemon.api().unavailable().contains_key("connection_send")
}

/// Has an agent do one thing while it is watched.
pub(crate) fn watch(daemon: &Daemon, agent: &mut Puppet, command: &str) -> (Truth, Seen) {
    let began = Instant::now();
    let id = daemon.api().attach(agent.pid());
    let attached = Instant::now();
    let truth = agent.tell(command);
    let told = attached.elapsed().as_secs_f64();
    daemon.api().detach(&id);
    let seen = Seen::of(daemon, &id);
    let longest = began.elapsed().as_secs_f64();
    assert!((told..=longest).contains(&seen.wall), "{command}: {told} to {longest}: {seen:?}");
    (truth, seen)
}
