//! Where every draft becomes an operation or is refused: one request's worth at a time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{Admitted, Ingest, IngestError, attributes, limits, names::Field, sender::Sender};
use crate::{
    model::{
        hash,
        operation::{Call, Operation, Source, Sums, TraceContext},
        route,
        time::Timestamp,
    },
    telemetry::Loss,
};

/// What a door read of one operation. Texts are as they were sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What sort of work.
    pub kind: String,
    /// What it is called; see `is_template`.
    pub name: String,
    /// Whether the name is a template, in which nothing is to be replaced.
    pub is_template: bool,
    /// When it began.
    pub start: Timestamp,
    /// How long it took, ns.
    pub duration_ns: u64,
    /// Bytes moved.
    pub bytes: Option<u64>,
    /// Whether it failed.
    pub failed: bool,
    /// The class of the failure.
    pub error_type: Option<String>,
    /// HTTP's method.
    pub method: Option<String>,
    /// HTTP's status.
    pub status: Option<u64>,
    /// The language model.
    pub model: Option<String>,
    /// For whom.
    pub user: Option<String>,
    /// In which session.
    pub session: Option<String>,
    /// Its place in a trace.
    pub trace: Option<TraceContext>,
    /// Labels, allowed or not.
    pub labels: Vec<(String, String)>,
    /// Its call tree.
    pub calls: Vec<Call>,
    /// The pid that the sender says it has.
    pub claimed_pid: Option<u32>,
}

/// One record that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The end of a sentence that begins with "the record".
    pub reason: String,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Records that are kept.
    pub accepted: u64,
    /// Records that were left out by the project's sample ratio.
    pub unsampled: u64,
    /// Labels that are not kept.
    pub labels_dropped: u64,
    /// Records that are refused.
    pub refused: u64,
    /// The first of them, each with its reason.
    pub refusals: Vec<Refused>,
    /// What is to be stored.
    pub operations: Vec<Operation>,
    /// What is to be stored of sums.
    pub sums: Vec<Sums>,
}

/// Takes one request's records.
#[derive(Debug)]
pub struct Desk<'a> {
    ingest: &'a Ingest,
    project: Admitted<'a>,
    source: Source,
    sender: Option<Sender>,
    pub(super) now: Timestamp,
    pub(super) outcome: Outcome,
}

impl<'a> Desk<'a> {
    /// A desk for a request of `count` records that came from `sender`.
    ///
    /// # Errors
    /// The project has sent too much, or the request is too large.
    pub fn open(
        ingest: &'a Ingest,
        project: Admitted<'a>,
        (source, sender): (Source, Option<Sender>),
        count: usize,
    ) -> Result<Self, IngestError> {
        if count > limits::MAX_RECORDS {
            return Err(IngestError::TooMany);
        }
        project.spend(count, Instant::now()).map_err(|error| ingest.throttled(count as u64, error))?;
        let (now, outcome) = (Timestamp::now(), Outcome::default());
        Ok(Self { ingest, project, source, sender, now, outcome })
    }

    /// Takes one record.
    pub fn take(&mut self, index: usize, draft: Result<Draft, String>) {
        match draft.and_then(|draft| self.operation(draft)) {
            Ok(operation) if self.is_sampled(&operation) => {
                self.outcome.accepted += 1;
                self.outcome.operations.push(operation);
            }
            Ok(_) => {
                self.outcome.unsampled += 1;
                self.ingest.telemetry.losses.count(Loss::OperationUnsampled);
            }
            Err(reason) => self.refuse(index, reason),
        }
    }

    /// Refuses one record.
    pub fn refuse(&mut self, index: usize, reason: String) {
        self.refuse_all(index, 1, reason);
    }

    /// Refuses all `count` that one record holds.
    pub(super) fn refuse_all(&mut self, index: usize, count: u64, reason: String) {
        self.outcome.refused += count;
        self.ingest.telemetry.losses.add(Loss::OperationRefused, count);
        if self.outcome.refusals.len() < limits::TOLD_REFUSALS {
            self.outcome.refusals.push(Refused { index, reason });
        }
    }

    /// What became of the request.
    #[must_use]
    pub fn close(self) -> Outcome {
        self.outcome
    }

    pub(super) fn project(&self) -> Admitted<'a> {
        self.project
    }

    pub(super) fn ingest(&self) -> &'a Ingest {
        self.ingest
    }

    /// The agent whose process sends, where that is known.
    pub(super) fn sender(&self, claimed_pid: Option<u32>) -> Option<&Sender> {
        let sender = self.sender.as_ref();
        match claimed_pid {
            // A lie, or a collector between the two: then nobody knows.
            Some(pid) if !sender.is_some_and(|sender| sender.is(pid)) => None,
            _ => sender,
        }
    }

    fn operation(&mut self, draft: Draft) -> Result<Operation, String> {
        limits::calls(&draft.calls)?;
        let start = limits::start(draft.start, self.now)?;
        let duration_ns = limits::nanoseconds(draft.duration_ns)?;
        let mut kind = limits::kind(&draft.kind)?;
        let mut name = self.name(&draft)?;
        let short = |what: &str, text: Option<String>| {
            text.filter(|t| !t.is_empty()).map(|t| limits::text(what, &t, limits::MAX_VALUE)).transpose()
        };
        let mut model = short("model", draft.model)?;
        let error_type = short("error type", draft.error_type)?;
        let method = short("method", draft.method)?.filter(|method| method.len() <= 16);
        let status = draft.status.map(limits::status).transpose()?;
        let (user, session) = (short("user", draft.user)?, short("session", draft.session)?);
        let (user, session) = (self.pseudonym(user), self.pseudonym(session));
        self.bound(Field::Kind, &mut kind);
        self.bound(Field::Name, &mut name);
        model.iter_mut().for_each(|model| self.bound(Field::Model, model));
        let labels = self.labels(draft.labels);
        if draft.claimed_pid.is_some() && self.sender(draft.claimed_pid).is_none() {
            self.ingest.telemetry.losses.count(Loss::OperationUnproven);
        }
        let sender = self.sender(draft.claimed_pid);
        Ok(Operation {
            id: self.ingest.next_id.fetch_add(1, Ordering::Relaxed),
            project: self.project.name(),
            source: self.source,
            kind,
            name,
            start,
            duration_ns,
            bytes: draft.bytes,
            success: !draft.failed,
            error_type,
            method,
            status,
            model,
            user,
            session,
            trace: draft.trace,
            labels,
            calls: draft.calls,
            agent: sender.map(|sender| sender.agent.clone()),
            process: sender.map(|sender| sender.process),
            tool: None,
            llm: None,
        })
    }

    fn name(&self, draft: &Draft) -> Result<String, String> {
        let name = match draft.is_template {
            true => route::without_query(&draft.name).to_owned(),
            false => route::name_of(&draft.name),
        };
        limits::text("name", &name, limits::MAX_NAME)
    }

    /// The value as it is, or `other` if there are too many.
    pub(super) fn bound(&self, field: Field, value: &mut String) {
        if !self.ingest.names.bound(&self.project.name(), field, value) {
            self.ingest.telemetry.losses.count(Loss::OperationOverflow);
        }
    }

    fn pseudonym(&self, name: Option<String>) -> Option<String> {
        let project = self.project.project();
        let pseudonym = |name: String| self.ingest.pseudonyms.of(&project.name, &name);
        if project.plain_users { name } else { name.map(pseudonym) }
    }

    /// The labels that are kept, sorted.
    fn labels(&mut self, labels: Vec<(String, String)>) -> Vec<(String, String)> {
        let allowed = &self.project.project().labels;
        let before = labels.len();
        let mut kept: Vec<(String, String)> = Vec::new();
        for (key, value) in labels.into_iter().filter(|(key, _)| attributes::is_allowed(key, allowed)) {
            let value = limits::text("label", route::without_query(&value), limits::MAX_VALUE);
            if let Ok(mut value) = value
                && kept.len() < limits::MAX_LABELS
                && kept.iter().all(|(known, _)| *known != key)
            {
                self.bound(Field::Label, &mut value);
                kept.push((key, value));
            }
        }
        let dropped = (before - kept.len()) as u64;
        self.outcome.labels_dropped += dropped;
        self.ingest.telemetry.losses.add(Loss::OperationLabelDropped, dropped);
        kept.sort();
        kept
    }

    /// The same answer for all operations of a trace.
    fn is_sampled(&self, operation: &Operation) -> bool {
        let sample = self.project.project().sample;
        let number = match operation.trace.and_then(|t| t.trace.first_chunk::<8>().copied()) {
            Some(bytes) => u64::from_le_bytes(bytes),
            None => operation.id,
        };
        sample >= 1.0 || (hash::spread(number) as f64) < sample * (u64::MAX as f64)
    }

    /// The project's name.
    pub(super) fn project_name(&self) -> Arc<str> {
        self.project.name()
    }
}
