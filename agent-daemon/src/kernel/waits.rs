//! What threads do or wait for at this moment, as the iterator shows it.

use agent_common::{
    ledger::{OUTSIDE, role},
    thread::{NO_SYSCALL, state},
    waits::ThreadWait as Raw,
};

use super::{batch, counts::descriptor_kind};
use crate::model::{
    blocked::ThreadWait,
    id::{ProcessId, Slot},
    ledger::{Role, ThreadState},
};

/// A thread whose wait is timed by the kernel's clock.
#[derive(Clone, Debug)]
pub struct SeenThread {
    /// The thread; `since` is left open.
    pub thread: ThreadWait,
    /// When its present wait began, ns of the monotonic clock; `None` where it does not wait, or that is not timed.
    pub since_ns: Option<u64>,
}

/// Decodes the iterator's output.
pub(super) fn threads(bytes: &[u8]) -> Vec<SeenThread> {
    bytes.chunks_exact(size_of::<Raw>()).map(|chunk| thread(batch::read(chunk))).collect()
}

fn thread(raw: Raw) -> SeenThread {
    let state = state_of(&raw);
    let waits = state != Some(ThreadState::Cpu);
    let thread = ThreadWait {
        process: ProcessId(raw.process),
        tid: raw.tid,
        parent_pid: raw.parent,
        slot: Slot(raw.agent),
        role: role_of(raw.role),
        state,
        since: None,
        syscall: (waits && raw.syscall != NO_SYSCALL).then_some(raw.syscall),
        descriptor: descriptor_kind(raw.descriptor),
        argument: raw.argument,
        futex_waker: (raw.futex_waker != 0).then_some(raw.futex_waker),
    };
    let began = raw.since.saturating_sub(raw.accounted);
    SeenThread { thread, since_ns: (waits && raw.since != 0).then_some(began) }
}

/// Who was woken could run; who waits on what leads out waits outside.
fn state_of(raw: &Raw) -> Option<ThreadState> {
    let number = match raw.state {
        state::UNSEEN => return None,
        state if state > state::RUN_QUEUE && raw.woken != 0 => state::RUN_QUEUE,
        state::IPC | state::NETWORK if raw.outside != 0 => OUTSIDE,
        state => state,
    };
    ThreadState::ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

fn role_of(number: u32) -> Role {
    match u16::try_from(number) {
        Ok(role::TOOL) => Role::Tool,
        Ok(role::HELPER) => Role::Helper,
        _ => Role::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(state: u32) -> Raw {
        Raw { process: 1 << 22 | 7, tid: 7, agent: 1, state, syscall: 61, since: 1000, ..Raw::default() }
    }

    #[test]
    fn states_are_those_of_this_moment() {
        let of = |raw: Raw| thread(raw).thread.state;
        assert_eq!(of(raw(state::UNSEEN)), None);
        assert_eq!(of(raw(state::CPU)), Some(ThreadState::Cpu));
        assert_eq!(of(raw(state::CHILD)), Some(ThreadState::Child));
        assert_eq!(of(raw(state::IPC)), Some(ThreadState::Ipc));
        assert_eq!(of(Raw { outside: 1, ..raw(state::IPC) }), Some(ThreadState::Outside));
        assert_eq!(of(Raw { woken: 5, ..raw(state::IPC) }), Some(ThreadState::RunQueue));
        assert_eq!(of(raw(99)), None);
    }

    #[test]
    fn a_wait_began_before_it_was_last_accounted() {
        assert_eq!(thread(Raw { accounted: 300, ..raw(state::CHILD) }).since_ns, Some(700));
        assert_eq!(thread(Raw { since: 0, ..raw(state::CHILD) }).since_ns, None);
        let runs = thread(raw(state::CPU));
        assert_eq!((runs.since_ns, runs.thread.syscall), (None, None));
    }

    #[test]
    fn output_that_was_cut_is_no_panic() {
        let whole = size_of::<Raw>();
        assert_eq!(threads(&vec![0xff; 2 * whole + 7]).len(), 2);
        assert!(threads(&[]).is_empty());
    }
}
