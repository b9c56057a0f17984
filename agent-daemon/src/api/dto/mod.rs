//! The API's wire types, one file per resource, converted by hand from the model: a change inside must not
//! change the wire by accident.
//!
//! Times are RFC 3339, durations seconds with nanosecond precision, ids texts. The command line reads the
//! same types back.

pub mod agent;
pub mod alert;
pub mod blocked;
pub mod blocked_names;
pub mod content;
pub mod coverage;
pub mod cuda;
pub mod dashboard;
pub mod dashboard_operations;
pub mod disk;
pub mod file;
pub mod gpu;
pub mod http;
pub mod ingest;
pub mod ledger;
pub mod llm;
pub mod llm_sums;
pub mod locks;
pub mod mcp;
pub mod names;
pub mod network;
pub mod off_cpu;
pub mod operation;
pub mod problem;
pub mod process;
pub mod profile;
pub mod quality;
pub mod reaction;
pub mod receiver;
pub mod stack;
pub mod status;
pub mod syscall;
pub mod system;
pub mod system_info;
pub mod system_point;
pub mod timeline;
pub mod tool;
pub mod turn;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    model::time::{TimeRange, Timestamp},
    store::query::Covered,
};

/// The stretch of time that an answer speaks of. Windows belong to a range whole, so it may be a little
/// longer than what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Covered)]
pub struct CoveredDto {
    /// Start of the first window.
    pub from: Timestamp,
    /// End of the last window.
    pub to: Timestamp,
    /// Time from the one to the other.
    pub seconds: f64,
    /// Windows in it.
    pub windows: usize,
}

impl From<Covered> for CoveredDto {
    fn from(covered: Covered) -> Self {
        let Covered { range: TimeRange { from, to }, windows } = covered;
        Self { from, to, seconds: to.duration_since(from).as_secs_f64(), windows }
    }
}

/// Nanoseconds as seconds.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_survive_the_wire() {
        for ns in [0, 1, 123_456_789, 1_000_000_001, 86_400_000_000_001] {
            let text = serde_json::to_string(&seconds(ns)).unwrap();
            let back: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!((back * 1e9).round() as u64, ns, "{text}");
        }
    }
}
