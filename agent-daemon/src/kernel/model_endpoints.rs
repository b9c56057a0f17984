//! Where models answer, as the kernel programs know it. Belongs to the thread that looks the names up.

use std::net::{IpAddr, SocketAddr};

use agent_common::ledger::{Endpoint, speaks};
use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use rustc_hash::FxHashSet;

use super::error::KernelError;

/// Endpoints that there is room for.
pub const MAX_ENDPOINTS: usize = 2048;

/// The port of TLS: whatever else is connected to speaks in the clear, as far as is known.
const TLS_PORT: u16 = 443;

/// The map of endpoints.
pub struct ModelEndpoints {
    map: HashMap<MapData, Endpoint, u32>,
    written: FxHashSet<Endpoint>,
}

impl ModelEndpoints {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map("MODEL_ENDPOINTS").ok_or(KernelError::NoMap("MODEL_ENDPOINTS"))?;
        Ok(Self { map: HashMap::try_from(map)?, written: FxHashSet::default() })
    }

    /// Adds endpoints; connections to them that are made from now on are seen. What does not fit is left out. One
    /// that a name led to once stays: connections are kept longer than names.
    ///
    /// # Errors
    /// The map refused a write.
    pub fn add(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<(), KernelError> {
        for address in addresses {
            let endpoint = endpoint(address);
            if self.written.len() >= MAX_ENDPOINTS || self.written.contains(&endpoint) {
                continue;
            }
            let speaks = if address.port() == TLS_PORT { speaks::TLS } else { speaks::PLAIN };
            self.map.insert(endpoint, speaks, 0)?;
            self.written.insert(endpoint);
        }
        Ok(())
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Endpoint { address: ip.octets(), port: u32::from(address.port()) }
}

impl std::fmt::Debug for ModelEndpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelEndpoints").field("written", &self.written.len()).finish_non_exhaustive()
    }
}
