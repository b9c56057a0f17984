//! The process tree. Flat, in the order in which one would print it: a tree of processes can be deeper than
//! a call stack, or a JSON parser, can bear.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::{id::ProcessId, process::Process};

/// A process and its place in the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeRow {
    /// The process.
    pub process: Process,
    /// Ancestors of it that are in the tree.
    pub depth: usize,
    /// Pids of its children, oldest first.
    pub children: Vec<u32>,
}

/// The tree, each process before its children and siblings by age. A process whose parent is not in
/// `processes` (outside the agent, or forgotten) stands at the top.
#[must_use]
pub fn tree(processes: Vec<Process>) -> Vec<TreeRow> {
    let parents = parents(&processes);
    let mut by_age: Vec<_> = processes.iter().map(|p| p.id).collect();
    by_age.sort_unstable_by(|a, b| b.cmp(a));
    let mut children: FxHashMap<ProcessId, Vec<ProcessId>> = FxHashMap::default();
    let mut todo = Vec::new();
    // Youngest first: what is pushed last is taken first.
    for id in by_age {
        match parents.get(&id) {
            Some(parent) => children.entry(*parent).or_default().push(id),
            None => todo.push((id, 0)),
        }
    }
    let mut by_id: FxHashMap<_, _> = processes.into_iter().map(|p| (p.id, p)).collect();
    let mut rows = Vec::with_capacity(by_id.len());
    while let Some((id, depth)) = todo.pop() {
        let Some(process) = by_id.remove(&id) else { continue };
        let below = children.remove(&id).unwrap_or_default();
        todo.extend(below.iter().map(|child| (*child, depth + 1)));
        rows.push(TreeRow { process, depth, children: below.iter().rev().map(|c| c.pid()).collect() });
    }
    rows
}

/// Each process's parent among `processes`. A parent that was only known by its pid is the youngest process
/// of that pid which is older than the child. Ids order processes by age, and a parent is older than its
/// child: so there are no cycles, whatever the data says.
fn parents(processes: &[Process]) -> FxHashMap<ProcessId, ProcessId> {
    let ids: FxHashSet<_> = processes.iter().map(|p| p.id).collect();
    let mut by_pid: FxHashMap<u32, BTreeSet<ProcessId>> = FxHashMap::default();
    for id in &ids {
        by_pid.entry(id.pid()).or_default().insert(*id);
    }
    let parent = |p: &Process| match p.parent {
        Some(id) => ids.contains(&id).then_some(id).filter(|id| *id < p.id),
        None => by_pid.get(&p.parent_pid)?.range(..p.id).next_back().copied(),
    };
    processes.iter().filter_map(|p| Some((p.id, parent(p)?))).collect()
}

/// `root` and everything below it.
#[must_use]
pub fn descendants(processes: &[Process], root: ProcessId) -> FxHashSet<ProcessId> {
    let parents = parents(processes);
    let mut by_age: Vec<_> = processes.iter().map(|p| p.id).collect();
    by_age.sort_unstable();
    let mut found = FxHashSet::from_iter([root]);
    for id in by_age {
        if parents.get(&id).is_some_and(|parent| found.contains(parent)) {
            found.insert(id);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::store::fixture::{at, process_at, process_id};

    fn child(pid: u32, parent: u32, started: i64) -> Process {
        let mut process = process_at(pid, at(started));
        process.parent = Some(process_id(parent));
        process.parent_pid = parent;
        process
    }

    fn shape(rows: &[TreeRow]) -> Vec<(u32, usize)> {
        rows.iter().map(|r| (r.process.id.pid(), r.depth)).collect()
    }

    #[test]
    fn a_tree_reads_from_the_top_and_by_age() {
        let rows = tree(vec![
            child(103, 101, 3),
            child(102, 100, 2),
            child(101, 100, 1),
            process_at(100, at(0)),
            child(104, 100, 4),
        ]);
        assert_eq!(shape(&rows), [(100, 0), (101, 1), (103, 2), (102, 1), (104, 1)]);
        assert_eq!(rows[0].children, [101, 102, 104]);
    }

    #[test]
    fn an_orphan_stands_at_the_top() {
        let rows = tree(vec![process_at(100, at(0)), child(102, 999, 2)]);
        assert_eq!(shape(&rows), [(100, 0), (102, 0)]);
    }

    #[test]
    fn a_parent_known_by_pid_only_is_the_youngest_older_one() {
        let mut reused = process_at(7, at(5));
        reused.id = ProcessId(2 << 22 | 7);
        let mut orphan = process_at(8, at(9));
        orphan.id = ProcessId(3 << 22 | 8);
        orphan.parent_pid = 7;
        let rows = tree(vec![process_at(7, at(0)), reused, orphan]);
        assert_eq!(shape(&rows), [(7, 0), (7, 0), (8, 1)]);
        assert_eq!(rows[1].children, [8]);
    }

    #[test]
    fn a_chain_of_any_depth_is_walked() {
        let chain = |n: u32| if n == 0 { process_at(1, at(0)) } else { child(n + 1, n, i64::from(n)) };
        let rows = tree((0..20_000).map(chain).collect());
        assert_eq!(rows.last().map(|r| r.depth), Some(19_999));
    }

    #[test]
    fn descendants_are_the_root_and_all_below() {
        let all = [process_at(100, at(0)), child(101, 100, 1), child(102, 101, 2), child(103, 100, 3)];
        let pids = |root| {
            let mut pids: Vec<_> = descendants(&all, process_id(root)).iter().map(|p| p.pid()).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(101), [101, 102]);
        assert_eq!(pids(100), [100, 101, 102, 103]);
    }

    proptest! {
        #[test]
        fn every_process_appears_once_whatever_the_parents_say(
            links in proptest::collection::vec((0..20u32, 0..20i64), 1..20)
        ) {
            let all: Vec<_> = (0..).zip(&links).map(|(i, (parent, t))| child(i, *parent, *t)).collect();
            let rows = tree(all.clone());
            prop_assert_eq!(rows.len(), all.len());
            let children: usize = rows.iter().map(|r| r.children.len()).sum();
            let tops = rows.iter().filter(|r| r.depth == 0).count();
            prop_assert_eq!(children + tops, all.len());
            for (above, below) in rows.iter().zip(rows.iter().skip(1)) {
                prop_assert!(below.depth <= above.depth + 1);
            }
        }
    }
}
