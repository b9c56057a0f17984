//! The series of files, summed over paths. An agent that has used none has none.

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{Series, seconds},
};

/// The series of one agent's files; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let files = &totals.files;
    if files.amounts().iter().all(|n| *n == 0) {
        return Vec::new();
    }
    let labelled = |rows: &[(&str, u64)]| {
        rows.iter().map(|(label, n)| (with(&[(*label).to_owned()]), *n as f64)).collect()
    };
    match family {
        Family::AgentFileOpens => labelled(&[("read", files.read_opens), ("write", files.write_opens)]),
        Family::AgentFileEffects => labelled(&[
            ("created", files.creates),
            ("changed", files.changes),
            ("deleted", files.deletes),
            ("renamed", files.renames),
        ]),
        Family::AgentFileBytes => labelled(&[("read", files.read_bytes), ("write", files.written_bytes)]),
        Family::AgentFileSyncs => vec![(with(&[]), files.syncs as f64)],
        Family::AgentFileSyncSeconds => vec![(with(&[]), seconds(files.sync_ns))],
        _ => Vec::new(),
    }
}
