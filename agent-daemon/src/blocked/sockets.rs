//! TCP connections of this host, from the kernel's tables of each network namespace.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustc_hash::FxHashMap;

/// What is read of one table, bytes: some hundred thousand connections.
const MAX_TABLE: u64 = 64 << 20;

/// One end of a connection.
type Ends = (SocketAddr, SocketAddr);

/// The connections of one network namespace.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_inode: FxHashMap<u64, Ends>,
    by_ends: FxHashMap<Ends, u64>,
}

impl Connections {
    /// Those that the process `pid` sees.
    pub(super) fn read(pid: u32) -> Self {
        let mut connections = Self::default();
        for table in ["tcp", "tcp6"] {
            let Ok(file) = fs::File::open(format!("/proc/{pid}/net/{table}")) else { continue };
            let lines = BufReader::new(file.take(MAX_TABLE)).lines().skip(1).map_while(Result::ok);
            for (local, remote, inode) in lines.filter_map(|line| connection(&line)) {
                let ends = (plain(local), plain(remote));
                // Closed ones have none.
                if inode != 0 {
                    connections.by_inode.insert(inode, ends);
                    connections.by_ends.insert(ends, inode);
                }
            }
        }
        connections
    }

    /// The address of a socket's other end, and that one's inode if it is here too.
    pub(super) fn remote(&self, inode: u64) -> Option<(SocketAddr, Option<u64>)> {
        let (local, remote) = *self.by_inode.get(&inode)?;
        let peer = self.by_ends.get(&(remote, local)).copied();
        // One that listens has no other end.
        (remote.port() != 0).then_some((remote, peer))
    }
}

/// The address with an IPv4 address where IPv6 only wraps one.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Local address, remote address and inode of a line of the kernel's table.
fn connection(line: &str) -> Option<(SocketAddr, SocketAddr, u64)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(words.next()?)?, address(words.next()?)?);
    Some((local, remote, words.nth(6)?.parse().ok()?))
}

/// `0100007F:1D97`: words of 32 bits in the host's order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match host.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(Ipv6Addr::from(*words.first_chunk::<16>()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::{fd::AsRawFd, linux::fs::MetadataExt as _},
    };

    use proptest::prelude::proptest;

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u64 {
        fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().st_ino()
    }

    #[test]
    fn both_ends_of_a_connection_name_each_other() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let connections = Connections::read(std::process::id());
            let (remote, peer) = connections.remote(inode(&client)).unwrap();
            assert_eq!((remote, peer), (client.peer_addr().unwrap(), Some(inode(&server))));
            assert_eq!(connections.remote(inode(&server)).unwrap().1, Some(inode(&client)));
            assert_eq!(connections.remote(inode(&listener)), None);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line: String, host in "[0-9A-F]{0,40}:[0-9A-F]{0,6}") {
            let _ = (connection(&line), address(&host));
        }
    }
}
