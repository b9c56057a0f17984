//! How well stacks are seen, on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::StackEndDto, seconds};
use crate::{
    model::stack::StackEnd,
    store::query::{Ends, ProcessQuality},
};

/// How well an agent's stacks are seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = QualityReport)]
pub struct QualityReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// By process, those with most samples and waits first. Pid 0 stands for what was merged from many processes.
    pub processes: Vec<ProcessQualityDto>,
}

/// How well one process's stacks are seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcessQuality)]
pub struct ProcessQualityDto {
    /// Which.
    pub pid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// On-CPU samples.
    pub cpu: WalksDto,
    /// Waits. Those that still last are in `seconds`, but not in `count`.
    pub off_cpu: WalksDto,
    /// Frames seen, by kind: `native`, `python`, `javascript`, `kernel`.
    pub frames: BTreeMap<String, u64>,
    /// Of all but the kernel's frames, those without a name: the share of 1.
    pub nameless_share: f64,
    /// Why the frames of its interpreter are not among them, if it runs one that agentperf cannot read; else null.
    pub interpreter_unread: Option<String>,
}

/// The walks of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Walks)]
pub struct WalksDto {
    /// Samples, or waits that ended.
    pub count: u64,
    /// Time that these stand for.
    pub seconds: f64,
    /// The share of `seconds` whose stacks are complete, of what should have a user stack; null where there is
    /// nothing.
    pub complete_share: Option<f64>,
    /// How they ended, most time first.
    pub ends: Vec<EndDto>,
}

/// Walks that ended in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = End)]
pub struct EndDto {
    /// How.
    pub end: StackEndDto,
    /// What that means, and what can be done.
    pub why: String,
    /// Samples, or waits that ended.
    pub count: u64,
    /// Time that these stand for.
    pub seconds: f64,
    /// The share of all of `seconds`.
    pub share: f64,
}

impl ProcessQualityDto {
    /// One process's quality on the wire.
    #[must_use]
    pub fn new(pid: u32, comm: Option<String>, quality: &ProcessQuality) -> Self {
        let named: u64 = quality.frames.iter().filter(|(kind, _)| **kind != "kernel").map(|(_, n)| n).sum();
        Self {
            pid,
            comm,
            cpu: (&quality.cpu).into(),
            off_cpu: (&quality.off_cpu).into(),
            frames: quality.frames.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
            nameless_share: share(quality.nameless, named).unwrap_or(0.0),
            interpreter_unread: quality.unread.clone(),
        }
    }
}

impl From<&Ends> for WalksDto {
    fn from(ends: &Ends) -> Self {
        let ns = ends.values().fold(0, |sum: u64, e| sum.saturating_add(e.ns));
        let of = |end: StackEnd| ends.get(&end).map_or(0, |e| e.ns);
        let mut rows: Vec<_> = ends.iter().collect();
        rows.sort_by_key(|(end, e)| (std::cmp::Reverse(e.ns), **end));
        let row = |(end, e): (&StackEnd, &crate::store::query::EndTotal)| EndDto {
            end: (*end).into(),
            why: why(*end).to_owned(),
            count: e.count,
            seconds: seconds(e.ns),
            share: share(e.ns, ns).unwrap_or(0.0),
        };
        Self {
            count: ends.values().map(|e| e.count).sum(),
            seconds: seconds(ns),
            complete_share: share(of(StackEnd::Complete), ns.saturating_sub(of(StackEnd::Absent))),
            ends: rows.into_iter().map(row).collect(),
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What an end means to a person.
fn why(end: StackEnd) -> &'static str {
    match end {
        StackEnd::Complete => "every frame up to the outermost one was seen",
        StackEnd::OrderGuessed => {
            "every frame was seen, but calls of the evaluation loop and groups of Python's frames are not as many: which \
             belongs to which is a guess"
        }
        StackEnd::InterpretedMissing => {
            "every native frame was seen, but frames of the interpreter are missing"
        }
        StackEnd::Truncated => {
            "the stack has more than 128 frames, or more than 63 of an interpreter; the outermost are missing"
        }
        StackEnd::Gap => {
            "code without unwind information and without frame pointers, such as hand-written assembly"
        }
        StackEnd::NoTable => {
            "the unwind table of a file was still being made, soon after the process was first seen, and more such \
             stacks were taken than are unwound from copies"
        }
        StackEnd::NoMapping => {
            "code at an address that no known mapping covers, such as a library just loaded"
        }
        StackEnd::Unreadable => "a part of the stack could not be read, since it was not in memory",
        StackEnd::UnknownRule => "unwind information in a form that the walker does not know",
        StackEnd::Inconsistent => {
            "a frame that does not lie above the one it called: the stack was being changed"
        }
        StackEnd::FramePointers => {
            "the process was not known yet, soon after it was first seen: frames follow frame pointers, and may be \
             wrong above the innermost"
        }
        StackEnd::Not64Bit => "32-bit code, which is not walked",
        StackEnd::OverBudget => {
            "not walked: the thread had used up its share of time for walks, and the wait was shorter than 10 ms"
        }
        StackEnd::Lost => "the stack was evicted from the kernel's map before it was read",
        StackEnd::Absent => "no user stack: a thread that was exiting, or only kernel code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::EndTotal;

    #[test]
    fn shares_are_of_time_and_leave_out_what_has_no_user_stack() {
        let ends = Ends::from([
            (StackEnd::Complete, EndTotal { count: 3, ns: 300 }),
            (StackEnd::Gap, EndTotal { count: 1, ns: 100 }),
            (StackEnd::Absent, EndTotal { count: 1, ns: 100 }),
        ]);
        let walks = WalksDto::from(&ends);
        assert_eq!((walks.count, walks.complete_share), (5, Some(0.75)));
        assert_eq!((walks.ends[0].end, walks.ends[0].share), (StackEndDto::Complete, 0.6));
        assert_eq!(WalksDto::from(&Ends::new()).complete_share, None);
    }
}
