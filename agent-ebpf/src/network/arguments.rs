//! What the system call in progress tells of a datagram, by its arguments: where it goes, and, of an answer of a name
//! server, what was received. The call has done its work, so that what it read or wrote is in memory.

use agent_common::{
    lifecycle::kind,
    loss,
    network::{ANSWER_BYTES, NameAnswer, Peer, protocol, side},
};
use aya_ebpf::helpers::generated::bpf_probe_read_user as read_user;

use crate::{
    calls::{Call, MSG_IOV, number, read},
    lifecycle, losses,
    sockets::{family, mapped},
};

/// Where the datagram that is being sent goes; `None` if the call does not say.
#[inline(always)]
pub(super) fn destination() -> Option<Peer> {
    let call = Call::current()?;
    let name = match call.number {
        number::SENDTO => call.fifth,
        // The name is the first field, also of the first message of several.
        number::SENDMSG | number::SENDMMSG => read::<u64>(call.second)?,
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
        number::READ | number::RECVFROM => Some(call.second),
        number::READV => read(call.second),
        number::RECVMSG | number::RECVMMSG => read(read::<u64>(call.second + MSG_IOV)?),
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
