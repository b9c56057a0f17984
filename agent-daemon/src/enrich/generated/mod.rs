//! Names of generated code, from what a runtime writes when it is told to: a perf map (Node: `--perf-basic-prof`,
//! CPython 3.12: `-X perf`, HotSpot: `jcmd PID Compiler.perfmap`, .NET: `DOTNET_PerfMapEnabled`) or a jitdump
//! (Node: `--perf-prof`, CPython 3.13: `-X perf_jit`, HotSpot with an agent). Where both name an address, the jitdump
//! does: it tells lines. Anybody can write these files: they are bytes to distrust, read within limits, never mapped.

mod jitdump;
mod name;
mod perf_map;

use std::{
    fs::{self, File},
    iter,
};

pub use jitdump::Jitdump;
pub use name::GeneratedName;
pub use perf_map::scan;

use self::perf_map::PerfMap;
use super::{binary, mappings::CodeIds};
use crate::{
    model::{id::ProcessId, observation::Mapping},
    unwind::identity::is_same,
};

/// What one process says of its generated code, if it says anything.
#[derive(Default)]
pub(super) struct GeneratedCode {
    /// Who says it; `None` if nobody does.
    process: Option<ProcessId>,
    perf_map: PerfMap,
    jitdump: Option<Jitdump<File>>,
    /// The number under which what they said when they were read last holds; 0 if nobody asked yet.
    number: u64,
}

impl GeneratedCode {
    /// Opens what a process writes. It stays readable after the process has exited.
    pub(super) fn open(process: ProcessId, dump: Option<&Mapping>) -> Self {
        let pid = process.pid();
        let jitdump = dump.and_then(|mapping| binary::open(pid, mapping).ok()).map(Jitdump::new);
        let opened = Self { process: Some(process), perf_map: PerfMap::open(pid), jitdump, number: 0 };
        // Of another process, if it has the pid by now.
        if is_same(process) { opened } else { Self::default() }
    }

    /// A runtime may be told to write a perf map at any time.
    fn look_for_perf_map(&mut self) {
        if let Some(process) = self.process.filter(|_| !self.perf_map.exists()) {
            let found = PerfMap::open(process.pid());
            if found.exists() && is_same(process) {
                self.perf_map = found;
            }
        }
    }

    /// Whether there is a perf map, and whether there is a jitdump.
    pub(super) fn sources(&self) -> [bool; 2] {
        [self.perf_map.exists(), self.jitdump.is_some()]
    }

    /// The number under which its names hold: `first`, and a new one whenever there is more than was read, since
    /// addresses may have other names then.
    pub(super) fn number(&mut self, first: u64, ids: &CodeIds) -> u64 {
        self.look_for_perf_map();
        if self.number == 0 {
            self.number = first;
        } else if self.perf_map.has_news() || self.jitdump.as_ref().is_some_and(Jitdump::has_news) {
            self.number = ids.next();
        }
        self.number
    }

    /// The names of the code at these addresses; where code was replaced, the last one.
    pub(super) fn names(&mut self, addresses: &[u64]) -> Vec<Option<GeneratedName>> {
        let Some(jitdump) = &mut self.jitdump else { return self.perf_map.names(addresses) };
        let names = jitdump.names(addresses);
        if !self.perf_map.exists() {
            return names;
        }
        iter::zip(names, self.perf_map.names(addresses)).map(|(dump, map)| dump.or(map)).collect()
    }
}

/// The mapping by which a process shows where its jitdump is: runtimes map the file once, executable, for that.
pub(super) fn jitdump_mapping(pid: u32, mappings: &[Mapping]) -> Option<&Mapping> {
    let mut own_pid = None;
    mappings.iter().find(|m| {
        let written_by = written_by(&m.path);
        written_by.is_some() && written_by == *own_pid.get_or_insert_with(|| pid_inside(pid))
    })
}

/// The pid in the name of a jitdump.
fn written_by(path: &str) -> Option<u32> {
    let (_, name) = path.rsplit_once('/')?;
    name.strip_prefix("jit-")?.strip_suffix(".dump")?.parse().ok()
}

/// The pid of a process in its own pid namespace.
fn pid_inside(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pids = status.lines().find_map(|l| l.strip_prefix("NSpid:"))?;
    pids.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::identity::{forerunner, process_now, this_process};

    #[test]
    fn the_map_of_another_process_with_the_pid_is_not_read() {
        let path = format!("/tmp/perf-{}.map", std::process::id());
        fs::write(&path, "1000 10 name\n").unwrap();
        let found = [this_process(), forerunner()].map(|p| GeneratedCode::open(p, None).perf_map.exists());
        fs::remove_file(path).unwrap();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn a_map_that_comes_late_is_found() {
        let ids = CodeIds::new();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut code = GeneratedCode::open(process_now(child.id()), None);
        let first = code.number(ids.next(), &ids);
        assert_eq!(code.names(&[0x1008]), [None]);
        let path = format!("/tmp/perf-{}.map", child.id());
        fs::write(&path, "1000 10 late\n").unwrap();
        assert_ne!(code.number(ids.next(), &ids), first, "there is more to be said");
        let names = code.names(&[0x1008]);
        fs::remove_file(path).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(names[0].is_some());
    }

    #[test]
    fn a_jitdump_is_known_by_the_pid_in_its_name() {
        let me = std::process::id();
        let mapping = |path: String| Mapping { start: 1, end: 2, offset: 0, device: 0, inode: 1, path };
        let other = mapping(format!("/tmp/jit-{}.dump", me + 1));
        let mine = mapping(format!("/a b/.debug/jit-{me}.dump"));
        let no = ["", "jit-", "/jit-.dump", "/jit-x.dump", "/jit-1.dump/x"].map(|p| mapping(p.to_owned()));
        let all: Vec<_> = no.iter().cloned().chain([other.clone(), mine.clone()]).collect();
        assert_eq!(jitdump_mapping(me, &all), Some(&mine));
        assert_eq!(jitdump_mapping(me, &[other]), None);
        assert_eq!(jitdump_mapping(0, &all), None, "no such process");
    }
}
