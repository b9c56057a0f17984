//! Ports that a process listened on before it was watched: the kernel programs see who begins to listen, and not who does.
//!
//! The kernel tells listening sockets before all others, so that tables of very many connections are not read through.
//! Bounded: [`MAX_PORTS`] ports of a process; of more, connections to the others are taken for its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, Ipv6Addr},
    os::unix::fs::MetadataExt as _,
};

use rustc_hash::FxHashSet;

use crate::{kernel::ListeningPort, model::id::ProcessId};

/// Ports of one process.
const MAX_PORTS: usize = 256;
/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;
/// How the tables write the state of a socket that listens.
const LISTEN: &str = "0A";

/// The ports that the process listens on.
pub(super) fn ports(process: ProcessId) -> Vec<ListeningPort> {
    let folder = format!("/proc/{}", process.pid());
    let sockets = sockets(&folder);
    let namespace = fs::metadata(format!("{folder}/ns/net")).map(|file| file.ino());
    let Some(namespace) = namespace.ok().and_then(|inode| u32::try_from(inode).ok()) else {
        return Vec::new();
    };
    if sockets.is_empty() {
        return Vec::new();
    }
    let tables =
        ["tcp", "tcp6"].into_iter().filter_map(|table| fs::File::open(format!("{folder}/net/{table}")).ok());
    let lines = tables.flat_map(|file| BufReader::new(file).lines().skip(1).map_while(listening));
    let ours = lines.filter(|row| sockets.contains(&row.inode)).take(MAX_PORTS);
    ours.map(|Row { address, port, .. }| ListeningPort { address, port, namespace }).collect()
}

/// The inodes of its sockets.
fn sockets(folder: &str) -> FxHashSet<u64> {
    let Ok(descriptors) = fs::read_dir(format!("{folder}/fd")) else { return FxHashSet::default() };
    let links =
        descriptors.flatten().take(MAX_DESCRIPTORS).filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| socket(link.to_str()?)).collect()
}

/// The inode number in `socket:[N]`.
fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A line of a table.
struct Row {
    address: Ipv6Addr,
    port: u16,
    inode: u64,
}

/// The next line, if its socket listens: those that do not follow.
fn listening(line: std::io::Result<String>) -> Option<Row> {
    row(&line.ok()?)
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode`
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    if state != LISTEN {
        return None;
    }
    Some(Row { address: self::address(address)?, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// Words of the network's order, each written as a number of this machine.
fn address(text: &str) -> Option<Ipv6Addr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).to_ipv6_mapped()),
        32 => {
            let mut bytes = [0; 16];
            for (n, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(8 * n)?);
            }
            Some(bytes.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn lines_are_read_up_to_the_first_that_does_not_listen() {
        let listens = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0";
        let found = row(listens).unwrap();
        assert_eq!((found.port, found.inode), (8080, 4711));
        assert_eq!(found.address, Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        assert!(row(&listens.replace(" 0A ", " 01 ")).is_none());
        for wrong in [
            "",
            "0:",
            "0: 0100007F:1F90",
            &listens.replace("0100007F", "0100"),
            &listens.replace("1F90", "x"),
        ] {
            assert!(row(wrong).is_none(), "{wrong}");
        }
        assert_eq!(address("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn a_process_has_the_ports_that_it_listens_on_and_no_others() {
        let (one, six) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::]:0"));
        let mut expected = vec![one.local_addr().unwrap().port()];
        expected.extend(six.iter().map(|six| six.local_addr().unwrap().port()));
        // The identity beside the pid is not looked at.
        let own = ports(ProcessId(std::process::id().into()));
        assert!(expected.iter().all(|port| own.iter().any(|own| own.port == *port)), "{own:?}");
        let parent = ports(ProcessId(1));
        assert!(expected.iter().all(|port| parent.iter().all(|other| other.port != *port)), "{parent:?}");
    }
}
