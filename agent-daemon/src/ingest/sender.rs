//! Which process is at the other end of a connection: its socket's inode, from the kernel's tables, and the process of an
//! agent that has this socket open. What a sender says of itself is believed only if this agrees.
//!
//! A process in a network namespace of its own has its sockets in other tables: nobody is found for it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{
    model::id::{AgentId, ProcessId},
    unwind::identity::is_same,
};

/// Processes of agents that are looked at for one connection.
pub const MAX_CANDIDATES: usize = 1024;

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 4096;

/// The process that sends, and its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The agent.
    pub agent: AgentId,
    /// Its process.
    pub process: ProcessId,
    /// Its pids in its pid namespaces, the outermost first.
    pids: Vec<u32>,
}

impl Sender {
    /// Whether the process may call itself so: by its pid in any of its namespaces.
    #[must_use]
    pub fn is(&self, pid: u32) -> bool {
        self.process.pid() == pid || self.pids.contains(&pid)
    }
}

/// The process among `candidates` that has the connection from `client` to `server` open. Reads /proc.
#[must_use]
pub fn find(
    client: SocketAddr,
    server: SocketAddr,
    candidates: impl IntoIterator<Item = (AgentId, ProcessId)>,
) -> Option<Sender> {
    let inode = socket_inode(client, server)?;
    let link = format!("socket:[{inode}]");
    let mut candidates = candidates.into_iter().take(MAX_CANDIDATES);
    let (agent, process) = candidates.find(|(_, process)| has_open(*process, &link))?;
    Some(Sender { agent, process, pids: pids(process) })
}

/// The inode of the socket that is connected from `client` to `server`.
fn socket_inode(client: SocketAddr, server: SocketAddr) -> Option<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let lines = BufReader::new(fs::File::open(table).ok()?).lines().skip(1).map_while(Result::ok);
        lines.filter_map(|line| connection(&line)).find_map(|(local, remote, inode)| {
            let same = plain(local) == plain(client) && plain(remote) == plain(server);
            (same && inode != 0).then_some(inode)
        })
    })
}

/// The address with an IPv4 address where IPv6 only wraps one.
fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
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
    let mut bytes = [0; 16];
    let words =
        host.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok());
    for (to, word) in bytes.chunks_mut(4).zip(words) {
        to.copy_from_slice(&word?.to_ne_bytes());
    }
    let ip = match host.len() {
        8 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        32 => Ipv6Addr::from(bytes).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Whether the process has a descriptor that is this, and is still who is meant.
fn has_open(process: ProcessId, link: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", process.pid())) else { return false };
    let mut descriptors = descriptors.take(MAX_DESCRIPTORS).filter_map(Result::ok);
    let found = descriptors.any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link));
    found && is_same(process)
}

fn pids(process: ProcessId) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::unwind::identity::{forerunner, this_process};

    #[test]
    fn the_owner_of_a_connection_is_found_and_nobody_else() {
        let agent = AgentId::new(1, 2);
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (client, server) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            let candidates = [(agent.clone(), forerunner()), (agent.clone(), this_process())];
            let found = find(client, server, candidates).unwrap();
            assert_eq!(found.process, this_process());
            assert!(found.is(std::process::id()) && !found.is(1_000_000_007));
            assert_eq!(find(client, server, [(agent.clone(), forerunner())]), None);
            assert_eq!(find(server, server, [(agent.clone(), this_process())]), None);
        }
    }

    #[test]
    fn lines_of_the_table_are_read() {
        let line = "   0: 0100007F:1D97 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0";
        let (local, remote, inode) = connection(line).unwrap();
        assert_eq!((local.to_string().as_str(), remote.port(), inode), ("127.0.0.1:7575", 50000, 4711));
        for line in [
            "",
            "0: x y",
            "0: 0100007F 0100007F:1 01 a b c d e",
            "0: 0G00007F:1D97 0100007F:C350 1 1 1 1 1 1 1",
        ] {
            assert_eq!(connection(line), None, "{line}");
        }
    }
}
