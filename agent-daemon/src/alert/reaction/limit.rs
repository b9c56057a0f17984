//! Limits an agent's cgroup: `cpu.max` and `memory.high`, never looser than they are. Only a cgroup that the agent has to
//! itself, that is neither the root nor ours. What was there before is put back, unless somebody else has changed it
//! meanwhile.

use std::io;

use serde::{Deserialize, Serialize};

use super::{
    action::{self, Kind, NotDone, Pace, Plan, React, Step, Subject, Tools},
    cgroup::{Cgroups, common, is_within},
    members::{self, Members},
};

/// The period of `cpu.max` that is written, microseconds: the kernel's own.
const PERIOD: u64 = 100_000;
/// `memory.high` counts whole pages.
const PAGE: u64 = 4096;
/// How often processes are looked for anew where one is no known agent's: it may just have been forked.
const TRIES: usize = 3;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Percent of one CPU.
    pub(super) cpu_percent: Option<u64>,
    /// Bytes beyond which the kernel slows it down and takes memory back.
    pub(super) memory_high: Option<u64>,
    pub(super) pace: Pace,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// The cgroup, from the hierarchy's root.
    path: String,
    /// What tells it from a later one of that path.
    identity: u64,
    values: Vec<Value>,
}

/// A file of the cgroup, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Value {
    file: String,
    before: String,
    ours: String,
}

impl React for Limit {
    fn kind(&self) -> Kind {
        Kind::Limit
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn plan(&self, subject: &Subject, tools: &Tools) -> Result<Plan, NotDone> {
        let cgroups = tools.cgroups.as_ref();
        let cgroups = cgroups.ok_or_else(|| NotDone::refused("no cgroup2 is mounted as a whole"))?;
        let path = own_cgroup(subject, tools, cgroups)?;
        let identity = cgroups.identity(&path);
        let identity = identity.ok_or_else(|| NotDone::refused(format!("the cgroup {path} is gone")))?;
        let values = self.values(&path, cgroups)?;
        let said =
            values.iter().map(|value| format!("{} {} instead of {}", value.file, value.ours, value.before));
        let what = format!("{} in {path}", said.collect::<Vec<_>>().join(", "));
        Ok(Plan { what, step: Step::Hold(action::Held::Limit(Held { path, identity, values })) })
    }
}

impl Limit {
    /// What there is to write.
    fn values(&self, path: &str, cgroups: &Cgroups) -> Result<Vec<Value>, NotDone> {
        let cpu = self.cpu_percent.map(|percent| {
            let quota = percent.saturating_mul(PERIOD) / 100;
            ("cpu.max", format!("{quota} {PERIOD}"))
        });
        let memory = self.memory_high.map(|bytes| ("memory.high", (bytes / PAGE * PAGE).to_string()));
        let (mut values, mut tight) = (Vec::new(), Vec::new());
        for (file, ours) in cpu.into_iter().chain(memory) {
            let before = cgroups.read(path, file).map_err(|error| unread(path, file, &error))?;
            if is_as_tight(&before, &ours) {
                tight.push(format!("{file} of {path} is {before} already"));
            } else {
                values.push(Value { file: file.to_owned(), before, ours });
            }
        }
        if values.is_empty() { Err(NotDone::Refused(tight.join(", "))) } else { Ok(values) }
    }
}

fn unread(path: &str, file: &str, error: &io::Error) -> NotDone {
    if error.kind() == io::ErrorKind::NotFound {
        let controller = file.split('.').next().unwrap_or(file);
        return NotDone::Refused(format!(
            "{path} has no {file}: the controller {controller} is not enabled for it"
        ));
    }
    NotDone::failed(format!("{file} of {path} cannot be read"), error)
}

/// Whether the one is no looser than the other: `max`, a number, or either and a period.
fn is_as_tight(one: &str, other: &str) -> bool {
    let share = |text: &str| -> Option<f64> {
        let mut words = text.split(' ');
        let number = match words.next()? {
            "max" => f64::INFINITY,
            number => number.parse().ok()?,
        };
        Some(number / words.next().map_or(Some(1.0), |period| period.parse().ok())?)
    };
    // What cannot be read is left alone.
    share(one).zip(share(other)).is_none_or(|(one, other)| one <= other)
}

/// The cgroup that the agent has to itself.
fn own_cgroup(subject: &Subject, tools: &Tools, cgroups: &Cgroups) -> Result<String, NotDone> {
    let mut tries = 1;
    loop {
        let found = members::find(&subject.agent, tools)?;
        let path = shared_cgroup(&found, tools)?;
        let there = cgroups.processes(&path);
        let there =
            there.map_err(|error| NotDone::failed(format!("who is in {path} cannot be told"), error))?;
        let Some(stranger) = there.into_iter().find(|pid| !found.contains_key(pid)) else { return Ok(path) };
        if tries == TRIES {
            let name = tools.proc.stat(stranger).map_or_else(|| "gone".to_owned(), |stat| stat.comm);
            let why =
                format!("the cgroup {path} holds process {stranger} ({name}), which is not the agent's");
            return Err(NotDone::Refused(why));
        }
        tries += 1;
    }
}

fn shared_cgroup(found: &Members, tools: &Tools) -> Result<String, NotDone> {
    let paths: Vec<String> = found.keys().filter_map(|pid| tools.proc.cgroup(*pid)).collect();
    let path = common(paths.iter().map(String::as_str));
    let path = path.ok_or_else(|| NotDone::refused("its processes are in no cgroup of version 2"))?;
    if path == "/" {
        return Err(NotDone::refused("its processes are in the root cgroup, or share no other"));
    }
    let own = tools.proc.cgroup(std::process::id());
    if own.is_none_or(|own| is_within(&own, &path)) {
        return Err(NotDone::Refused(format!("agentperf itself is in the cgroup {path}")));
    }
    Ok(path)
}

impl Held {
    pub(super) fn apply(
        &mut self,
        tools: &Tools,
        record: &mut dyn FnMut(&Self) -> io::Result<()>,
    ) -> Result<(), NotDone> {
        record(self)
            .map_err(|error| NotDone::failed("what was there before cannot be written down", error))?;
        let cgroups = tools.cgroups.as_ref().ok_or_else(|| NotDone::refused("no cgroup2 is mounted"))?;
        if cgroups.identity(&self.path) != Some(self.identity) {
            return Err(NotDone::Refused(format!("the cgroup {} is gone", self.path)));
        }
        let set = self.values.iter_mut().try_for_each(|value| {
            cgroups.write(&self.path, &value.file, &value.ours)?;
            // The kernel may round.
            value.ours = cgroups.read(&self.path, &value.file)?;
            Ok(())
        });
        let set = set.and_then(|()| record(self));
        set.map_err(|error: io::Error| {
            NotDone::failed(format!("limits of {} cannot be set", self.path), error)
        })
    }

    pub(super) fn undo(&self, tools: &Tools) -> io::Result<String> {
        let cgroups = tools.cgroups.as_ref().ok_or_else(|| io::Error::other("no cgroup2 is mounted"))?;
        match cgroups.identity(&self.path) {
            None => return Ok(format!("the cgroup {} is gone", self.path)),
            Some(now) if now != self.identity => {
                return Ok(format!("{} is another cgroup by now", self.path));
            }
            Some(_) => {}
        }
        // Each is tried, whatever becomes of the others.
        let done: Vec<_> = self.values.iter().map(|value| value.restore(&self.path, cgroups)).collect();
        let done: io::Result<Vec<String>> = done.into_iter().collect();
        Ok(done?.join(", "))
    }
}

impl Value {
    fn restore(&self, path: &str, cgroups: &Cgroups) -> io::Result<String> {
        let Self { file, before, ours } = self;
        let now = match cgroups.read(path, file) {
            // The controller was taken from the group, and its limits with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(format!("{file} is gone")),
            now => now?,
        };
        if now == *before {
            return Ok(format!("{file} is {before}"));
        }
        if now != *ours {
            return Ok(format!("{file} was changed to {now} by somebody else, and stays so"));
        }
        cgroups.write(path, file, before)?;
        Ok(format!("{file} is {before} again"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Value, is_as_tight, unread};
    use crate::alert::reaction::{cgroup::Cgroups, tests::tools};

    #[test]
    fn tighter_ones_are_left() {
        for (one, other, tight) in [
            ("max 100000", "50000 100000", false),
            ("20000 100000", "50000 100000", true),
            ("20000 20000", "50000 100000", false),
            ("50000 100000", "50000 100000", true),
            ("max", "4096", false),
            ("0", "4096", true),
            ("nonsense", "4096", true),
        ] {
            assert_eq!(is_as_tight(one, other), tight, "{one} {other}");
        }
    }

    fn held(tools: &super::Tools, ours: &str) -> Held {
        let identity = tools.cgroups.as_ref().unwrap().identity("/a").unwrap();
        let value = Value { file: "cpu.max".into(), before: "max 100000".into(), ours: ours.into() };
        Held { path: "/a".into(), identity, values: vec![value] }
    }

    #[test]
    fn what_was_there_is_put_back_unless_somebody_changed_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/cpu.max");
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(&file, "max 100000").unwrap();
        let mut tools = tools(folder.path());
        tools.cgroups = Some(Cgroups::at(folder.path()));
        let mut held = held(&tools, "50000 100000");
        let mut recorded = 0;
        let mut record = |_: &Held| {
            // The first time before anything is written.
            recorded += 1;
            assert_eq!(std::fs::read_to_string(&file).unwrap().starts_with("max"), recorded == 1);
            Ok(())
        };
        held.apply(&tools, &mut record).unwrap();
        let now = || std::fs::read_to_string(&file).unwrap();
        assert!(now().starts_with("50000 100000"));
        std::fs::write(&file, "70000 100000").unwrap();
        assert!(held.undo(&tools).unwrap().contains("changed to 70000 100000"), "{}", now());
        assert_eq!(now(), "70000 100000");
        std::fs::write(&file, &held.values[0].ours).unwrap();
        assert_eq!(held.undo(&tools).unwrap(), "cpu.max is max 100000 again");
        assert!(now().starts_with("max 100000"));
        std::fs::write(&file, "max 100000").unwrap();
        assert_eq!(held.undo(&tools).unwrap(), "cpu.max is max 100000");
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert!(held.undo(&tools).unwrap().contains("is gone"));
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert!(held.undo(&tools).unwrap().contains("another cgroup"));
    }

    #[test]
    fn what_cannot_be_written_down_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/cpu.max"), "max 100000").unwrap();
        let mut tools = tools(folder.path());
        tools.cgroups = Some(Cgroups::at(folder.path()));
        let full = &mut |_: &Held| Err(std::io::ErrorKind::StorageFull.into());
        assert!(held(&tools, "1000 100000").apply(&tools, full).is_err());
        assert_eq!(std::fs::read_to_string(folder.path().join("a/cpu.max")).unwrap(), "max 100000");
    }

    #[test]
    fn a_controller_that_is_missing_is_named() {
        let why = unread("/a", "cpu.max", &std::io::ErrorKind::NotFound.into()).to_string();
        assert_eq!(why, "/a has no cpu.max: the controller cpu is not enabled for it");
    }
}
