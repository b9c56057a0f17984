//! The ledger: for each agent, in which states its threads are, and for how long that set of states held.
//!
//! A state counts under a bit of a 64-bit set: `role * 16 + state`, the states being those of
//! [`crate::thread::state`] and [`OUTSIDE`]. The bits from 48 on are of no thread: see [`bit`].

/// Whose work a thread does.
pub mod role {
    /// The agent's own: its root process, and what was forked from that without executing a program.
    pub const OWN: u16 = 0;
    /// A tool's: a descendant that executed a program.
    pub const TOOL: u16 = 1;
    /// A helper's: a tool that was found waiting for input while the agent asked its model, what such a one runs by itself,
    /// and what a tool left behind.
    pub const HELPER: u16 = 2;
}

/// A state of the ledger alone: waiting on a pipe or unix socket that leads out of the agent, such as its stdin, or on an inet
/// socket for somebody to ask something.
pub const OUTSIDE: u32 = 15;

/// Bits that stand for no thread.
pub mod bit {
    /// Counted nowhere: the state 0 of [`super::role::OWN`] is that of an unseen thread.
    pub const NONE: u32 = 0;
    /// A connection to a model is being made.
    pub const LLM_CONNECT: u32 = 48;
    /// A request was sent, and nothing has come back.
    pub const LLM_FIRST_TOKEN: u32 = 49;
    /// An answer is coming.
    pub const LLM_STREAM: u32 = 50;
    /// A thread of a tool that is no helper lives.
    pub const TOOL_ALIVE: u32 = 51;
    /// Bytes of another host's answer come.
    pub const NETWORK_RESPONSE: u32 = 53;
    /// Another host than a model's is being connected to, or was sent something, and nothing has come back; since an even
    /// period (see [`super::period`]).
    pub const NETWORK_REQUEST: u32 = 54;
    /// The same since an odd period: what is under one of the two is given up at once.
    pub const NETWORK_REQUEST_ODD: u32 = 55;
}

/// An answer of which nothing has come for this long is over, ns: a socket does not tell where an answer ends.
pub const QUIET: u64 = 2_000_000_000;
/// The same where the agent begins a tool: models are done when they have one called.
pub const QUIET_AT_TOOL: u64 = 50_000_000;
/// Another host's answer of which nothing has come for this long, and for two round trips, is over, ns.
pub const QUIET_OF_HOSTS: u64 = 20_000_000;

/// log2 of a period, ns: 69 s. Requests that no host answered are given up in the second period after theirs: what is sent
/// may be nothing that anybody answers.
const PERIOD_SHIFT: u32 = 36;

/// The period that an instant is in.
#[inline(always)]
#[must_use]
pub fn period(now: u64) -> u64 {
    now >> PERIOD_SHIFT
}

/// Whether what was asked in the period `asked` is still waited for at `now`.
#[inline(always)]
#[must_use]
pub fn is_awaited(asked: u64, now: u64) -> bool {
    period(now) < asked + 2
}

/// The bit of requests of a period.
#[inline(always)]
#[must_use]
pub fn request_of(period: u64) -> u32 {
    if period & 1 == 0 { bit::NETWORK_REQUEST } else { bit::NETWORK_REQUEST_ODD }
}

/// Length of the LEDGERS array's counts. A power of two, by which an index is bounded.
pub const BITS: usize = 64;

/// What an agent's ledger holds besides its lock.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Which of the slot's agents this is of; 0: none.
    pub generation: u64,
    /// The latest instant that was accounted (ns, monotonic): clocks are read before the lock is taken, and no
    /// time is counted twice.
    pub clock: u64,
    /// Bits of which there is at least one.
    pub set: u64,
    /// Since when `set` holds; 0 while it is empty.
    pub since: u64,
    /// When bytes of a model's answer last came.
    pub stream_at: u64,
    /// Times that models' answers were given up for over.
    pub stream_round: u64,
    /// When bytes of another host's answer last came.
    pub response_at: u64,
    /// For how long nothing has come of that until it is over, ns.
    pub response_quiet: u64,
    /// The period of the latest request to another host.
    pub period: u64,
    /// Times that something left a bit that nothing had entered.
    pub underflows: u64,
    /// How many are under each bit.
    pub counts: [u32; BITS],
    /// For each bit, what its count comes to over time: thread-ns, up to `at`.
    pub times: [u64; BITS],
    /// Up to when `times` is counted.
    pub at: [u64; BITS],
}

/// The bits of the set that turn out, at `now`, to have been over before the stretch that it holds for: models' answers of
/// which nothing had come for `quiet` ns, those of other hosts, and requests that nobody answers.
#[inline(always)]
#[must_use]
pub fn over(counts: &Counts, now: u64, quiet: u64) -> u64 {
    let mut over = 0;
    if counts.since >= counts.stream_at && now > counts.stream_at + quiet {
        over |= 1 << bit::LLM_STREAM;
    }
    if counts.since >= counts.response_at && now > counts.response_at + counts.response_quiet {
        over |= 1 << bit::NETWORK_RESPONSE;
    }
    let passed = period(now).saturating_sub(counts.period);
    if passed > 1 {
        over |= 1 << request_of(counts.period);
    }
    if passed > 0 {
        over |= 1 << request_of(counts.period + 1);
    }
    over & counts.set
}

/// An agent's ledger, as the daemon sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// The kernel's `struct bpf_spin_lock`.
    pub lock: u32,
    /// Explicit padding.
    pub pad: u32,
    /// What it guards.
    pub counts: Counts,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub const fn new(generation: u64) -> Self {
        let counts = Counts {
            generation,
            clock: 0,
            set: 0,
            since: 0,
            stream_at: 0,
            stream_round: 0,
            response_at: 0,
            response_quiet: QUIET_OF_HOSTS,
            period: 0,
            underflows: 0,
            counts: [0; BITS],
            times: [0; BITS],
            at: [0; BITS],
        };
        Self { lock: 0, pad: 0, counts }
    }
}

/// How often plaintext of an agent is marked at most, ns: sums are kept apart from mark to mark.
pub const MARK_EVERY: u64 = 1_000_000;

/// Marks of one agent in one window that time is kept apart by: what comes later in it has none, so that an agent that says
/// very much leaves room for the sums of others. Whoever reads the plaintext remembers as many.
pub const MARKS_PER_WINDOW: u64 = 2048;

/// The mark of time of which it is not known when it was.
pub const UNMARKED: u32 = u32::MAX;

/// The marks of an agent: each time that its own threads send or receive plaintext, the number goes up. What is summed
/// under a number was between that mark and the next, so that who reads the plaintext knows when it was.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// The number of the last one.
    pub number: u64,
    /// When it was made (ns, monotonic).
    pub at: u64,
    /// The number of the last one of the windows before.
    pub before: u64,
    /// The epoch that `before` was noted in.
    pub epoch: u64,
}

impl Marks {
    /// The mark of what ends now.
    #[must_use]
    pub const fn mark(&self) -> u32 {
        if self.are_spent() { UNMARKED } else { self.number as u32 }
    }

    /// Whether there are no more in this window.
    #[must_use]
    pub const fn are_spent(&self) -> bool {
        self.number.wrapping_sub(self.before) >= MARKS_PER_WINDOW
    }
}

/// Time is summed by agent and set, from mark to mark.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetKey {
    /// The set.
    pub set: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The mark at its end, or [`UNMARKED`].
    pub mark: u32,
}

/// Where a model answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// An IPv6 address; an IPv4 address as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// The port.
    pub port: u32,
}

/// How an endpoint speaks: the values of the MODEL_ENDPOINTS map.
pub mod speaks {
    /// Not known until something was sent.
    pub const UNKNOWN: u32 = 0;
    /// In the clear: what is sent is a request.
    pub const PLAIN: u32 = 1;
    /// TLS: a connection begins with a handshake.
    pub const TLS: u32 = 2;
}

/// What a connection waits for.
pub mod phase {
    /// For nothing.
    pub const NONE: u32 = 0;
    /// To be made.
    pub const CONNECT: u32 = 1;
    /// For the beginning of an answer.
    pub const REQUEST: u32 = 2;
    /// For the rest of it.
    pub const RESPONSE: u32 = 3;
}

/// A connection that an agent has made, or a process of its tools.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The agent's slot.
    pub agent: u32,
    /// See [`phase`].
    pub phase: u32,
    /// Which of the slot's agents.
    pub generation: u64,
    /// By which it is told whether its phase still counts: of a model's answer [`Counts::stream_round`] when that began, of
    /// another host's request the period.
    pub round: u64,
    /// See [`speaks`].
    pub speaks: u32,
    /// Requests sent, and a TLS handshake.
    pub sent: u32,
    /// Bytes that came since the handshake of TLS, until there was an answer.
    pub received: u64,
    /// When the first of them came; 0 while none has.
    pub prelude_at: u64,
    /// When it began to connect; when it was asked first, once it was (ns, monotonic).
    pub since: u64,
    /// When bytes last came.
    pub heard_at: u64,
    /// How long the last part of connecting took, ns: TCP's, or the handshake of TLS; 0 where that was not seen.
    pub round_trip: u64,
    /// How long connecting took until now, ns; 0 where it was not seen to begin, and once it was asked.
    pub connect: u64,
    /// The process of a tool that it is of; 0 where it is the agent's own, and counts in its ledger.
    pub process: u64,
    /// 1 once an answer has come: what a server says before that by itself has come, too.
    pub answered: u32,
    /// 1 if it leads to a model.
    pub model: u16,
    /// 1 while nobody answers what is sent.
    pub one_way: u16,
}

/// What the daemon finds a process to be.
pub mod verdict {
    /// The agent itself: a program that a launcher launched, or its own program again.
    pub const OWN: u32 = 1;
    /// A helper, once it waits for input.
    pub const HELPER: u32 = 2;
    /// What a tool left behind: a helper, whatever it does.
    pub const LEFT: u32 = 3;
    /// The agent's own, and has launched the agent: its waits are those of a helper.
    pub const LAUNCHER: u32 = 4;
}

/// A thread of a tool, as the iterator shows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolThread {
    /// The process.
    pub process: u64,
    /// The process that forked it, or took it over.
    pub parent: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The bit it is counted under.
    pub counted: u32,
}

const _: () = assert!(size_of::<Counts>() == 80 + 20 * BITS);
const _: () = assert!(size_of::<Ledger>() == 8 + size_of::<Counts>());
const _: () = assert!(size_of::<Marks>() == 32);
const _: () = assert!(size_of::<SetKey>() == 16);
const _: () = assert!(size_of::<Endpoint>() == 20);
const _: () = assert!(size_of::<Connection>() == 96);
const _: () = assert!(size_of::<ToolThread>() == 24);
crate::pod!(Ledger, Marks, SetKey, Endpoint, Connection, ToolThread);
