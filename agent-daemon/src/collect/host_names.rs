//! Names of the hosts that agents speak to: what name servers answered to an agent's processes, and, where these tell
//! nothing, the hosts of models that the daemon looked up itself.
//!
//! An address has the name that was asked for last. A connection outlives what the answer says of its validity, so that a
//! name stays while there is traffic, and an hour longer. Names that are asked for over TLS, over TCP, or through another
//! program than the agent's are not seen.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use lru::LruCache;

use crate::{
    model::{
        id::Slot,
        network::{MAX_HOST, NetworkStat},
    },
    wire::dns,
};

/// Addresses whose names are remembered, of agents and of models each.
const MAX_NAMES: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// How long a name stays that nobody needs, at least.
const KEPT: Duration = Duration::from_secs(3600);
/// And at most, whatever an answer says.
const MAX_KEPT: Duration = Duration::from_secs(86_400);

/// A host and where it answers.
pub(super) type Found = (Arc<str>, IpAddr);

struct Name {
    host: Arc<str>,
    until: Instant,
}

/// What addresses are called.
pub(super) struct HostNames {
    answered: LruCache<(Slot, IpAddr), Name>,
    models: LruCache<IpAddr, Arc<str>>,
    found: Option<Receiver<Found>>,
}

impl HostNames {
    /// Knows no names; takes those of models as they are `found`.
    pub(super) fn new(found: Option<Receiver<Found>>) -> Self {
        Self { answered: LruCache::new(MAX_NAMES), models: LruCache::new(MAX_NAMES), found }
    }

    /// A process of the agent in `slot` received this from a name server.
    pub(super) fn answered(&mut self, slot: Slot, bytes: &[u8], now: Instant) {
        let answer = match dns::answer(bytes) {
            Ok(answer) if answer.name.len() <= MAX_HOST => answer,
            Ok(_) => return,
            Err(error) => return tracing::trace!(%error, "an answer of a name server"),
        };
        let host: Arc<str> = answer.name.into();
        for (address, valid) in answer.addresses {
            let until = now + valid.clamp(KEPT, MAX_KEPT);
            self.answered.put((slot, address), Name { host: Arc::clone(&host), until });
        }
    }

    /// Writes the names of the peers into rows of traffic.
    pub(super) fn name(&mut self, rows: &mut [(Slot, NetworkStat)], now: Instant) {
        while let Some(Ok((host, address))) = self.found.as_ref().map(Receiver::try_recv) {
            self.models.put(address, host);
        }
        for (slot, row) in rows {
            if let Some(address) = row.peer.address {
                row.peer.host = self.of(*slot, address, now);
            }
        }
    }

    fn of(&mut self, slot: Slot, address: IpAddr, now: Instant) -> Option<Arc<str>> {
        match self.answered.get_mut(&(slot, address)) {
            Some(name) if name.until >= now => {
                name.until = name.until.max(now + KEPT);
                Some(Arc::clone(&name.host))
            }
            _ => self.models.get(&address).cloned(),
        }
    }

    /// The agent in `slot` is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        let gone: Vec<_> = self.answered.iter().map(|(key, _)| *key).filter(|(of, _)| *of == slot).collect();
        for key in gone {
            self.answered.pop(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::model::{
        id::ProcessId,
        network::{Peer, Protocol, Side},
    };

    const ANSWER: &[u8] =
        b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x02a1\x04test\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01";

    fn name(names: &mut HostNames, slot: u32, address: [u8; 4], now: Instant) -> Option<String> {
        let peer = Peer {
            address: Some(address.into()),
            port: 443,
            protocol: Protocol::Tcp,
            side: Side::Client,
            host: None,
        };
        let mut rows = [(Slot(slot), NetworkStat::new(ProcessId(1), peer))];
        names.name(&mut rows, now);
        rows[0].1.peer.host.as_deref().map(str::to_owned)
    }

    #[test]
    fn a_name_is_that_of_the_agent_that_asked_and_stays_while_it_is_used() {
        let (mut names, now) = (HostNames::new(None), Instant::now());
        names.answered(Slot(1), ANSWER, now);
        names.answered(Slot(1), b"garbage", now);
        let found = name(&mut names, 1, [10, 0, 0, 1], now + KEPT / 2);
        assert_eq!(found.as_deref(), Some("a1.test"));
        assert_eq!(name(&mut names, 2, [10, 0, 0, 1], now), None);
        assert!(name(&mut names, 1, [10, 0, 0, 1], now + KEPT).is_some());
        assert_eq!(name(&mut names, 1, [10, 0, 0, 1], now + 3 * KEPT), None);
    }

    #[test]
    fn hosts_of_models_have_names_and_what_an_agent_asked_for_comes_first() {
        let (found, receiver) = channel();
        let (mut names, now) = (HostNames::new(Some(receiver)), Instant::now());
        found.send((Arc::from("model.test"), IpAddr::from([10, 0, 0, 1]))).unwrap();
        assert_eq!(name(&mut names, 1, [10, 0, 0, 1], now).as_deref(), Some("model.test"));
        names.answered(Slot(1), ANSWER, now);
        assert_eq!(name(&mut names, 1, [10, 0, 0, 1], now).as_deref(), Some("a1.test"));
        names.forget(Slot(1));
        assert_eq!(name(&mut names, 1, [10, 0, 0, 1], now).as_deref(), Some("model.test"));
    }
}
