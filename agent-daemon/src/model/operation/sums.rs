//! Operations added up: what is left of them once they are too old to be kept one by one. Sums saturate, so the order
//! of merging does not matter.

use std::{collections::BTreeMap, sync::Arc};

use super::{Bill, Distinct, Durations, LlmSum, Operation, Source};
use crate::model::{id::AgentId, time::Timestamp};

/// What operations are added up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SumKey {
    /// Whose key the senders showed.
    pub project: Arc<str>,
    /// By what way they came.
    pub source: Source,
    /// What sort of work it was.
    pub kind: String,
    /// The route or endpoint.
    pub name: String,
    /// The language model.
    pub model: Option<String>,
    /// The agent whose processes sent them.
    pub agent: Option<AgentId>,
}

impl SumKey {
    /// What this operation is added up by.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        Self {
            project: Arc::clone(&operation.project),
            source: operation.source,
            kind: operation.kind.clone(),
            name: operation.name.clone(),
            model: operation.model.clone(),
            agent: operation.agent.clone(),
        }
    }
}

/// Some operations, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// How long all took together, ns.
    pub total_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// How long they took.
    pub durations: Durations,
    /// Users.
    pub users: Distinct,
    /// Sessions.
    pub sessions: Distinct,
    /// What those cost that are tool calls.
    pub bill: Bill,
    /// What calls of models used that were read off the wire.
    pub llm: LlmSum,
}

impl Sum {
    /// Adds one operation.
    pub fn add(&mut self, operation: &Operation) {
        self.count = self.count.saturating_add(1);
        self.errors = self.errors.saturating_add(u64::from(!operation.success));
        self.total_ns = self.total_ns.saturating_add(operation.duration_ns);
        self.max_ns = self.max_ns.max(operation.duration_ns);
        self.bytes = self.bytes.saturating_add(operation.bytes.unwrap_or(0));
        self.durations.add(operation.duration_ns);
        operation.user.iter().for_each(|user| self.users.add(user));
        operation.session.iter().for_each(|session| self.sessions.add(session));
        operation.tool.iter().for_each(|tool| self.bill.merge(&tool.bill));
        operation.llm.iter().for_each(|llm| self.llm.add(llm));
    }

    /// Numbers that it holds beside the first few: how large it is.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.durations.buckets().len() + self.users.hashes().len() + self.sessions.hashes().len()
    }

    /// Adds other operations.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.durations.merge(&other.durations);
        self.users.merge(&other.users);
        self.sessions.merge(&other.sessions);
        self.bill.merge(&other.bill);
        self.llm.merge(&other.llm);
    }
}

/// The operations of a stretch of time, added up.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Start of the stretch.
    pub start: Timestamp,
    /// End of the stretch (exclusive).
    pub end: Timestamp,
    /// The sums.
    pub rows: BTreeMap<SumKey, Sum>,
}

impl Sums {
    /// Nothing yet, of this stretch.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end, rows: BTreeMap::new() }
    }

    /// Adds an operation.
    pub fn add(&mut self, operation: &Operation) {
        self.rows.entry(SumKey::of(operation)).or_default().add(operation);
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: Self) {
        for (key, sum) in other.rows {
            self.rows.entry(key).or_default().merge(&sum);
        }
    }
}
