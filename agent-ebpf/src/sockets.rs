//! What a `struct sock` tells of itself. For `network`, `ledger` and `wire`.

use aya_ebpf::{helpers::generated::bpf_get_socket_cookie, programs::BtfTracePointContext};

use crate::layout::{self, field};

/// Families of addresses.
pub(crate) mod family {
    pub(crate) const UNIX: u16 = 1;
    pub(crate) const INET: u16 = 2;
    pub(crate) const INET6: u16 = 10;
}

/// States of a TCP socket.
pub(crate) mod tcp {
    pub(crate) const ESTABLISHED: u32 = 1;
    pub(crate) const SYN_SENT: u32 = 2;
    pub(crate) const SYN_RECV: u32 = 3;
    pub(crate) const FIN_WAIT1: u32 = 4;
    pub(crate) const FIN_WAIT2: u32 = 5;
    pub(crate) const CLOSE: u32 = 7;
    pub(crate) const CLOSE_WAIT: u32 = 8;
    pub(crate) const LISTEN: u32 = 10;
}

/// The first port that a client is given by default. Servers that others know have ports below.
pub(crate) const FIRST_CLIENT_PORT: u16 = 32_768;

/// What is received and stays where it is.
pub(crate) const MSG_PEEK: u32 = 2;
/// What is received is no data, but what went wrong.
pub(crate) const MSG_ERRQUEUE: u32 = 0x2000;

/// Numbers of protocols.
pub(crate) mod protocol {
    pub(crate) const TCP: u16 = 6;
    pub(crate) const UDP: u16 = 17;
    pub(crate) const MPTCP: u16 = 262;
}

/// The socket that is a tracepoint's first argument.
#[derive(Clone, Copy)]
pub(crate) struct Sock(*const u8);

impl Sock {
    /// The first argument of a tracepoint whose first argument is a `struct sock *`.
    #[inline(always)]
    pub(crate) fn of(ctx: &BtfTracePointContext) -> Self {
        Self(ctx.arg(0))
    }

    /// Its address: what it is known by until it is closed.
    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its cookie, which no other socket ever has; makes one where there is none.
    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: a socket that the verifier knows.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut().cast()) }
    }

    /// Its cookie; 0 where nobody has asked for it yet.
    #[inline(always)]
    pub(crate) fn known_cookie(self) -> u64 {
        // SAFETY: a socket that the verifier knows, here and below.
        unsafe { field(self.0, &layout::SOCK_COOKIE) }
    }

    /// See [`family`].
    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        // SAFETY: as above.
        unsafe { field(self.0, &layout::SOCK_FAMILY) }
    }

    /// The number of the IP protocol.
    #[inline(always)]
    pub(crate) fn protocol(self) -> u16 {
        // SAFETY: as above.
        unsafe { field(self.0, &layout::SOCK_PROTOCOL) }
    }

    /// See [`tcp`].
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: as above.
        u32::from(unsafe { field::<u8>(self.0, &layout::SOCK_STATE) })
    }

    /// The errno of what befell it, positive.
    #[inline(always)]
    pub(crate) fn error(self) -> u32 {
        // SAFETY: as above.
        unsafe { field(self.0, &layout::SOCK_ERROR) }
    }

    /// The number of its inode, by which descriptors lead to it; 0 where none does.
    #[inline(always)]
    pub(crate) fn inode(self) -> u64 {
        // SAFETY: as above; each pointer that is followed is loaded with its type, and may be null.
        unsafe {
            let socket: *const u8 = field(self.0, &layout::SOCK_SOCKET);
            if socket.is_null() {
                return 0;
            }
            let file: *const u8 = field(socket, &layout::SOCKET_FILE);
            if file.is_null() {
                return 0;
            }
            let inode: *const u8 = field(file, &layout::FILE_INODE);
            field(inode, &layout::INODE_NUMBER)
        }
    }

    /// The inode of its network namespace.
    #[inline(always)]
    pub(crate) fn namespace(self) -> u32 {
        // SAFETY: as above; a socket always has a namespace.
        unsafe {
            let namespace: *const u8 = field(self.0, &layout::SOCK_NAMESPACE);
            field(namespace, &layout::NAMESPACE_INODE)
        }
    }

    /// Its own address, as IPv6.
    #[inline(always)]
    pub(crate) fn local_address(self) -> [u8; 16] {
        // SAFETY: as above.
        unsafe {
            if self.family() == family::INET {
                mapped(field(self.0, &layout::SOCK_LOCAL_ADDRESS))
            } else {
                field(self.0, &layout::SOCK_LOCAL_ADDRESS6)
            }
        }
    }

    /// Its own port.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        // SAFETY: as above.
        unsafe { field(self.0, &layout::SOCK_LOCAL_PORT) }
    }

    /// The port that it is connected to; 0 where it is not.
    #[inline(always)]
    pub(crate) fn remote_port(self) -> u16 {
        // SAFETY: as above.
        u16::from_be(unsafe { field(self.0, &layout::SOCK_PORT) })
    }

    /// The address that it is connected to, as IPv6.
    #[inline(always)]
    pub(crate) fn remote_address(self) -> [u8; 16] {
        // SAFETY: as above.
        unsafe {
            if self.family() == family::INET {
                mapped(field(self.0, &layout::SOCK_ADDRESS))
            } else {
                field(self.0, &layout::SOCK_ADDRESS6)
            }
        }
    }
}

/// An IPv4 address, in the order of the network, as an IPv6 address.
#[inline(always)]
pub(crate) fn mapped(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// Whether these bytes, which begin a record of TLS, begin one of a handshake.
#[inline(always)]
pub(crate) fn is_handshake(first: u32) -> bool {
    first & 0xff == 0x16
}

/// Whether these bytes begin a record of TLS: its type, and the first half of its version.
#[inline(always)]
pub(crate) fn is_tls(first: u32) -> bool {
    let [kind, version, ..] = first.to_le_bytes();
    kind >= 0x14 && kind <= 0x17 && version == 3
}
