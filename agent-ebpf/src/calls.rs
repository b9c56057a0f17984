//! The system call that the current thread is in, by its registers: which one, and where the bytes are that it moves. For
//! `network`, `ledger` and `wire`, where a call on a socket has done its work.

use aya_ebpf::helpers::{
    bpf_probe_read_user,
    generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};

use crate::layout::{in_syscall, regs};

/// Numbers of system calls on x86-64.
pub(crate) mod number {
    pub(crate) const READ: u32 = 0;
    pub(crate) const WRITE: u32 = 1;
    pub(crate) const READV: u32 = 19;
    pub(crate) const WRITEV: u32 = 20;
    pub(crate) const SENDTO: u32 = 44;
    pub(crate) const RECVFROM: u32 = 45;
    pub(crate) const SENDMSG: u32 = 46;
    pub(crate) const RECVMSG: u32 = 47;
    pub(crate) const SHUTDOWN: u32 = 48;
    pub(crate) const RECVMMSG: u32 = 299;
    pub(crate) const SENDMMSG: u32 = 307;
}

/// Offsets of `msg_iov` and `msg_iovlen` in the user's `struct msghdr`.
pub(crate) const MSG_IOV: u64 = 16;
const MSG_IOVLEN: u64 = 24;

/// The call that the current thread is in.
pub(crate) struct Call {
    pub(crate) number: u32,
    /// The second argument: a buffer or a structure.
    pub(crate) second: u64,
    /// The third: how long it is.
    pub(crate) third: u64,
    /// The fifth.
    pub(crate) fifth: u64,
}

impl Call {
    #[inline(always)]
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: registers of the current task, which the helper returns.
        unsafe {
            let registers = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64;
            if !in_syscall(registers) {
                return None;
            }
            Some(Self {
                number: *registers.add(regs::ORIG_AX) as u32,
                second: *registers.add(regs::SI),
                third: *registers.add(regs::DX),
                fifth: *registers.add(regs::R8),
            })
        }
    }

    /// Where the bytes are that it moves; `None` for calls that have them elsewhere than in this process's memory, or in
    /// several messages.
    #[inline(always)]
    pub(crate) fn memory(&self) -> Option<Memory> {
        match self.number {
            number::READ | number::WRITE | number::SENDTO | number::RECVFROM => {
                Some(Memory { at: self.second, buffers: 0 })
            }
            number::READV | number::WRITEV => Some(Memory { at: self.second, buffers: self.third }),
            number::SENDMSG | number::RECVMSG => {
                Some(Memory { at: read(self.second + MSG_IOV)?, buffers: read(self.second + MSG_IOVLEN)? })
            }
            _ => None,
        }
    }
}

/// Memory of the current process.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// A buffer, or a vector of them.
    pub(crate) at: u64,
    /// How many the vector has; 0 where it is none.
    pub(crate) buffers: u64,
}

impl Memory {
    /// Its first four bytes.
    #[inline(always)]
    pub(crate) fn first(self) -> Option<u32> {
        if self.buffers == 0 { read(self.at) } else { read(read::<u64>(self.at)?) }
    }
}

/// Reads user memory of the current task.
#[inline(always)]
pub(crate) fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}
