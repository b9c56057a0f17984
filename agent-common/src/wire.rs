//! Plaintext of connections: what probes on TLS libraries and on libc, and those of sockets, hand to the daemon, and what
//! tells a probe where the bytes are.

/// What a probe does when it is hit: the low byte of its cookie.
pub mod action {
    /// Remember the arguments until the function returns; what was sent or received is told then.
    pub const SAVE: u64 = 0;
    /// The connection is over.
    pub const CLOSE: u64 = 1;
    /// The system call has just returned, its arguments are still in their registers: tell what it moved.
    pub const MOVED: u64 = 2;
    /// What the arguments name is about to be sent: tell it at once.
    pub const SENDS: u64 = 3;
    /// The function that was remembered returns here, or has done its work.
    pub const RETURNS: u64 = 4;
}

/// Whose probes tell of a connection.
pub mod source {
    /// OpenSSL's, and those of what descends from it.
    pub const OPENSSL: u32 = 1;
    /// BoringSSL's.
    pub const BORINGSSL: u32 = 2;
    /// Those of sockets: what is said without TLS.
    pub const SOCKET: u32 = 3;
    /// Those of sockets and of libc: the standard input and output of a server.
    pub const STDIO: u32 = 4;
    /// Those of Go's `crypto/tls`.
    pub const GO: u32 = 5;
    /// Those of the cryptography under rustls.
    pub const RUSTLS: u32 = 6;
    /// OpenSSL's where they stand without names.
    pub const OPENSSL_STRIPPED: u32 = 7;
}

/// Where the number of bytes is found that went through, once the function returns.
pub mod length {
    /// It is the returned value, if that is positive.
    pub const RETURNED: u64 = 0;
    /// The argument points to it, and the function returned 1 (`SSL_read_ex`).
    pub const POINTED: u64 = 1;
    /// It is the returned value, and the bytes are in a vector of buffers (`readv`).
    pub const SCATTERED: u64 = 2;
    /// As [`POINTED`], by the fifth argument instead of the fourth.
    pub const POINTED_BY_FIFTH: u64 = 3;
    /// It is not: only the whole blocks of a record are handed over.
    pub const BLOCKS: u64 = 4;
}

/// The cookie of a probe: all that differs from site to site.
#[must_use]
pub const fn cookie(action: u64, direction: u32, length: u64, source: u32) -> u64 {
    action | length << 8 | (direction as u64) << 16 | (source as u64) << 24
}

/// What [`cookie`] was made of: action, direction, length, source.
#[must_use]
pub const fn parts(cookie: u64) -> (u64, u32, u64, u32) {
    (cookie & 0xff, (cookie >> 16) as u32 & 0xff, cookie >> 8 & 0xff, (cookie >> 24) as u32)
}

/// Which way bytes went, seen from the process.
pub mod direction {
    /// It wrote them.
    pub const SENT: u32 = 0;
    /// It read them.
    pub const RECEIVED: u32 = 1;
    /// None: the connection is over.
    pub const CLOSED: u32 = 2;
    /// None: what was sent under this key, and is told of the key alone, went on a connection whose address stands in
    /// [`super::Piece::position`], and which was opened at [`super::Piece::at`].
    pub const TIED: u32 = 3;
    /// None: what was sent last with [`super::Piece::open`] ends at [`super::Piece::position`].
    pub const SEALED: u32 = 4;
}

/// Sizes of records, after the head: a record takes the smallest that it fits into.
pub const CLASSES: [usize; 3] = [512, 4096, LARGEST];
/// The largest of them: a record of TLS.
pub const LARGEST: usize = 16_384;
/// Largest records at the beginning of what one call hands over; of more, only the end is told as well.
pub const HEADS: u32 = 4;

/// The same of what a server reads and writes, and of agents of whom it is kept what they say: a message is only read whole.
pub const MESSAGE_HEADS: u32 = 64;
/// Buffers of one call that are looked at.
pub const BUFFERS: u64 = 64;

/// Bytes of the ring.
pub const RING_BYTES: u32 = 4 << 20;
/// Connections that the kernel side remembers.
pub const CONNECTIONS: u32 = 8192;

/// A connection, by its process and the address of what stands for it there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionKey {
    /// The process.
    pub process: u64,
    /// The `SSL` object, or, under [`SOCKET`] or [`STDIO`], a number in the kernel.
    pub address: u64,
}

/// What is not told of a connection, as the daemon wants it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dismissed {
    /// When the connection was first seen: its address may be used again.
    pub opened: u64,
    /// What is sent before this position, but for the call that reaches it: the rest of a body whose length is known.
    /// [`FOR_GOOD`]: everything, until a request.
    pub sent: u64,
    /// The same of what is received.
    pub received: u64,
    /// Which way requests go on it: see [`direction`].
    pub asks: u64,
}

/// In [`Dismissed`]: until a request goes.
pub const FOR_GOOD: u64 = u64::MAX;

/// In an address: it is the cookie of a socket. No process has such an address.
pub const SOCKET: u64 = 1 << 63;
/// In an address: it is the inode of what a server has for its standard input.
pub const STDIO: u64 = 3 << 62;

/// Servers that are read at once.
pub const SERVERS: u32 = 4096;

/// What a server that was given its client's requests as standard input reads and writes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stdio {
    /// Inode number of its standard input.
    pub input: u64,
    /// The same of its output.
    pub output: u64,
    /// Whose connection it is: its client's, where that is of the same agent, else its own.
    pub speaker: u64,
    /// Which of the two are pipes, and whether the speaker is the client: see [`stdio`].
    pub flags: u64,
}

/// [`Stdio::flags`].
pub mod stdio {
    /// The input is a pipe, else a unix socket.
    pub const INPUT_IS_PIPE: u64 = 1;
    /// The output likewise.
    pub const OUTPUT_IS_PIPE: u64 = 2;
    /// What the server reads is what the speaker sent.
    pub const CLIENT_SPEAKS: u64 = 4;
}

/// The head of a record of the ring; the bytes follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// When they went: when the call began that sent them, or ended that received them (ns, monotonic).
    pub at: u64,
    /// Whose connection.
    pub key: ConnectionKey,
    /// When the connection was first seen: its address may be used again.
    pub opened: u64,
    /// Bytes that went this way before, those that were not told too.
    pub position: u64,
    /// The agent's slot.
    pub agent: u32,
    /// See [`direction`].
    pub direction: u32,
    /// By which finder's probe, as that numbers itself.
    pub source: u32,
    /// Bytes that follow.
    pub length: u32,
    /// The agent's mark then (see [`crate::ledger::Marks`]); 0 where a tool's or helper's thread moved them.
    pub mark: u32,
    /// Whether its end is not known yet: what goes beyond that, which may be all of it, is not part of what was said. The
    /// next of this connection to be sent is [`direction::SEALED`].
    pub open: u32,
}

/// A call of a function that moves plaintext, which goes on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The connection's.
    pub address: u64,
    /// Where the bytes are, or will be.
    pub buffer: u64,
    /// How long the buffer is, or how many buffers there are.
    pub length: u64,
    /// The fourth argument, or the fifth: where the number of bytes will be.
    pub told: u64,
    /// When it began (ns, monotonic).
    pub at: u64,
    /// The agent's mark then.
    pub mark: u64,
}

/// A piece of [`direction::TIED`], with what it has to follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tie {
    /// The head, as long as what follows.
    pub piece: Piece,
    /// Bytes that were sent on the connection before, under another key.
    pub before: u64,
}

const _: () = assert!(size_of::<ConnectionKey>() == 16);
const _: () = assert!(size_of::<Piece>() == 64);
const _: () = assert!(size_of::<Tie>() == 72);
const _: () = assert!(size_of::<Call>() == 48);
const _: () = assert!(size_of::<Stdio>() == 32);
const _: () = assert!(size_of::<Dismissed>() == 32);
crate::pod!(Call, ConnectionKey, Dismissed, Piece, Stdio, Tie);
