//! What does a blocked thread wait for? Read from its registers at switch-out, so that no syscall
//! tracepoint is needed: the syscall's class, then the descriptor, its inode's kind, its socket.

use agent_common::{
    agent::probe,
    loss,
    thread::{NO_SYSCALL, Thread, class, descriptor, state},
};
use aya_ebpf::{
    helpers::{
        bpf_probe_read_user,
        generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    },
    macros::map,
    maps::{Array, HashMap, LruHashMap},
};

use crate::{
    agents, descriptors,
    layout::{self, field, in_syscall, read, regs},
    losses,
    sockets::{FIRST_CLIENT_PORT, family, protocol, tcp},
};

/// Syscall number to class; filled by the daemon.
#[map]
static SYSCALL_CLASS: Array<u32> = Array::with_max_entries(class::TABLE, 0);

/// A futex of a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Futex {
    pub(crate) process: u64,
    pub(crate) address: u64,
}

/// Futexes that were handed over by a thread that had itself waited on them: locks, not parking places.
#[map]
static LOCKS: LruHashMap<Futex, u32> = LruHashMap::with_max_entries(4096, 0);

/// Pipes and unix sockets that lead out of an agent, by inode number, and the agent's slot; filled by the daemon.
#[map]
static OUTSIDE: HashMap<u64, u32> = HashMap::with_max_entries(16_384, 0);

/// TASK_UNINTERRUPTIBLE
const UNINTERRUPTIBLE: u32 = 2;
const FUTEX: u32 = 202;
const SELECT: u32 = 23;
const PSELECT6: u32 = 270;

/// Remembers that `futex` is a lock.
#[inline(always)]
pub(crate) fn learn_lock(futex: Futex) {
    if LOCKS.get_ptr(futex).is_none() && LOCKS.insert(futex, 1, 0).is_err() {
        losses::count(loss::LOCK_INSERT);
    }
}

/// The state of `task`, which sleeps in the task state `sleep`; fills `thread.wait`.
///
/// # Safety
/// `task` is a trusted task pointer: the current task, or a sleeping one in an iterator.
#[inline(always)]
pub(crate) unsafe fn classify(task: *mut u8, sleep: u32, thread: &mut Thread) -> u32 {
    // SAFETY: by contract.
    unsafe {
        let io_wait =
            u32::from(field::<u8>(task, &layout::TASK_IOWAIT_BYTE)) & layout::TASK_IOWAIT_MASK.load() != 0;
        let deep = sleep & UNINTERRUPTIBLE != 0;
        let registers = bpf_task_pt_regs(task.cast()) as *const u64;
        thread.wait.descriptor = descriptor::NONE;
        thread.wait.argument = 0;
        thread.outside = 0;
        thread.timed = 0;
        if !in_syscall(registers) {
            thread.wait.syscall = NO_SYSCALL;
            return if deep || io_wait { state::PAGE_FAULT } else { state::OTHER };
        }
        let number = *registers.add(regs::ORIG_AX) as u32;
        thread.wait.syscall = number;
        thread.wait.argument = *registers.add(regs::DI);
        let class = match SYSCALL_CLASS.get(number) {
            Some(class) => *class,
            None => class::OTHER,
        };
        let fallback = if deep || io_wait { state::DISK } else { state::OTHER };
        match class {
            class::DESCRIPTOR => by_descriptor(task, thread.wait.argument, thread, fallback),
            class::CHILD => state::CHILD,
            class::FUTEX => {
                thread.timed = (number == FUTEX && *registers.add(regs::R10) != 0) as u32;
                by_futex(number, deep, thread)
            }
            class::LOCK => state::LOCK,
            class::IPC => state::IPC,
            class::TIMER => state::TIMER,
            class::POLL if is_select(number) && thread.wait.argument == 0 => state::TIMER,
            class::POLL => state::POLL,
            class::POLL_ARRAY => by_poll(task, *registers.add(regs::SI), thread),
            // open(2) of a FIFO sleeps interruptibly
            class::FILE => {
                if deep || io_wait {
                    state::DISK
                } else {
                    state::IPC
                }
            }
            class::MEMORY => {
                if io_wait {
                    state::PAGE_FAULT
                } else {
                    state::LOCK
                }
            }
            _ => fallback,
        }
    }
}

/// Of no descriptors, these sleep.
#[inline(always)]
fn is_select(number: u32) -> bool {
    number == SELECT || number == PSELECT6
}

/// In futex(2), a deep sleep is a fault on the futex's page.
#[inline(always)]
fn by_futex(number: u32, deep: bool, thread: &Thread) -> u32 {
    if deep {
        return state::PAGE_FAULT;
    }
    let futex = Futex { process: thread.process, address: thread.wait.argument };
    if number != FUTEX || LOCKS.get_ptr(futex).is_none() { state::FUTEX } else { state::LOCK }
}

/// poll(2) of one descriptor is a read with a timeout: it counts as that descriptor.
///
/// # Safety
/// As `classify`.
#[inline(always)]
unsafe fn by_poll(task: *mut u8, count: u64, thread: &mut Thread) -> u32 {
    // SAFETY: user memory can be read only of the current task, which is checked.
    unsafe {
        if count == 1
            && task == bpf_get_current_task_btf().cast()
            && let Ok(fd) = bpf_probe_read_user(thread.wait.argument as *const u32)
        {
            let state = by_descriptor(task, u64::from(fd), thread, state::POLL);
            // A file is always ready: what waits like one is a pidfd, which is a file of its own kind from 6.9 on.
            if state == state::DISK {
                thread.wait.descriptor = descriptor::ANONYMOUS;
                return state::CHILD;
            }
            return state;
        }
    }
    if count == 0 { state::TIMER } else { state::POLL }
}

/// # Safety
/// As `classify`.
#[inline(always)]
unsafe fn by_descriptor(task: *const u8, fd: u64, thread: &mut Thread, fallback: u32) -> u32 {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return fallback;
    }
    // SAFETY: by contract.
    let Some(Resolved { kind, state, inode, socket }) = (unsafe { resolve(task, fd) }) else {
        losses::count(loss::DESCRIPTOR);
        return fallback;
    };
    thread.wait.descriptor = kind;
    if matches!(state, state::IPC | state::NETWORK) && agents::wants(thread.agent, probe::LEDGER) {
        thread.outside = if state == state::IPC {
            leads_outside(inode, thread.agent) as u32
        } else {
            // SAFETY: the helper checks the address.
            unsafe { waits_to_be_asked(socket) }.is_some() as u32
        };
    }
    if state == state::OTHER { fallback } else { state }
}

/// Whether a pipe or socket leads out of the agent in `slot`.
#[inline(always)]
fn leads_outside(inode: u64, slot: u32) -> bool {
    // SAFETY: the helper checks the address.
    let Some(number) = (unsafe { read::<u64>(inode, &layout::INODE_NUMBER) }) else { return false };
    // SAFETY: map memory.
    OUTSIDE.get_ptr(number).is_some_and(|owner| unsafe { *owner } == slot)
}

/// `Some` where an inet socket listens, or was made by who asks, as far as its ports tell.
///
/// # Safety
/// `sock` is the address of a `struct sock`.
#[inline(always)]
unsafe fn waits_to_be_asked(sock: u64) -> Option<()> {
    // SAFETY: the reads are checked.
    unsafe {
        if read::<u16>(sock, &layout::SOCK_PROTOCOL)? != protocol::TCP {
            return None;
        }
        let listens = u32::from(read::<u8>(sock, &layout::SOCK_STATE)?) == tcp::LISTEN;
        let (local, remote): (u16, u16) =
            (read(sock, &layout::SOCK_LOCAL_PORT)?, u16::from_be(read(sock, &layout::SOCK_PORT)?));
        (listens || (local < FIRST_CLIENT_PORT && remote >= FIRST_CLIENT_PORT)).then_some(())
    }
}

/// What a descriptor is: its kind, the state that waiting on it means, the address of its inode, and, of an inet socket, of its
/// `struct sock`.
struct Resolved {
    kind: u32,
    state: u32,
    inode: u64,
    socket: u64,
}

/// From a descriptor to its kind and the state it means.
///
/// # Safety
/// As `classify`.
#[inline(always)]
unsafe fn resolve(task: *const u8, fd: u64) -> Option<Resolved> {
    // SAFETY: by contract, and pointers are null-checked.
    unsafe {
        let file = descriptors::file(task, fd)?;
        let inode: u64 = read(file, &layout::FILE_INODE)?;
        let mode: u16 = read(inode, &layout::INODE_MODE)?;
        let mut sock = 0;
        let (kind, state) = match mode & 0xf000 {
            0x1000 => (descriptor::PIPE, state::IPC),
            0x2000 => device(read(inode, &layout::INODE_RDEV)?),
            0x4000 | 0x6000 | 0x8000 => (descriptor::FILE, state::DISK),
            0xc000 => {
                sock = read(read(file, &layout::FILE_PRIVATE)?, &layout::SOCKET_SK)?;
                socket(sock)?
            }
            _ => (descriptor::ANONYMOUS, state::OTHER),
        };
        Some(Resolved { kind, state, inode, socket: sock })
    }
}

/// By major number: 4 and 5 are terminals, 136–143 pseudo-terminals, 195 NVIDIA's driver, 226 DRM.
#[inline(always)]
fn device(rdev: u32) -> (u32, u32) {
    match rdev >> 20 {
        4 | 5 | 136..=143 => (descriptor::TERMINAL, state::TERMINAL),
        195 | 226 => (descriptor::DEVICE, state::GPU),
        _ => (descriptor::DEVICE, state::OTHER),
    }
}

/// # Safety
/// `sock` is the address of a `struct sock`.
#[inline(always)]
unsafe fn socket(sock: u64) -> Option<(u32, u32)> {
    // SAFETY: the read is checked.
    Some(match unsafe { read::<u16>(sock, &layout::SOCK_FAMILY)? } {
        family::UNIX => (descriptor::UNIX_SOCKET, state::IPC),
        family::INET | family::INET6 => (descriptor::INET_SOCKET, state::NETWORK),
        _ => (descriptor::NONE, state::OTHER),
    })
}
