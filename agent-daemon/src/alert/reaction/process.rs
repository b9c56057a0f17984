//! Processes, by pid and start: what /proc says of them, and a descriptor by which one is signalled. A pid alone is
//! never enough, since it may be another's by the time it is used.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    cgroup2,
    model::id::{ProcessId, START_SHIFT},
};

/// What one read of a file of /proc may have, bytes.
const MAX_BYTES: u64 = 64 << 10;

/// A process: its pid, and its start by which it differs from every other of that pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) pid: u32,
    /// Clock ticks since boot, as /proc/PID/stat has it.
    pub(super) start_ticks: u64,
}

/// What is used of /proc/PID/stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Parses a line. The name is in parentheses and may hold any byte, parentheses too.
    fn parse(line: &str) -> Option<Self> {
        let (head, rest) = line.rsplit_once(')')?;
        let (_, comm) = head.split_once('(')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // proc(5) numbers fields from 1; the parent is field 4, the start field 22.
        let start_ticks = fields.nth(22 - 5)?.parse().ok()?;
        Some(Self { comm: comm.to_owned(), state, parent, start_ticks })
    }

    /// Whether it has ended, and only waits to be waited for.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Whether somebody stopped it, or traces it and stopped it so.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether this is the process of that id.
    pub(super) fn is_of(&self, id: ProcessId) -> bool {
        let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
        // An id holds a start cut to 16 µs, and /proc one cut to a tick.
        let (first, last) = (id.start_ns(), id.start_ns() + (1 << START_SHIFT) - 1);
        (first / tick..=last / tick).contains(&self.start_ticks)
    }
}

/// The file system of processes.
#[derive(Clone, Debug)]
pub(super) struct Proc(PathBuf);

impl Default for Proc {
    fn default() -> Self {
        Self("/proc".into())
    }
}

impl Proc {
    /// A process's line; `None` where there is no such process.
    pub(super) fn stat(&self, pid: u32) -> Option<Stat> {
        Stat::parse(&read(&self.0.join(format!("{pid}/stat"))).ok()?)
    }

    /// Every process of now, by pid.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) fn all(&self) -> io::Result<BTreeMap<u32, Stat>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&self.0)? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            all.extend(self.stat(pid).map(|stat| (pid, stat)));
        }
        Ok(all)
    }

    /// Its cgroup of version 2, as a path from the root of the hierarchy; `None` where it has none, or is gone.
    pub(super) fn cgroup(&self, pid: u32) -> Option<String> {
        let text = read(&self.0.join(format!("{pid}/cgroup"))).ok()?;
        cgroup2::path(&text).map(str::to_owned)
    }

    /// Whether a SIGSTOP has been sent that it has not seen yet.
    fn has_stop_pending(&self, pid: u32) -> bool {
        let text = read(&self.0.join(format!("{pid}/status"))).unwrap_or_default();
        let masks =
            text.lines().filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")));
        let bit = 1_u64 << (libc::SIGSTOP - 1);
        masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & bit != 0)
    }
}

/// Reads a small file of the kernel's. Names in it may be no UTF-8.
pub(super) fn read(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A process that stays the same one, whatever becomes of its pid.
#[derive(Debug)]
pub(super) struct PidFd {
    fd: OwnedFd,
    member: Member,
}

impl PidFd {
    /// Opens this very process; `None` if it has ended, and where its pid is another's.
    ///
    /// # Errors
    /// The kernel gives no descriptor, for other reasons.
    pub(super) fn open(member: Member, proc: &Proc) -> io::Result<Option<Self>> {
        let pid = libc::pid_t::try_from(member.pid).map_err(io::Error::other)?;
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let Ok(fd @ 0..) = i32::try_from(fd) else { return unless_gone(io::Error::last_os_error(), None) };
        // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
        let opened = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, member };
        let same = proc.stat(member.pid).is_some_and(|stat| stat.start_ticks == member.start_ticks);
        // It was not waited for until after its line was read: the line was its own.
        Ok(if same && opened.signal(0)? { Some(opened) } else { None })
    }

    /// Sends it a signal; 0 only asks whether one could be sent. Whether it still was there.
    ///
    /// # Errors
    /// It must not be signalled.
    pub(super) fn signal(&self, number: libc::c_int) -> io::Result<bool> {
        let (fd, no_info) = (self.fd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is ours and open; without a siginfo the kernel makes one as kill does.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, no_info, 0) };
        if sent == 0 { Ok(true) } else { unless_gone(io::Error::last_os_error(), false) }
    }

    /// Whether it runs: nobody has stopped it, and nobody's stop is on its way to it.
    pub(super) fn is_running(&self, proc: &Proc) -> bool {
        let stat = proc.stat(self.member.pid).filter(|stat| stat.start_ticks == self.member.start_ticks);
        let runs = stat.is_some_and(|stat| matches!(stat.state, 'R' | 'S' | 'I'));
        runs && !proc.has_stop_pending(self.member.pid)
    }
}

fn unless_gone<T>(error: io::Error, gone: T) -> io::Result<T> {
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(gone) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::{Member, PidFd, Proc, ProcessId, Stat};

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let line = "42 (a) R 7 (b c) S 7 1 1 0 -1 4194304 1 0 0 0 11 22 0 0 20 0 1 0 5678 1000 99 1 1";
        let comm = "a) R 7 (b c".to_owned();
        assert_eq!(Stat::parse(line), Some(Stat { comm, state: 'S', parent: 7, start_ticks: 5678 }));
        for broken in ["", "1 (x)", "1 (x) S", "1 x S 1", ")(", "1 (x) S 1 2 3"] {
            assert_eq!(Stat::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn an_id_is_of_one_tick_unless_it_stands_at_the_edge() {
        let stat = |start_ticks| Stat { comm: String::new(), state: 'S', parent: 1, start_ticks };
        let tick = 1_000_000_000 / procfs::ticks_per_second();
        let middle = ProcessId::new(7, 5 * tick + tick / 2);
        let fine: Vec<u64> = (0..10).filter(|ticks| stat(*ticks).is_of(middle)).collect();
        assert_eq!(fine, [5]);
        // An id that was made of /proc's own line.
        assert!(stat(5).is_of(ProcessId::new(7, 5 * tick)) && !stat(6).is_of(ProcessId::new(7, 5 * tick)));
    }

    #[test]
    fn only_the_very_process_is_opened() {
        let proc = Proc::default();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (pid, start_ticks) = (child.id(), proc.stat(child.id()).unwrap().start_ticks);
        let member = Member { pid, start_ticks };
        let opened = PidFd::open(member, &proc).unwrap().unwrap();
        assert!(PidFd::open(Member { start_ticks: start_ticks + 1, ..member }, &proc).unwrap().is_none());
        assert!(opened.signal(0).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!opened.signal(libc::SIGSTOP).unwrap(), "it is gone, and nobody else is hit");
        assert!(PidFd::open(member, &proc).unwrap().is_none());
    }
}
