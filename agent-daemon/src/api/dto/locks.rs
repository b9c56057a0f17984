//! Waits for locks on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CoveredDto, seconds,
    stack::{FrameDto, StackDto},
};
use crate::store::query::LockTotal;

/// Holders of a lock that are shown.
const MAX_HOLDERS: usize = 8;

/// What locks an agent waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LockReport)]
pub struct LockReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the off-CPU probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// Rows of the range.
    pub rows: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// A page of places where locks were waited for, most time first.
    pub locks: Vec<LockDto>,
}

/// Waits for locks at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Lock)]
pub struct LockDto {
    /// Who waited.
    pub pid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// Who asked for the lock: the innermost function that is no part of the C library; null where no stack is known.
    pub place: Option<FrameDto>,
    /// Waits that ended.
    pub count: u64,
    /// Time blocked and on the run queue, over all threads.
    pub seconds: f64,
    /// Time blocked.
    pub blocked_seconds: f64,
    /// The longest wait.
    pub max_seconds: f64,
    /// Who handed the lock over, most time waited first.
    pub holders: Vec<LockHolderDto>,
    /// The stack on which most time was waited.
    pub stack: StackDto,
}

/// Who handed a lock over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LockHolder)]
pub struct LockHolderDto {
    /// The process; null where it was not seen.
    pub pid: Option<u32>,
    /// How long it was waited for.
    pub seconds: f64,
}

impl LockDto {
    /// Waits on the wire; `comm` names the process.
    #[must_use]
    pub fn new(lock: &LockTotal, comm: Option<String>) -> Self {
        let holder = |(pid, ns): &(Option<u32>, u64)| LockHolderDto { pid: *pid, seconds: seconds(*ns) };
        Self {
            pid: lock.process.pid(),
            comm,
            place: lock.place.as_deref().map(FrameDto::from),
            count: lock.total.count,
            seconds: seconds(lock.total.ns()),
            blocked_seconds: seconds(lock.total.blocked_ns),
            max_seconds: seconds(lock.total.max_ns),
            holders: lock.holders.iter().take(MAX_HOLDERS).map(holder).collect(),
            stack: lock.stack.as_ref().into(),
        }
    }
}
