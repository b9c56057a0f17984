//! Who an agent's processes are at this moment: those that the store knows, each found again by its start, and their
//! children that it does not know yet. Never ourselves, those that we descend from, or processes of other agents.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    action::{NotDone, Tools},
    process::{Member, Stat},
};
use crate::{
    model::{
        agent::Agent,
        id::{AgentId, ProcessId},
        time::{TimeRange, Timestamp},
    },
    store::StoreError,
};

/// An agent's live processes by pid.
pub(super) type Members = BTreeMap<u32, Stat>;

/// Every process by pid.
type Table = BTreeMap<u32, Stat>;

/// Finds the agent's processes.
///
/// # Errors
/// There is no such agent, none of its processes lives, or we would be hit ourselves.
pub(super) fn find(agent: &AgentId, tools: &Tools) -> Result<Members, NotDone> {
    let known = tools.store.agent(agent).ok_or_else(|| NotDone::refused("the store knows no such agent"))?;
    if known.ended.is_some() {
        return Err(NotDone::refused("the agent is watched no more"));
    }
    let table = tools.proc.all().map_err(|error| NotDone::failed("processes cannot be listed", error))?;
    let unread = |error: StoreError| NotDone::failed("the store cannot be read", error);
    let mut found = alive(&known, tools, &table).map_err(unread)?;
    let mut others = BTreeSet::new();
    let live = tools.store.agents().into_iter().filter(|other| other.ended.is_none() && other.id != *agent);
    for other in live {
        others.extend(alive(&other, tools, &table).map_err(unread)?);
    }
    grow(&mut found, &table, &others);
    if found.is_empty() {
        return Err(NotDone::refused("none of the agent's processes lives"));
    }
    if let Some(pid) = ourselves(std::process::id(), &table).into_iter().find(|pid| found.contains(pid)) {
        let why = format!("agentperf itself is, or descends from, process {pid} of the agent");
        return Err(NotDone::Refused(why));
    }
    Ok(table.into_iter().filter(|(pid, _)| found.contains(pid)).collect())
}

/// As they are told apart from later ones of their pids.
pub(super) fn identified(members: &Members) -> impl Iterator<Item = Member> {
    members.iter().map(|(pid, stat)| Member { pid: *pid, start_ticks: stat.start_ticks })
}

/// Those that the store knows and that are still there. Of an agent that was attached this moment it knows the root alone.
fn alive(agent: &Agent, tools: &Tools, table: &Table) -> Result<BTreeSet<u32>, StoreError> {
    let now = TimeRange { from: Timestamp::now(), to: TimeRange::ALL.to };
    let known = tools.store.processes(&agent.id, now)?;
    let there = |id: ProcessId| table.get(&id.pid()).is_some_and(|stat| stat.is_of(id) && !stat.is_dead());
    let live = known.into_iter().filter(|process| process.ended.is_none()).map(|process| process.id);
    Ok(live.chain([agent.root]).filter(|id| there(*id)).map(ProcessId::pid).collect())
}

/// Adds children of theirs, and children of those.
fn grow(found: &mut BTreeSet<u32>, table: &Table, others: &BTreeSet<u32>) {
    loop {
        let is_new = |(pid, stat): &(&u32, &Stat)| {
            let of_theirs = found.contains(&stat.parent)
                && table.get(&stat.parent).is_some_and(|parent| parent.start_ticks <= stat.start_ticks);
            of_theirs && !stat.is_dead() && !found.contains(*pid) && !others.contains(*pid)
        };
        let more: Vec<u32> = table.iter().filter(is_new).map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            return;
        }
        found.extend(more);
    }
}

/// This process and all that it descends from, init among them.
fn ourselves(own: u32, table: &Table) -> BTreeSet<u32> {
    let mut line = BTreeSet::from([own, 1]);
    let mut pid = own;
    while let Some(parent) = table.get(&pid).map(|stat| stat.parent).filter(|parent| *parent > 0) {
        // The table is not read at one moment: it might have a ring.
        if !line.insert(parent) && parent != 1 {
            break;
        }
        pid = parent;
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Stat, Table, find, grow, ourselves};
    use crate::{
        alert::reaction::tests::{Child, tools},
        model::{agent::Agent, id::ProcessId},
        store::fixture::{at, numbered_agent},
    };

    #[test]
    fn of_an_agent_that_was_attached_this_moment_the_root_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools(folder.path());
        let child = Child(std::process::Command::new("sleep").arg("600").spawn().unwrap());
        let tick = 1_000_000_000 / procfs::ticks_per_second();
        let root = ProcessId::new(child.0.id(), tools.proc.stat(child.0.id()).unwrap().start_ticks * tick);
        let agent = Agent { root, ..numbered_agent(child.0.id(), at(0)) };
        tools.store.put_agent(agent.clone());
        let found = find(&agent.id, &tools).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [child.0.id()]);
    }

    fn table(rows: &[(u32, u32, u64)]) -> Table {
        let stat = |parent, start_ticks| Stat { comm: "x".into(), state: 'S', parent, start_ticks };
        rows.iter().map(|(pid, parent, start)| (*pid, stat(*parent, *start))).collect::<BTreeMap<_, _>>()
    }

    #[test]
    fn children_belong_to_it_unless_they_are_another_agents() {
        let table =
            table(&[(1, 0, 0), (10, 1, 5), (11, 10, 6), (12, 11, 7), (13, 12, 8), (20, 1, 5), (14, 10, 4)]);
        let mut found = BTreeSet::from([10]);
        grow(&mut found, &table, &BTreeSet::from([12]));
        // 13 is of the other agent, whose root is 12; 14 is older than its parent: the pid was reused.
        assert_eq!(found, BTreeSet::from([10, 11]));
    }

    #[test]
    fn we_are_ourselves_and_all_our_parents() {
        let table = table(&[(1, 0, 0), (10, 1, 5), (11, 10, 6), (12, 11, 7), (30, 31, 1), (31, 30, 1)]);
        assert_eq!(ourselves(12, &table), BTreeSet::from([1, 10, 11, 12]));
        assert_eq!(ourselves(30, &table), BTreeSet::from([1, 30, 31]), "a ring ends");
    }
}
