//! Looks up where models answer, again and again, and tells the kernel programs. A thread of its own: a name server
//! that does not answer holds up nobody. Nothing is looked up before there is an agent.
//!
//! A host of which nothing is known yet, or whose addresses change between two looks, is an ordinary network peer until
//! the next look: the ledger's calls to models are an estimate anyhow.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    time::{Duration, Instant},
};

use super::host_names::Found;
use crate::{
    config::{Config, ModelHost},
    kernel::ModelEndpoints,
};

/// How often names are looked up.
const EVERY: Duration = Duration::from_secs(300);
/// Addresses of one name that count.
const MAX_ADDRESSES: usize = 16;
/// Addresses found that nobody has taken yet. Beyond, they have no names until the next look.
const QUEUE: usize = 1024;

/// Wakes the thread when there is an agent; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct ModelHosts(Sender<()>);

impl ModelHosts {
    /// Starts the thread, and what it finds comes. Without it, calls to models are network like any other.
    pub(super) fn start(
        config: &Config,
        endpoints: Option<ModelEndpoints>,
    ) -> (Option<Self>, Option<Receiver<Found>>) {
        let Some(endpoints) = endpoints else { return (None, None) };
        match Self::spawn(config.ledger.model_hosts.clone(), endpoints) {
            Ok((hosts, found)) => (Some(hosts), Some(found)),
            Err(error) => {
                tracing::warn!(%error, "models' hosts are not looked up");
                (None, None)
            }
        }
    }

    /// Starts the thread. It is not waited for: a look-up may last, and changes nothing but a map.
    fn spawn(hosts: Vec<ModelHost>, endpoints: ModelEndpoints) -> io::Result<(Self, Receiver<Found>)> {
        let (wake, woken) = channel();
        let (found, names) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("model-hosts".to_owned())
            .spawn(move || run(&hosts, endpoints, &woken, &found))?;
        Ok((Self(wake), names))
    }

    /// There is an agent.
    pub(super) fn wake(&self) {
        // One that ended looks nothing up.
        let _ = self.0.send(());
    }
}

fn run(
    hosts: &[ModelHost],
    mut endpoints: ModelEndpoints,
    woken: &Receiver<()>,
    names_found: &SyncSender<Found>,
) {
    // Addresses are no names: nobody is asked, and they are known before the first agent.
    let (addresses, names): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| address(host).is_some());
    tell(&mut endpoints, addresses.into_iter().filter_map(address));
    if woken.recv().is_err() {
        return;
    }
    while !is_over(woken, Duration::ZERO) {
        for host in &names {
            match (host.host.as_str(), host.port).to_socket_addrs() {
                Ok(found) => {
                    let found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
                    let name: Arc<str> = host.host.as_str().into();
                    for address in &found {
                        // A queue that is full, or that nobody reads: the peer has no name.
                        let _ = names_found.try_send((Arc::clone(&name), address.ip()));
                    }
                    tell(&mut endpoints, found);
                }
                Err(error) => tracing::debug!(host = host.host, %error, "a model's host is not known"),
            }
        }
        if is_over(woken, EVERY) {
            return;
        }
    }
}

/// Whether nobody is left to wake us, within this time. That there is another agent changes nothing.
fn is_over(woken: &Receiver<()>, within: Duration) -> bool {
    let due = Instant::now() + within;
    loop {
        match woken.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

fn address(host: &ModelHost) -> Option<SocketAddr> {
    Some(SocketAddr::new(host.host.parse().ok()?, host.port))
}

fn tell(endpoints: &mut ModelEndpoints, addresses: impl IntoIterator<Item = SocketAddr>) {
    if let Err(error) = endpoints.add(addresses) {
        tracing::warn!(%error, "where models answer could not be told to the kernel programs");
    }
}
