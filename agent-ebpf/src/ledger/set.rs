//! The set of an agent: how many threads are under each bit, and since when the set of bits that any is under holds.
//!
//! Without the lock, two CPUs that move threads of one agent at once leave counts that never go away. While it is
//! held no function may be called: the clock is read before, and what it read may be older than what another CPU has
//! accounted meanwhile.

use agent_common::{
    agent::SLOTS,
    ledger::{
        BITS, Connection, Counts, QUIET, QUIET_OF_HOSTS, SetKey, UNMARKED, bit, is_awaited, over, period,
        phase, request_of,
    },
    loss,
    thread::Thread,
};
use aya_ebpf::{
    bindings::bpf_spin_lock,
    btf_maps::Array,
    helpers::generated::{bpf_spin_lock as lock, bpf_spin_unlock as unlock},
    macros::{btf_map, map},
    maps::PerCpuHashMap,
};

use super::marks::marked;
use crate::{atomics::add, clock, epoch, losses};

/// `agent_common::ledger::Ledger`, with a lock that the verifier knows for one.
#[repr(C)]
struct Ledger {
    lock: bpf_spin_lock,
    pad: u32,
    counts: Counts,
}

const _: () = assert!(size_of::<Ledger>() == size_of::<agent_common::ledger::Ledger>());

#[btf_map]
static LEDGERS: Array<Ledger, { SLOTS as usize }> = Array::new();

type Sets = PerCpuHashMap<SetKey, u64>;

#[map]
static LEDGER_EVEN: Sets = PerCpuHashMap::with_max_entries(SETS, 0);
#[map]
static LEDGER_ODD: Sets = PerCpuHashMap::with_max_entries(SETS, 0);

/// The most sets of one window, of all agents, between all marks; the daemon makes it fewer where there are many CPUs. All are
/// allocated at once: what is allocated at a switch fails where agents switch fast. Where there are more, those without a
/// mark still find theirs.
const SETS: u32 = 65_536;

static ZERO: u64 = 0;

/// Round trips that are longer are taken for this long, ns.
const MAX_ROUND_TRIP: u64 = 250_000_000;

/// A thread on its way to another bit.
pub(super) struct Move<'a> {
    pub(super) thread: &'a mut Thread,
    pub(super) to: u32,
}

/// Moves up to two threads of the agent in `slot`, takes one from the bit `left` and adds one to the bit `entered`.
#[inline(always)]
pub(super) fn shift(slot: u32, now: u64, first: Option<Move>, second: Option<Move>, left: u32, entered: u32) {
    shift_after(QUIET, slot, now, first, second, left, entered);
}

/// The same, for which answers are over of which nothing has come for `quiet` ns. The steps under the lock are written out here,
/// in `enter` and in `turn`: handed over as a closure, they are refused by 6.1's verifier.
#[inline(always)]
pub(super) fn shift_after(
    quiet: u64,
    slot: u32,
    now: u64,
    first: Option<Move>,
    second: Option<Move>,
    left: u32,
    entered: u32,
) {
    let Some(ledger) = LEDGERS.get_ptr_mut(slot) else { return };
    // SAFETY: an element of the map; what the lock guards is touched only while it is held.
    unsafe {
        let counts = &raw mut (*ledger).counts;
        lock(&raw mut (*ledger).lock);
        let now = tick(counts, now);
        let closed = give_up(counts, now, quiet);
        if let Some(Move { thread, to }) = first {
            step(counts, now, thread.counted, false);
            step(counts, now, to, true);
            thread.counted = to;
        }
        if let Some(Move { thread, to }) = second {
            step(counts, now, thread.counted, false);
            step(counts, now, to, true);
            thread.counted = to;
        }
        step(counts, now, left, false);
        step(counts, now, entered, true);
        let ns = close(counts, now, closed);
        let underflows = (*counts).underflows;
        unlock(&raw mut (*ledger).lock);
        record(slot, closed, ns, underflows);
    }
}

/// Counts a thread that is counted nowhere, unless it has moved by itself meanwhile.
#[inline(always)]
pub(super) fn enter(slot: u32, now: u64, Move { thread, to }: Move, entered: u32) {
    let Some(ledger) = LEDGERS.get_ptr_mut(slot) else { return };
    // SAFETY: as in `shift`.
    unsafe {
        let counts = &raw mut (*ledger).counts;
        lock(&raw mut (*ledger).lock);
        let now = tick(counts, now);
        let closed = give_up(counts, now, QUIET);
        if thread.counted == bit::NONE {
            step(counts, now, to, true);
            thread.counted = to;
        }
        step(counts, now, entered, true);
        let ns = close(counts, now, closed);
        let underflows = (*counts).underflows;
        unlock(&raw mut (*ledger).lock);
        record(slot, closed, ns, underflows);
    }
}

/// The stretch that a change ends: the set that changes, and what held as it is to be told.
#[derive(Clone, Copy)]
struct Closed {
    old: u64,
    held: u64,
    /// What had been miscounted before.
    underflows: u64,
}

/// The instant at which something is accounted: never earlier than the last.
///
/// # Safety
/// The lock of `counts` is held.
#[inline(always)]
unsafe fn tick(counts: *mut Counts, now: u64) -> u64 {
    // SAFETY: by contract.
    unsafe {
        let clock = (*counts).clock;
        let now = if now > clock { now } else { clock };
        (*counts).clock = now;
        now
    }
}

/// Gives up what has been over for long: the stretch that ends now was without it.
///
/// # Safety
/// As `tick`.
#[inline(always)]
unsafe fn give_up(counts: *mut Counts, now: u64, quiet: u64) -> Closed {
    // SAFETY: by contract.
    unsafe {
        let (old, underflows) = ((*counts).set, (*counts).underflows);
        let over = over(&*counts, now, quiet);
        if over != 0 {
            for bit in GIVEN_UP {
                if over & 1 << bit != 0 {
                    (*counts).counts[bit as usize] = 0;
                    (*counts).at[bit as usize] = now;
                }
            }
            if over & 1 << bit::LLM_STREAM != 0 {
                (*counts).stream_round += 1;
            }
            (*counts).set = old & !over;
        }
        Closed { old, held: old & !over, underflows }
    }
}

/// What ends without anybody saying so.
const GIVEN_UP: [u32; 4] =
    [bit::LLM_STREAM, bit::NETWORK_RESPONSE, bit::NETWORK_REQUEST, bit::NETWORK_REQUEST_ODD];

/// Adds one to a bit or takes one from it.
///
/// # Safety
/// As `tick`.
#[inline(always)]
unsafe fn step(counts: *mut Counts, now: u64, bit: u32, up: bool) {
    let index = bounded(bit);
    if index == 0 {
        return;
    }
    // SAFETY: by contract, and the index is bounded.
    unsafe {
        let count = (&raw mut (*counts).counts).cast::<u32>().add(index);
        let time = (&raw mut (*counts).times).cast::<u64>().add(index);
        let at = (&raw mut (*counts).at).cast::<u64>().add(index);
        *time += u64::from(*count) * (now - *at);
        *at = now;
        let set = (*counts).set;
        if up {
            *count += 1;
            (*counts).set = set | 1 << index;
        } else if *count == 0 {
            (*counts).underflows += 1;
        } else {
            *count -= 1;
            if *count == 0 {
                (*counts).set = set & !(1 << index);
            }
        }
    }
}

/// A bit as an index, in an instruction that the compiler leaves where it is: else it finds the bounds of its own and leaves
/// the one out by which verifiers (6.1) know them.
#[inline(always)]
fn bounded(bit: u32) -> usize {
    const { assert!(BITS == 64) };
    let mut index = bit as usize;
    // SAFETY: an operation on a register.
    unsafe { core::arch::asm!("{0} &= 63", inout(reg) index) };
    index
}

/// Ends the stretch of `closed` if the set is another one now; returns its length.
///
/// # Safety
/// As `tick`.
#[inline(always)]
unsafe fn close(counts: *mut Counts, now: u64, closed: Closed) -> u64 {
    // SAFETY: by contract.
    unsafe {
        let (since, set) = ((*counts).since, (*counts).set);
        if set == closed.old && since != 0 {
            return 0;
        }
        (*counts).since = if set == 0 { 0 } else { now };
        if since == 0 { 0 } else { now - since }
    }
}

/// Adds a stretch to what the window has of its set.
#[inline(always)]
fn record(slot: u32, closed: Closed, ns: u64, underflows: u64) {
    if underflows != closed.underflows {
        losses::count(loss::LEDGER_MISCOUNT);
    }
    if ns == 0 {
        return;
    }
    let key = SetKey { set: closed.held, agent: slot, mark: marked(slot) };
    let sets = if epoch::is_odd() { &LEDGER_ODD } else { &LEDGER_EVEN };
    let time = match epoch::find(sets, &key, &ZERO) {
        Some(time) => Some(time),
        None => epoch::entry(sets, &SetKey { mark: UNMARKED, ..key }, &ZERO, loss::LEDGER_INSERT),
    };
    if let Some(time) = time {
        // SAFETY: a per-CPU value; a wake-up may interrupt who is not at a switch, hence in one instruction.
        add(unsafe { &mut *time }, ns);
    }
}

/// The generation of the agent in `slot`; 0 if there is none.
#[inline(always)]
pub(super) fn generation(slot: u32) -> u64 {
    match LEDGERS.get_ptr(slot) {
        // SAFETY: an element of the map; the daemon writes the word before the agent lives.
        Some(ledger) => unsafe { (*ledger).counts.generation },
        None => 0,
    }
}

/// Notes that bytes of an answer came on a connection that has such a phase; returns whether the agent is still counted so.
#[inline(always)]
pub(super) fn goes_on(connection: &Connection, now: u64) -> bool {
    let Some(ledger) = LEDGERS.get_ptr_mut(connection.agent) else { return true };
    // SAFETY: an element of the map, whose words are written one by one.
    unsafe {
        let counts = &raw mut (*ledger).counts;
        if connection.model != 0 {
            (*counts).stream_at = now;
            (*counts).stream_round == connection.round
        } else {
            (*counts).response_at = now;
            (*counts).set & 1 << bit::NETWORK_RESPONSE != 0
        }
    }
}

/// A connection comes to another phase, or to the same again.
#[inline(always)]
pub(super) fn turn(connection: &mut Connection, to: u32) {
    let (slot, now) = (connection.agent, clock::now());
    let Some(ledger) = LEDGERS.get_ptr_mut(slot) else { return };
    // SAFETY: as in `shift`; the connection changes under the lock alone, for which its threads may race.
    unsafe {
        let counts = &raw mut (*ledger).counts;
        lock(&raw mut (*ledger).lock);
        let now = tick(counts, now);
        let closed = give_up(counts, now, QUIET);
        let left = counted_under(connection, counts, now);
        step(counts, now, left, false);
        connection.phase = to;
        if connection.model != 0 {
            connection.round = (*counts).stream_round;
            if to == phase::RESPONSE {
                (*counts).stream_at = now;
            }
        } else {
            connection.round = period(now);
            (*counts).period = period(now);
            if to == phase::RESPONSE {
                (*counts).response_at = now;
                (*counts).response_quiet = quiet_after(connection.round_trip);
            }
        }
        let entered = enters(connection, counts, now);
        step(counts, now, entered, true);
        let ns = close(counts, now, closed);
        let underflows = (*counts).underflows;
        unlock(&raw mut (*ledger).lock);
        record(slot, closed, ns, underflows);
    }
}

/// After which silence a host's answer is over, ns.
#[inline(always)]
fn quiet_after(round_trip: u64) -> u64 {
    QUIET_OF_HOSTS + 2 * if round_trip < MAX_ROUND_TRIP { round_trip } else { MAX_ROUND_TRIP }
}

/// The bit that a connection is counted under; none where it was given up, and for other hosts' answers, under which the agent
/// is counted once, whoever answers.
///
/// # Safety
/// As `tick`.
#[inline(always)]
unsafe fn counted_under(connection: &Connection, counts: *const Counts, now: u64) -> u32 {
    let model = connection.model != 0;
    match connection.phase {
        phase::CONNECT if model => bit::LLM_CONNECT,
        phase::REQUEST if model => bit::LLM_FIRST_TOKEN,
        // SAFETY: by contract.
        phase::RESPONSE if model && connection.round == unsafe { (*counts).stream_round } => bit::LLM_STREAM,
        phase::CONNECT | phase::REQUEST if !model && is_awaited(connection.round, now) => {
            request_of(connection.round)
        }
        _ => bit::NONE,
    }
}

/// The bit that a connection enters, whose phase is new.
///
/// # Safety
/// As `tick`.
#[inline(always)]
unsafe fn enters(connection: &Connection, counts: *const Counts, now: u64) -> u32 {
    // SAFETY: by contract.
    unsafe {
        let answers = connection.phase == phase::RESPONSE && connection.model == 0;
        if answers && (*counts).set & 1 << bit::NETWORK_RESPONSE == 0 {
            return bit::NETWORK_RESPONSE;
        }
        counted_under(connection, counts, now)
    }
}
