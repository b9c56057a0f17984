//! What a thread of an agent does or waits for at this moment, as an iterator shows it on demand: what the chain of
//! who waits for whom is made of.

/// One thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadWait {
    /// Its process.
    pub process: u64,
    /// When it left the CPU, or was last accounted (ns, monotonic); 0 on the CPU, and where waits are not timed.
    pub since: u64,
    /// When it became runnable; 0 while it is blocked.
    pub woken: u64,
    /// What of the present wait lies before `since`, ns.
    pub accounted: u64,
    /// First argument of the syscall: a descriptor, or a futex's address.
    pub argument: u64,
    /// Its thread id.
    pub tid: u32,
    /// Its process's parent.
    pub parent: u32,
    /// The agent's slot.
    pub agent: u32,
    /// See [`crate::thread::state`].
    pub state: u32,
    /// The syscall in progress, or [`crate::thread::NO_SYSCALL`].
    pub syscall: u32,
    /// See [`crate::thread::descriptor`].
    pub descriptor: u32,
    /// The thread that last ended one of its waits on a futex; 0 if none was seen.
    pub futex_waker: u32,
    /// 1 while it waits on what leads out of the agent.
    pub outside: u32,
    /// See [`crate::ledger::role`].
    pub role: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<ThreadWait>() == 80);
crate::pod!(ThreadWait);
