//! From a thread that waits to what it waits for: which child, which lock, which descriptors.

use super::host::{Host, Watched};
use crate::model::{blocked::ThreadWait, ledger::ThreadState};

use super::descriptors::{self, MAX_SET};

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// A child: that with this pid in its own namespace, or any.
    Child(Option<u32>),
    /// The process that a pidfd stands for.
    Pidfd(u32),
    /// A lock or condition at this address.
    Futex(u64),
    /// Some of these descriptors.
    Descriptors(Vec<Watched>),
    /// The descriptors that this epoll set watches.
    Epoll(u32, Vec<Watched>),
    /// It could not be told.
    Unknown,
}

/// What the thread waits for.
pub(super) fn awaited(thread: &ThreadWait, host: &mut impl Host) -> Awaited {
    let Some(syscall) = thread.syscall else { return Awaited::Unknown };
    match syscall {
        WAIT4 => child(thread.argument),
        WAITID => waitid(thread, host),
        FUTEX | FUTEX_WAIT => Awaited::Futex(thread.argument),
        POLL | PPOLL => Awaited::Descriptors(polled(thread, host)),
        SELECT | PSELECT => Awaited::Descriptors(selected(thread, host)),
        // vfork and its kin; but poll of a pidfd counts as a child, too.
        _ if thread.state == Some(ThreadState::Child) => Awaited::Child(None),
        EPOLL_WAIT | EPOLL_PWAIT | EPOLL_PWAIT2 => {
            let Ok(set) = u32::try_from(thread.argument) else { return Awaited::Unknown };
            Awaited::Epoll(set, host.epoll(thread.process, set))
        }
        _ if is_on_descriptor(thread, syscall) => match u32::try_from(thread.argument) {
            Ok(descriptor) => {
                Awaited::Descriptors(vec![Watched { descriptor, input: !WRITES.contains(&syscall) }])
            }
            Err(_) => Awaited::Unknown,
        },
        _ => Awaited::Unknown,
    }
}

// x86-64 numbers.
const WAIT4: u32 = 61;
const WAITID: u32 = 247;
const FUTEX: u32 = 202;
const FUTEX_WAIT: u32 = 455;
const POLL: u32 = 7;
const PPOLL: u32 = 271;
const SELECT: u32 = 23;
const PSELECT: u32 = 270;
const EPOLL_WAIT: u32 = 232;
const EPOLL_PWAIT: u32 = 281;
const EPOLL_PWAIT2: u32 = 441;
/// write, pwrite64, writev, sendfile, connect, sendto, sendmsg, vmsplice, pwritev, sendmmsg, pwritev2
const WRITES: [u32; 11] = [1, 18, 20, 40, 42, 44, 46, 278, 296, 307, 328];
/// flock, fsync, fdatasync, ftruncate, getdents, getdents64, sync_file_range, fallocate, syncfs, close, fstat
const OF_FILES: [u32; 11] = [73, 74, 75, 77, 78, 217, 277, 285, 306, 3, 5];
/// `idtype_t` of waitid(2).
const P_PID: u64 = 1;
const P_PIDFD: u64 = 3;

/// Whether the call's first argument is a descriptor.
fn is_on_descriptor(thread: &ThreadWait, syscall: u32) -> bool {
    thread.descriptor.is_some() || OF_FILES.contains(&syscall)
}

/// The first argument of wait4(2): a pid, or a negative number or 0 for any of a group.
fn child(argument: u64) -> Awaited {
    let pid = argument as u32 as i32;
    Awaited::Child(u32::try_from(pid).ok().filter(|pid| *pid > 0))
}

fn waitid(thread: &ThreadWait, host: &mut impl Host) -> Awaited {
    match host.arguments(thread) {
        Some([P_PID, pid, ..]) => child(pid),
        Some([P_PIDFD, descriptor, ..]) => u32::try_from(descriptor).map_or(Awaited::Unknown, Awaited::Pidfd),
        _ => Awaited::Child(None),
    }
}

/// The descriptors in the array of poll(2).
fn polled(thread: &ThreadWait, host: &mut impl Host) -> Vec<Watched> {
    let Some([address, count, ..]) = host.arguments(thread) else { return Vec::new() };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_SET);
    host.memory(thread.process, address, 8 * count).map(|array| descriptors::poll(&array)).unwrap_or_default()
}

/// The descriptors in the sets of select(2), those to be read first.
fn selected(thread: &ThreadWait, host: &mut impl Host) -> Vec<Watched> {
    let Some([count, readable, writable, ..]) = host.arguments(thread) else { return Vec::new() };
    // `FD_SETSIZE`
    let length = usize::try_from(count).unwrap_or(0).min(1024).div_ceil(64) * 8;
    let mut watched = Vec::new();
    for (address, input) in [(readable, true), (writable, false)] {
        if address != 0 && length > 0 {
            let set = host.memory(thread.process, address, length).unwrap_or_default();
            watched.extend(descriptors::select(&set, input));
        }
    }
    watched.truncate(MAX_SET);
    watched
}
