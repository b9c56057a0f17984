//! Names of generated code, from the file that a runtime writes when it is told to: /tmp/perf-PID.map, lines of
//! `START SIZE NAME` (Node: `--perf-basic-prof`, CPython 3.12: `-X perf`). The file lies in the process's own
//! root and carries the pid of its own pid namespace. Anybody can write it: it is text to distrust, read up to
//! [`MAX_READ`] bytes, and never kept in memory.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use super::{demangle::cut, mappings::CodeIds};
use crate::model::stack::FrameKind;

/// Most bytes read of one file at a time.
const MAX_READ: u64 = 64 << 20;
/// Longest line that is read whole, bytes.
const MAX_LINE: u64 = 4096;

/// Generated code, named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GeneratedName {
    pub(super) kind: FrameKind,
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// The perf map of one process, if it has any.
#[derive(Default)]
pub(super) struct PerfMap {
    file: Option<File>,
    /// Its size when it was read last.
    read: u64,
    /// The number under which what it said then holds; 0 if nobody asked yet.
    number: u64,
}

impl PerfMap {
    /// Opens the map of a process, if there is one. It stays readable after the process has exited.
    pub(super) fn open(pid: u32) -> Self {
        Self { file: open(pid), ..Self::default() }
    }

    /// Whether there is a map.
    pub(super) fn exists(&self) -> bool {
        self.file.is_some()
    }

    /// The number under which its names hold: `first`, and a new one whenever it has grown since it was read,
    /// since addresses may have other names then.
    pub(super) fn number(&mut self, first: u64, ids: &CodeIds) -> u64 {
        let size = self.file.as_ref().and_then(|f| f.metadata().ok()).map(|m| m.size());
        if self.number == 0 {
            self.number = first;
        } else if size.is_some_and(|size| size != self.read) {
            self.number = ids.next();
        }
        self.number
    }

    /// The names of the code at these addresses; where code was replaced, the last one.
    pub(super) fn names(&mut self, addresses: &[u64]) -> Vec<Option<GeneratedName>> {
        let mut names = vec![None; addresses.len()];
        if let Some(mut file) = self.file.as_ref() {
            self.read = file.metadata().map_or(0, |m| m.size());
            if file.rewind().is_ok() {
                scan(BufReader::with_capacity(64 << 10, file.take(MAX_READ)), addresses, &mut names);
            }
        }
        names
    }
}

/// Reads a map for the names of addresses.
fn scan(mut text: impl BufRead, addresses: &[u64], names: &mut [Option<GeneratedName>]) {
    let mut wanted: Vec<(u64, usize)> = addresses.iter().copied().zip(0..).collect();
    wanted.sort_unstable();
    let mut line = Vec::new();
    while text.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        if let Some((start, end, name)) = parse_line(&line) {
            let first = wanted.partition_point(|(address, _)| *address < start);
            for (_, i) in wanted.iter().skip(first).take_while(|(address, _)| *address < end) {
                if let Some(slot) = names.get_mut(*i) {
                    *slot = Some(describe(name));
                }
            }
        }
        line.clear();
    }
}

/// Start, end and name of one line.
fn parse_line(line: &[u8]) -> Option<(u64, u64, &str)> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (start, rest) = line.split_once(' ')?;
    let (size, name) = rest.split_once(' ')?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok();
    let start = number(start)?;
    Some((start, start.checked_add(number(size)?)?, name))
}

/// What the writers' forms say: `py::NAME:FILE` (CPython), `JS:*NAME FILE:LINE:COLUMN` (V8, also as
/// `LazyCompile:`, `Function:`, `Script:` and `Eval:`, with a mark of the compiler's tier), or just a name.
fn describe(text: &str) -> GeneratedName {
    if let Some((function, file)) = text.strip_prefix("py::").and_then(|t| t.split_once(':')) {
        return named(FrameKind::Python, function, Some(file), None);
    }
    let script = ["JS:", "LazyCompile:", "Function:", "Script:", "Eval:"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let Some(script) = script else {
        return named(FrameKind::Native, text, None, None);
    };
    let script = script.trim_start_matches(['*', '~', '^', '+']);
    let (function, place) = script.rsplit_once(' ').unwrap_or((script, ""));
    let mut parts = place.rsplitn(3, ':').collect::<Vec<_>>();
    parts.reverse();
    let (file, line) = match parts.as_slice() {
        [file, line, _column] => (Some(*file), line.parse().ok()),
        [file, line] if line.parse::<u32>().is_ok() => (Some(*file), line.parse().ok()),
        _ => (Some(place).filter(|p| !p.is_empty()), None),
    };
    let function = if function.is_empty() { "(anonymous)" } else { function };
    named(FrameKind::Javascript, function, file, line)
}

fn named(kind: FrameKind, function: &str, file: Option<&str>, line: Option<u32>) -> GeneratedName {
    GeneratedName { kind, function: cut(function), file: file.map(cut), line }
}

/// Opens the map of a process: a regular file, no link, owned by the process's user or root.
fn open(pid: u32) -> Option<File> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let own_pid = status.lines().find_map(|l| l.strip_prefix("NSpid:"))?.split_whitespace().last()?;
    let user = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/{pid}/root/tmp/perf-{own_pid}.map"))
        .ok()?;
    let found = file.metadata().ok()?;
    (found.is_file() && [0, user].contains(&found.uid())).then_some(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    fn lookup(text: &str, addresses: &[u64]) -> Vec<Option<GeneratedName>> {
        let mut names = vec![None; addresses.len()];
        scan(text.as_bytes(), addresses, &mut names);
        names
    }

    #[test]
    fn the_last_name_of_an_address_counts() {
        let text = "1000 10 first\nrubbish\n1000 8 second one\n0x2000 0x10 third\nffffffffffffffff 2 no";
        let names = lookup(text, &[0x200f, 0x1000, 0x1008, 0x1010, u64::MAX]);
        let functions: Vec<_> = names.iter().map(|n| n.as_ref().map(|n| n.function.as_str())).collect();
        assert_eq!(functions, [Some("third"), Some("second one"), Some("first"), None, None]);
    }

    #[test]
    fn runtimes_are_understood() {
        let cases = [
            ("py::run:/app/main.py", named(FrameKind::Python, "run", Some("/app/main.py"), None)),
            ("JS:*spin /app/x.js:12:3", named(FrameKind::Javascript, "spin", Some("/app/x.js"), Some(12))),
            (
                "LazyCompile:~ node:fs:7:1",
                named(FrameKind::Javascript, "(anonymous)", Some("node:fs"), Some(7)),
            ),
            ("Script:~ /app/x.js", named(FrameKind::Javascript, "(anonymous)", Some("/app/x.js"), None)),
            ("Builtin:ArrayMap", named(FrameKind::Native, "Builtin:ArrayMap", None, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(describe(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            scan(bytes.as_slice(), &[0, 1, u64::MAX], &mut [None, None, None]);
        }
    }
}
