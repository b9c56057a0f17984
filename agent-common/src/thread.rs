//! The state of one thread of an agent: the filter (a thread without it belongs to no agent) and all that
//! the programs remember between two events of the thread.
//!
//! The ledger's states are the states below: its sets (`ledger`) are moved where `state` changes.

use crate::wire::Call;

/// log2 of the unit of a process's start in its identity, ns: 16 µs, in which no pid is given to a second process, and
/// 42 bits of which last for two years.
pub const START_SHIFT: u32 = 14;
/// Bits of a process's identity that hold its pid: the kernel's `PID_MAX_LIMIT` is 2^22.
pub const PID_BITS: u32 = 22;

/// What a thread does. Values fit in four bits, so that a set of role × state fits in 64.
pub mod state {
    /// Not yet seen at a switch. Task storage is zero-filled, so this is 0.
    pub const UNSEEN: u32 = 0;
    /// On a CPU.
    pub const CPU: u32 = 1;
    /// Runnable, but not on a CPU: preempted, or not yet run after fork.
    pub const RUN_QUEUE: u32 = 2;
    /// In a page fault that sleeps.
    pub const PAGE_FAULT: u32 = 3;
    /// Block I/O or a file system.
    pub const DISK: u32 = 4;
    /// A GPU driver.
    pub const GPU: u32 = 5;
    /// Waiting for a child: wait4, waitid, vfork.
    pub const CHILD: u32 = 6;
    /// A pipe, unix socket or message queue.
    pub const IPC: u32 = 7;
    /// An inet socket.
    pub const NETWORK: u32 = 8;
    /// A futex known to be a lock, flock, a semaphore, mmap_lock.
    pub const LOCK: u32 = 9;
    /// epoll, poll or select of several descriptors, io_uring.
    pub const POLL: u32 = 10;
    /// nanosleep and kin.
    pub const TIMER: u32 = 11;
    /// A terminal.
    pub const TERMINAL: u32 = 12;
    /// A futex not known to be a lock.
    pub const FUTEX: u32 = 13;
    /// Anything else.
    pub const OTHER: u32 = 14;
}

/// Kinds of descriptors that a wait can be on.
pub mod descriptor {
    /// The wait is on no descriptor.
    pub const NONE: u32 = 0;
    /// Pipe or FIFO.
    pub const PIPE: u32 = 1;
    /// Unix socket.
    pub const UNIX_SOCKET: u32 = 2;
    /// IPv4 or IPv6 socket.
    pub const INET_SOCKET: u32 = 3;
    /// Regular file, directory, block device.
    pub const FILE: u32 = 4;
    /// Terminal.
    pub const TERMINAL: u32 = 5;
    /// Another character device.
    pub const DEVICE: u32 = 6;
    /// Anonymous inode: eventfd, epoll, timerfd, pidfd.
    pub const ANONYMOUS: u32 = 7;
}

/// Classes of syscalls by what blocking in them means; the daemon fills the SYSCALL_CLASS map.
pub mod class {
    /// Nothing is known: disk if the sleep is uninterruptible, else other.
    pub const OTHER: u32 = 0;
    /// Acts on the descriptor in the first argument.
    pub const DESCRIPTOR: u32 = 1;
    /// Waits for a child.
    pub const CHILD: u32 = 2;
    /// futex(2): a lock or a parking place.
    pub const FUTEX: u32 = 3;
    /// Another kind of lock.
    pub const LOCK: u32 = 4;
    /// Sleeps.
    pub const TIMER: u32 = 5;
    /// Waits for several descriptors.
    pub const POLL: u32 = 6;
    /// poll(2) and ppoll(2): of one descriptor, it counts as that descriptor.
    pub const POLL_ARRAY: u32 = 7;
    /// Works on files by path or metadata.
    pub const FILE: u32 = 8;
    /// Changes the address space.
    pub const MEMORY: u32 = 9;
    /// Waits for another process's message.
    pub const IPC: u32 = 10;
    /// Number of entries of SYSCALL_CLASS; syscalls above are of class `OTHER`.
    pub const TABLE: u32 = 512;
}

/// [`Wait::syscall`] of a thread that was in no syscall.
pub const NO_SYSCALL: u32 = 0xffff_ffff;

/// What a blocked thread waits for, taken at switch-out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// Syscall in progress, or [`NO_SYSCALL`].
    pub syscall: u32,
    /// Kind of descriptor: see [`descriptor`].
    pub descriptor: u32,
    /// First argument of the syscall: a descriptor, or a futex's address.
    pub argument: u64,
}

/// One thread. Written only by the thread itself, by whoever wakes it, and by the iterators; `since` is
/// claimed by an atomic exchange, so that no stretch of time is accounted twice, and `counted` changes under the
/// lock of the agent's ledger.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    /// The process: its start on the boot clock, in units of 2^[`START_SHIFT`] ns, << [`PID_BITS`] | tgid.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// See [`state`].
    pub state: u32,
    /// When the stretch off the CPU began, or was last accounted (ns, monotonic). 0 on the CPU.
    pub since: u64,
    /// When the thread became runnable; 0 while it is blocked.
    pub woken: u64,
    /// What of the present wait is accounted already, ns.
    pub accounted: u64,
    /// What it waits for.
    pub wait: Wait,
    /// The user stack at switch-out: a content hash, key of the USER_STACKS map; 0 if there is none.
    pub user_stack: u64,
    /// The kernel stack, likewise of KERNEL_STACKS.
    pub kernel_stack: u64,
    /// The process that ended the wait: its tgid; 0 if no process did.
    pub waker: u32,
    /// 1 from the moment the process's last thread began to exit: this is that thread.
    pub last: u16,
    /// Programs that the process has executed since it is watched; wraps.
    pub execs: u16,
    /// The futex the thread last waited on: a waker that has itself waited there hands over a lock.
    pub futex: u64,
    /// When the syscall in progress began, ns; 0 if none is being timed.
    pub syscall_at: u64,
    /// Wait status of the process, once `last` is set.
    pub exit_status: u32,
    /// The epoch in which `user_stack` and `kernel_stack` were found or put in their maps.
    pub stacks_epoch: u32,
    /// Peak resident set in bytes, once `last` is set.
    pub peak_rss: u64,
    /// When the time that went into walking this thread's stack at switch-out is paid for (ns, monotonic).
    pub walk_paid: u64,
    /// The thread's `PyThreadState`; an odd number is `epoch << 1 | 1` and says that it had none then.
    pub python_state: u64,
    /// The bit under which the ledger counts the thread (see [`crate::ledger`]); 0: it does not.
    pub counted: u32,
    /// See [`crate::ledger::role`].
    pub role: u16,
    /// 1 while the ledger counts the thread under [`crate::ledger::bit::TOOL_ALIVE`].
    pub alive: u16,
    /// 1 once its process was found to be a helper, or, of the agent's own, a launcher.
    pub helper: u16,
    /// 1 if who last woke it asks on the agent's behalf.
    pub asked: u16,
    /// 1 while it waits on what leads out of the agent.
    pub outside: u32,
    /// The thread that last ended one of its waits on a futex; 0 if none was seen.
    pub futex_waker: u32,
    /// 1 while it waits on a futex for so long at most.
    pub timed: u32,
    /// When the call of CUDA began that the thread is in, or was last accounted, ns; 0 if it is in none whose return
    /// is waited for. Claimed by an atomic exchange, as `since`.
    pub cuda_at: u64,
    /// What of that call is accounted already, ns.
    pub cuda_accounted: u64,
    /// The stack pointer when it began.
    pub cuda_stack: u64,
    /// The bytes that it asks for.
    pub cuda_bytes: u64,
    /// What it is: a [`crate::cuda::Cookie`].
    pub cuda_cookie: u64,
    /// When the fsync began that the thread is in, ns; 0 if it is in none.
    pub sync_at: u64,
    /// The connection that it last received on, by its address as the key of a [`crate::wire::ConnectionKey`]; 0 if none.
    pub wire_socket: u64,
    /// The key under which it has encrypted what it is about to send on a connection that is not known yet; 0 if none.
    pub wire_sealed: u64,
    /// Where what it decrypts will be; 0 while it decrypts nothing.
    pub wire_opened: u64,
    /// How much that is, bytes.
    pub wire_opened_bytes: u64,
    /// The key under which it encrypts a record whose end is encrypted apart; 1 once all of the record is told, 0 if none.
    pub wire_sealing: u64,
    /// The bytes of the record that were encrypted: its whole blocks.
    pub wire_sealing_bytes: u32,
    /// The last of them, and from bit 8 on whether they were told.
    pub wire_sealing_last: u32,
    /// One more than the bytes of the block that it decrypts, as far as they are not zero; 0 while it decrypts none.
    pub wire_block: u64,
    /// Where on the stack the return address of `wire_call` is; 0 if no such call goes on.
    pub wire_call_stack: u64,
    /// Whose probe is on its function.
    pub wire_call_source: u64,
    /// The call that it is in; where they nest, most often the outermost.
    pub wire_call: Call,
}

const _: () = assert!(size_of::<Thread>() == 320);
crate::pod!(Thread);
