//! Captures profiles: what an agent did on and off the CPU around the moment its alert began, as pprof and as folded
//! text. Read from the store, where the windows are by then.

use std::time::Duration;

use super::{
    action::{Kind, NotDone, Pace, Plan, React, Step, Subject, Tools},
    folder::Name,
};
use crate::{
    model::time::{TimeRange, Timestamp},
    profile::{self, folded, pprof},
    store::query::{self, ProfileFold, ProfileKind},
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capture {
    /// How long before the alert began the profile begins; it ends when it is time.
    pub(super) before: Duration,
    pub(super) pace: Pace,
}

impl React for Capture {
    fn kind(&self) -> Kind {
        Kind::CaptureProfile
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn plan(&self, subject: &Subject, tools: &Tools) -> Result<Plan, NotDone> {
        if tools.store.agent(&subject.agent).is_none() {
            return Err(NotDone::refused("the store knows no such agent"));
        }
        let range = self.range(subject.fired);
        let what = format!("profiles from {} to {}", range.from, range.to);
        let subject = subject.clone();
        Ok(Plan { what, step: Step::Write(Box::new(move |tools| write(&subject, range, tools))) })
    }
}

impl Capture {
    fn range(&self, fired: Timestamp) -> TimeRange {
        let from = fired.checked_sub(self.before).unwrap_or(fired);
        // Windows that overlap it are in it: with nothing after, the one that fired.
        TimeRange { from, to: fired.checked_add(self.pace.after).unwrap_or(fired) }
    }
}

fn write(subject: &Subject, range: TimeRange, tools: &Tools) -> Result<Vec<String>, NotDone> {
    let agent = tools.store.agent(&subject.agent);
    let agent = agent.ok_or_else(|| NotDone::refused("the store knows the agent no more"))?;
    let unread = |error| NotDone::failed("the store cannot be read", error);
    let processes = tools.store.processes(&subject.agent, range).map_err(unread)?;
    let whose = profile::Subject::new(agent, processes);
    let fold = |kind| ProfileFold::new(kind, None);
    let both = (fold(ProfileKind::Cpu), fold(ProfileKind::OffCpu));
    let (cpu, off_cpu) = query::over(tools.store.as_ref(), &subject.agent, range, both).map_err(unread)?;
    let mut files = Vec::new();
    for (part, profile) in [("cpu", cpu), ("off_cpu", off_cpu)] {
        if profile.stacks.is_empty() {
            continue;
        }
        let unwritten = |error| NotDone::failed("the profile cannot be written", error);
        let name = |ending| Name { reaction: subject.reaction, agent: Some(&subject.agent), part, ending };
        let gzipped = pprof::gzipped(&profile, &whose).map_err(unwritten)?;
        files.push(tools.folder.put(&name("pb.gz"), |to| to.write_all(&gzipped)).map_err(unwritten)?);
        let text = folded::text(&profile, &whose);
        files.push(tools.folder.put(&name("folded"), |to| to.write_all(text.as_bytes())).map_err(unwritten)?);
    }
    if files.is_empty() {
        Err(NotDone::Failed("no stack is known of that time".to_owned()))
    } else {
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Capture, Kind, Pace, React as _, Step, Subject};
    use crate::{
        alert::reaction::tests::tools,
        model::off_cpu::WaitCause,
        store::fixture::{agent_at, at, cpu, off_cpu, process_at, window_at},
    };

    #[test]
    fn both_profiles_are_written_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools(folder.path());
        let agent = agent_at(at(0));
        tools.store.put_agent(agent.clone());
        tools.store.put_process(&agent.id, process_at(100, at(0)));
        let mut window = window_at(&agent.id, at(0), 0);
        window.cpu = vec![cpu(100, &["hot", "main"], 90)];
        window.off_cpu = vec![off_cpu(100, WaitCause::Disk, &["k_io", "main"], 1_500_000, 400)];
        tools.store.append(window);
        let (after, min_interval) = (Duration::ZERO, Duration::ZERO);
        let capture = Capture {
            before: Duration::from_secs(5),
            pace: Pace { after, max_duration: None, min_interval },
        };
        assert_eq!(capture.kind(), Kind::CaptureProfile);
        let subject = Subject { reaction: 7, agent: agent.id.clone(), fired: at(4) };
        let plan = capture.plan(&subject, &tools).unwrap();
        assert!(folder.path().join("files").read_dir().is_err(), "a plan writes nothing");
        let Step::Write(write) = plan.step else { panic!("it writes") };
        let files = write(&tools).unwrap();
        let id = &agent.id;
        assert_eq!(files[0], format!("7-{id}-cpu.pb.gz"));
        let text = std::fs::read_to_string(folder.path().join("files").join(&files[1])).unwrap();
        assert_eq!(text, "python3;main;hot 90\n");
        assert_eq!(files.len(), 4);
        let later = Subject { fired: at(400), ..subject };
        let Step::Write(write) = capture.plan(&later, &tools).unwrap().step else { panic!("it writes") };
        assert_eq!(write(&tools).unwrap_err().to_string(), "no stack is known of that time");
    }
}
