//! Pauses an agent: SIGSTOP to each of its processes, SIGCONT when it is over. By descriptors of processes whose start
//! was compared, so that no other process of the same pid is ever hit. Those that were stopped before stay so.

use std::{
    collections::BTreeSet,
    io, thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    action::{self, Kind, NotDone, Pace, Plan, React, Step, Subject, Tools},
    members::{self, Members},
    process::{Member, PidFd, Stat},
};
use crate::model::id::AgentId;

/// How often children that were forked meanwhile are looked for: those that stopped fork no more.
const ROUNDS: usize = 16;
/// How long it is waited for that they have stopped; what waits for a disk stops when that is over.
const SETTLE: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) pace: Pace,
}

/// Who was stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    processes: BTreeSet<Member>,
}

impl React for Pause {
    fn kind(&self) -> Kind {
        Kind::Pause
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn plan(&self, subject: &Subject, tools: &Tools) -> Result<Plan, NotDone> {
        let found = members::find(&subject.agent, tools)?;
        let processes: BTreeSet<Member> = running(&found).collect();
        if processes.is_empty() {
            return Err(NotDone::refused("all its processes are stopped already"));
        }
        for member in &processes {
            let asked = PidFd::open(*member, &tools.proc);
            asked.map_err(|error| {
                NotDone::Refused(format!("process {} must not be stopped: {error}", member.pid))
            })?;
        }
        let pids: Vec<String> = processes.iter().map(|member| member.pid.to_string()).collect();
        let what = format!("stopping {} processes: {}", pids.len(), shown(&pids));
        // Found anew when they are stopped.
        Ok(Plan { what, step: Step::Hold(action::Held::Pause(Held::default())) })
    }
}

/// The first of them; an agent may have thousands.
fn shown(pids: &[String]) -> String {
    const SHOWN: usize = 10;
    let more = if pids.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", pids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" "))
}

fn running(found: &Members) -> impl Iterator<Item = Member> {
    let running: Members =
        found.iter().filter(|(_, stat)| !stat.is_stopped()).map(|(p, s)| (*p, s.clone())).collect();
    members::identified(&running).collect::<Vec<_>>().into_iter()
}

impl Held {
    pub(super) fn apply(
        &mut self,
        agent: &AgentId,
        tools: &Tools,
        record: &mut dyn FnMut(&Self) -> io::Result<()>,
    ) -> Result<(), NotDone> {
        for _ in 0..ROUNDS {
            let found = match members::find(agent, tools) {
                // They may all have ended.
                Err(NotDone::Refused(_)) if !self.processes.is_empty() => return Ok(()),
                found => found?,
            };
            let new: Vec<Member> =
                running(&found).filter(|member| !self.processes.contains(member)).collect();
            if new.is_empty() {
                return Ok(());
            }
            self.processes.extend(&new);
            let recorded = record(self);
            recorded.map_err(|error| NotDone::failed("who is stopped cannot be written down", error))?;
            for member in &new {
                let stopped = signal(*member, libc::SIGSTOP, tools);
                stopped.map_err(|error| {
                    NotDone::failed(format!("process {} cannot be stopped", member.pid), error)
                })?;
            }
            settle(&new, tools);
        }
        Err(NotDone::Failed("it forks faster than it can be stopped".to_owned()))
    }

    pub(super) fn undo(&self, tools: &Tools) -> io::Result<String> {
        let (mut continued, mut gone, mut ran) = (0, 0, 0);
        let mut failed = None;
        for member in &self.processes {
            match go_on(*member, tools) {
                Ok(Some(true)) => continued += 1,
                Ok(Some(false)) => ran += 1,
                Ok(None) => gone += 1,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let counts = [(continued, "continued"), (gone, "gone"), (ran, "continued by somebody else before")];
        let said =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        Ok(said.collect::<Vec<_>>().join(", "))
    }
}

/// Sends the very process a signal. Whether it was there.
fn signal(member: Member, number: libc::c_int, tools: &Tools) -> io::Result<bool> {
    match PidFd::open(member, &tools.proc)? {
        Some(process) => process.signal(number),
        None => Ok(false),
    }
}

/// Continues a process; false where it runs already, `None` if it is gone.
fn go_on(member: Member, tools: &Tools) -> io::Result<Option<bool>> {
    let Some(process) = PidFd::open(member, &tools.proc)? else { return Ok(None) };
    if process.is_running(&tools.proc) {
        return Ok(Some(false));
    }
    Ok(process.signal(libc::SIGCONT)?.then_some(true))
}

/// Waits until they have stopped: then what /proc says of them can be believed, and they fork no more.
fn settle(members: &[Member], tools: &Tools) {
    let begin = Instant::now();
    let moves = |member: &Member| {
        let same = |stat: &Stat| stat.start_ticks == member.start_ticks;
        let stat = tools.proc.stat(member.pid).filter(same);
        stat.is_some_and(|stat| !stat.is_stopped() && !stat.is_dead())
    };
    while begin.elapsed() < SETTLE && members.iter().any(moves) {
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command, time::Duration};

    use super::{Held, Pause, React as _, Step};
    use crate::alert::reaction::{
        action::{self, NotDone, Pace},
        process::Proc,
        tests::{Child, agent_of, subject, tools},
    };

    fn pause() -> Pause {
        let (after, min_interval) = (Duration::ZERO, Duration::ZERO);
        Pause { pace: Pace { after, max_duration: Some(Duration::from_secs(60)), min_interval } }
    }

    fn state(pid: u32) -> char {
        Proc::default().stat(pid).unwrap().state
    }

    fn children(pid: u32) -> Vec<u32> {
        let all = Proc::default().all().unwrap();
        all.into_iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| pid).collect()
    }

    #[test]
    fn the_whole_tree_stops_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools(folder.path());
        let mut shell = Command::new("sh");
        let shell =
            Child(shell.args(["-c", "sleep 600 & sleep 601 & wait"]).process_group(0).spawn().unwrap());
        while children(shell.0.id()).len() < 2 {
            std::thread::yield_now();
        }
        // The store knows the root only: the others are found.
        let agent = agent_of(shell.0.id(), tools.store.as_ref());
        let plan = pause().plan(&subject(&agent), &tools).unwrap();
        assert!(plan.what.starts_with("stopping 3 processes: "), "{}", plan.what);
        let Step::Hold(mut held) = plan.step else { panic!("it holds something") };
        let mut written = Vec::new();
        let record = &mut |held: &action::Held| {
            written.push(held.clone());
            Ok(())
        };
        held.apply(&subject(&agent), &tools, record).unwrap();
        let tree: Vec<u32> = children(shell.0.id()).into_iter().chain([shell.0.id()]).collect();
        assert!(tree.iter().all(|pid| state(*pid) == 'T'), "{tree:?}");
        assert_eq!(written.last(), Some(&held), "whoever comes after a crash knows all of them");
        let again = pause().plan(&subject(&agent), &tools).map(|plan| plan.what);
        assert_eq!(again, Err(NotDone::Refused("all its processes are stopped already".into())));
        let kept: action::Held = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        assert_eq!(kept.undo(&tools).unwrap(), "3 continued");
        assert!(tree.iter().all(|pid| state(*pid) != 'T'), "{tree:?}");
        assert_eq!(kept.undo(&tools).unwrap(), "3 continued by somebody else before");
        // What the shell started does not end with it.
        tree.iter().for_each(|pid| drop(Command::new("kill").arg(pid.to_string()).status()));
    }

    #[test]
    fn a_failed_record_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools(folder.path());
        let child = Child(Command::new("sleep").arg("600").spawn().unwrap());
        let agent = agent_of(child.0.id(), tools.store.as_ref());
        let full = &mut |_: &Held| Err(std::io::ErrorKind::StorageFull.into());
        assert!(Held::default().apply(&agent, &tools, full).is_err());
        assert_ne!(state(child.0.id()), 'T');
    }

    #[test]
    fn we_are_never_paused() {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools(folder.path());
        for pid in [std::process::id(), std::os::unix::process::parent_id()] {
            let agent = agent_of(pid, tools.store.as_ref());
            let plan = pause().plan(&subject(&agent), &tools).map(|plan| plan.what);
            assert!(
                matches!(&plan, Err(NotDone::Refused(why)) if why.contains("agentperf itself")),
                "{plan:?}"
            );
        }
    }
}
