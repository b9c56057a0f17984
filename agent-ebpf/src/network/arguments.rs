//! What the system call in progress tells of a datagram, by its arguments: where it goes, and, of an answer of a name
//! server, what was received. The call has done its work, so that what it read or wrote is in memory.

use agent_common::{
    lifecycle::kind,
    loss,
    network::{ANSWER_BYTES, NameAnswer, Peer, protocol, side},
};
use aya_ebpf::helpers::{
    bpf_probe_read_user,
    generated::{bpf_get_current_task_btf, bpf_probe_read_user as read_user, bpf_task_pt_regs},
};

use crate::{
    layout::{in_syscall, regs},
    lifecycle, losses,
    sockets::{family, mapped},
};

/// Numbers of system calls on x86-64.
mod call {
    pub(super) const READ: u32 = 0;
    pub(super) const READV: u32 = 19;
    pub(super) const SENDTO: u32 = 44;
    pub(super) const RECVFROM: u32 = 45;
    pub(super) const SENDMSG: u32 = 46;
    pub(super) const RECVMSG: u32 = 47;
    pub(super) const RECVMMSG: u32 = 299;
    pub(super) const SENDMMSG: u32 = 307;
}

/// Offset of `msg_iov` in the user's `struct msghdr`.
const MSG_IOV: u64 = 16;

/// The call that the current thread is in.
struct Call {
    number: u32,
    /// The second argument: a buffer or a structure.
    second: u64,
    /// The fifth.
    fifth: u64,
}

impl Call {
    #[inline(always)]
    fn current() -> Option<Self> {
        // SAFETY: registers of the current task, which the helper returns.
        unsafe {
            let registers = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64;
            if !in_syscall(registers) {
                return None;
            }
            Some(Self {
                number: *registers.add(regs::ORIG_AX) as u32,
                second: *registers.add(regs::SI),
                fifth: *registers.add(regs::R8),
            })
        }
    }
}

/// Reads user memory of the current task.
#[inline(always)]
fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Where the datagram that is being sent goes; `None` if the call does not say.
#[inline(always)]
pub(super) fn destination() -> Option<Peer> {
    let call = Call::current()?;
    let name = match call.number {
        call::SENDTO => call.fifth,
        // The name is the first field, also of the first message of several.
        call::SENDMSG | call::SENDMMSG => read::<u64>(call.second)?,
        _ => return None,
    };
    if name == 0 {
        return None;
    }
    let [of_family, port]: [u16; 2] = read(name)?;
    let address = match of_family {
        family::INET => mapped(read(name + 4)?),
        family::INET6 => read(name + 8)?,
        _ => return None,
    };
    Some(Peer { address, port: u16::from_be(port), protocol: protocol::UDP, side: side::CLIENT, pad: 0 })
}

/// Where the datagram that was received is.
#[inline(always)]
fn received() -> Option<u64> {
    let call = Call::current()?;
    match call.number {
        call::READ | call::RECVFROM => Some(call.second),
        call::READV => read(call.second),
        call::RECVMSG | call::RECVMMSG => read(read::<u64>(call.second + MSG_IOV)?),
        _ => None,
    }
}

/// Tells of an answer of a name server.
#[inline(always)]
pub(super) fn report_answer(agent: u32, length: u32) {
    let Some(address) = received() else {
        losses::count(loss::NAME_ANSWER_UNREADABLE);
        return;
    };
    let Some(mut event) = lifecycle::reserve::<NameAnswer>() else { return };
    let kept = if length < ANSWER_BYTES as u32 { length } else { ANSWER_BYTES as u32 };
    let answer = event.as_mut_ptr();
    // SAFETY: room for the event; no more is read than it holds.
    let failed = unsafe {
        (&raw mut (*answer).kind).write(kind::NAME_ANSWER);
        (&raw mut (*answer).agent).write(agent);
        (&raw mut (*answer).length).write(kept);
        (&raw mut (*answer).pad).write(0);
        read_user((&raw mut (*answer).bytes).cast(), kept, address as *const _)
    };
    if failed == 0 {
        event.submit(0);
    } else {
        event.discard(0);
        losses::count(loss::NAME_ANSWER_UNREADABLE);
    }
}
