//! Network: what processes send, receive and connect to, by peer.

use crate::syscalls::BUCKETS;

/// What carries it: numbers of IP protocols, and one that is none.
pub mod protocol {
    /// TCP, and MPTCP, which is TCP to whoever uses it.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// Unix sockets. Who has the other end is not looked up.
    pub const UNIX: u8 = 255;
}

/// Who turned to whom.
pub mod side {
    /// The process turned to the peer: the port is the peer's.
    pub const CLIENT: u8 = 0;
    /// The peer turned to the process: the port is the process's own, since the peer's means nothing.
    pub const SERVER: u8 = 1;
}

/// A peer, as a socket knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// An IPv6 address; an IPv4 address as `::ffff:a.b.c.d`; zero where it is not known or there is none.
    pub address: [u8; 16],
    /// See [`side`].
    pub port: u16,
    /// See [`protocol`].
    pub protocol: u8,
    /// See [`side`].
    pub side: u8,
    /// Explicit padding.
    pub pad: u32,
}

/// Whose traffic with whom.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkKey {
    /// The process.
    pub process: u64,
    /// With whom.
    pub peer: Peer,
    /// The agent's slot.
    pub agent: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// The traffic, of one CPU. Added to atomically: what happens in an interrupt may meet what a system call does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NetworkValue {
    /// Bytes that calls sent.
    pub sent: u64,
    /// Bytes that calls received.
    pub received: u64,
    /// Connections made, as a client.
    pub connects: u64,
    /// Connections accepted, as a server.
    pub accepts: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Time from the first packet of a connection to its being made, over all that were, ns.
    pub connect_total: u64,
    /// The longest, ns.
    pub connect_max: u64,
    /// These times by log2 of ns.
    pub histogram: [u32; BUCKETS],
}

impl NetworkValue {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        sent: 0,
        received: 0,
        connects: 0,
        accepts: 0,
        retransmits: 0,
        connect_total: 0,
        connect_max: 0,
        histogram: [0; BUCKETS],
    };
}

/// Connections that failed, by the reason; the value is a count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureKey {
    /// Whose, and with whom.
    pub key: NetworkKey,
    /// The errno, positive; 0 where the process itself gave up.
    pub errno: u64,
}

/// A socket of an agent, under its cookie. Facts that come in interrupts are its owner's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// The process that connected it, or first used it.
    pub process: u64,
    /// Which of the slot's agents.
    pub generation: u64,
    /// When its connecting began (ns, monotonic); 0 when it does not connect.
    pub connect_at: u64,
    /// Whom it is with; of a datagram socket that is not connected, whom it last sent to.
    pub peer: Peer,
    /// The agent's slot.
    pub agent: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// A port that an agent listens on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerKey {
    /// The address that it is reached by, as in [`Peer::address`]; that of any is zero.
    pub address: [u8; 16],
    /// The inode of the network namespace: which ports are whose.
    pub namespace: u32,
    /// The port.
    pub port: u32,
}

/// Who listens.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// The process.
    pub process: u64,
    /// Which of the slot's agents.
    pub generation: u64,
    /// The agent's slot.
    pub agent: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// Bytes kept of an answer of a name server.
pub const ANSWER_BYTES: usize = 1024;

/// A process of an agent received a datagram from the port of name servers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NameAnswer {
    /// [`crate::lifecycle::kind::NAME_ANSWER`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// Bytes of `bytes` in use.
    pub length: u32,
    /// Explicit padding.
    pub pad: u32,
    /// The datagram's beginning.
    pub bytes: [u8; ANSWER_BYTES],
}

const _: () = assert!(size_of::<Peer>() == 24);
const _: () = assert!(size_of::<NetworkKey>() == 40);
const _: () = assert!(size_of::<NetworkValue>() == 56 + 4 * BUCKETS);
const _: () = assert!(size_of::<FailureKey>() == 48);
const _: () = assert!(size_of::<Socket>() == 56);
const _: () = assert!(size_of::<ListenerKey>() == 24);
const _: () = assert!(size_of::<Listener>() == 24);
const _: () = assert!(size_of::<NameAnswer>() == 16 + ANSWER_BYTES);
crate::pod!(Peer, NetworkKey, NetworkValue, FailureKey, Socket, ListenerKey, Listener, NameAnswer);
