//! Perf maps: /tmp/perf-PID.map, lines of `START SIZE NAME`. The file lies in the process's own root and carries
//! the pid of its own pid namespace. It is text, read anew up to [`MAX_READ`] bytes, and never kept in memory.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use super::{
    name::{GeneratedName, describe},
    pid_inside,
};

/// Most bytes read of one file at a time.
const MAX_READ: u64 = 64 << 20;
/// Longest line that is read whole, bytes.
const MAX_LINE: u64 = 4096;

/// The perf map of one process, if it has any.
#[derive(Default)]
pub(super) struct PerfMap {
    file: Option<File>,
    /// Its size when it was read last.
    read: u64,
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

    /// Whether it has grown, or shrunk, since it was read.
    pub(super) fn has_news(&self) -> bool {
        let size = self.file.as_ref().and_then(|f| f.metadata().ok()).map(|m| m.size());
        size.is_some_and(|size| size != self.read)
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

/// Reads a map for the names of addresses, which go to the same places in `names`.
pub fn scan(mut text: impl BufRead, addresses: &[u64], names: &mut [Option<GeneratedName>]) {
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

/// Opens the map of a process: a regular file, no link, owned by the process's user or root.
fn open(pid: u32) -> Option<File> {
    let own_pid = pid_inside(pid)?;
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

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            scan(bytes.as_slice(), &[0, 1, u64::MAX], &mut [None, None, None]);
        }
    }
}
