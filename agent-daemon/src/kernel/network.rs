//! Reads the traffic that was counted in one generation.

use std::net::{IpAddr, Ipv6Addr};

use agent_common::{
    agent::Agent,
    network::{FailureKey, Listener, ListenerKey, NetworkKey, NetworkValue, Peer as RawPeer, protocol, side},
    syscalls::BUCKETS,
};
use aya::{
    Ebpf,
    maps::{Array, HashMap},
};
use rustc_hash::FxHashMap;

use super::{Kernel, counts::drain, error::KernelError};
use crate::model::{
    id::{ProcessId, Slot},
    network::{NetworkStat, Peer, Protocol, Side},
    syscall::Histogram,
};

/// A port that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListeningPort {
    /// At which address; of IPv4 mapped into IPv6.
    pub address: Ipv6Addr,
    /// The port.
    pub port: u16,
    /// The inode of the network namespace.
    pub namespace: u32,
}

impl Kernel {
    /// Notes that a process of the agent in `slot` listens on these ports already.
    ///
    /// # Errors
    /// A map refused the write.
    pub fn set_listening(
        &mut self,
        (slot, process): (Slot, ProcessId),
        ports: &[ListeningPort],
    ) -> Result<(), KernelError> {
        let agents: Array<_, Agent> = Array::try_from(self.map_mut("AGENTS")?)?;
        let generation = agents.get(&slot.0, 0)?.generation;
        let listener = Listener { process: process.0, generation, agent: slot.0, pad: 0 };
        let mut listeners: HashMap<_, ListenerKey, Listener> = HashMap::try_from(self.map_mut("LISTENERS")?)?;
        for ListeningPort { address, port, namespace } in ports {
            let (address, port) = (address.octets(), u32::from(*port));
            listeners.insert(ListenerKey { address, namespace: *namespace, port }, listener, 0)?;
        }
        Ok(())
    }
}

/// Takes every row out of the maps. Peers have no names yet.
pub(super) fn traffic(
    ebpf: &Ebpf,
    map: &'static str,
    failures: &'static str,
) -> Result<Vec<(Slot, NetworkStat)>, KernelError> {
    let mut rows: FxHashMap<NetworkKey, NetworkStat> = FxHashMap::default();
    drain(ebpf, map, |key: NetworkKey, values: &[NetworkValue]| {
        rows.insert(key, row(&key, values));
    })?;
    drain(ebpf, failures, |FailureKey { key, errno }, counts: &[u64]| {
        let row = rows.entry(key).or_insert_with(|| row(&key, &[]));
        row.fail(u32::try_from(errno).unwrap_or(u32::MAX), counts.iter().sum());
    })?;
    Ok(rows.into_iter().map(|(key, row)| (Slot(key.agent), row)).collect())
}

fn row(key: &NetworkKey, values: &[NetworkValue]) -> NetworkStat {
    let sum = |number: fn(&NetworkValue) -> u64| values.iter().map(number).fold(0, u64::saturating_add);
    NetworkStat {
        sent_bytes: sum(|value| value.sent),
        received_bytes: sum(|value| value.received),
        connects: sum(|value| value.connects),
        accepts: sum(|value| value.accepts),
        retransmits: sum(|value| value.retransmits),
        connect_ns: sum(|value| value.connect_total),
        connect_max_ns: values.iter().map(|value| value.connect_max).max().unwrap_or(0),
        connect_histogram: histogram(values.iter().map(|value| &value.histogram)),
        ..NetworkStat::new(ProcessId(key.process), peer(&key.peer))
    }
}

/// The histogram of all CPUs.
pub(super) fn histogram<'a>(of_cpus: impl Iterator<Item = &'a [u32; BUCKETS]>) -> Histogram {
    let mut histogram = Histogram::default();
    for of_cpu in of_cpus {
        for (sum, count) in histogram.0.iter_mut().zip(of_cpu) {
            *sum += u64::from(*count);
        }
    }
    histogram
}

fn peer(raw: &RawPeer) -> Peer {
    let address = Ipv6Addr::from(raw.address);
    Peer {
        address: (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical()),
        port: raw.port,
        protocol: match raw.protocol {
            protocol::TCP => Protocol::Tcp,
            protocol::UDP => Protocol::Udp,
            protocol::UNIX => Protocol::Unix,
            _ => Protocol::Other,
        },
        side: if raw.side == side::SERVER { Side::Server } else { Side::Client },
        host: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let mut raw = RawPeer { port: 80, protocol: protocol::TCP, ..RawPeer::default() };
        assert_eq!(peer(&raw).address, None);
        raw.address = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        assert_eq!(peer(&raw).address, Some([10, 0, 0, 1].into()));
        raw.address = Ipv6Addr::LOCALHOST.octets();
        assert_eq!(peer(&raw).address, Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn what_cpus_counted_adds_up() {
        let key = NetworkKey { process: 1, peer: RawPeer::default(), agent: 0, pad: 0 };
        let of_cpu = |sent, connect_max| NetworkValue { sent, connect_max, ..NetworkValue::ZERO };
        let row = row(&key, &[of_cpu(3, 9), of_cpu(4, 7)]);
        assert_eq!((row.sent_bytes, row.connect_max_ns), (7, 9));
    }
}
