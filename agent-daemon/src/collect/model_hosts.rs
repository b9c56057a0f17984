//! Looks up where models answer, again and again, and tells the kernel programs. A thread of its own: a name server
//! that does not answer holds up nobody. Nothing is looked up before there is an agent.
//!
//! A host of which nothing is known yet, or whose addresses change between two looks, is an ordinary network peer until
//! the next look: the ledger's calls to models are an estimate anyhow.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use crate::{
    config::{Config, ModelHost},
    kernel::{Kernel, ModelEndpoints},
};

/// How often names are looked up.
const EVERY: Duration = Duration::from_secs(300);
/// Addresses of one name that count.
const MAX_ADDRESSES: usize = 16;

/// Wakes the thread when there is an agent; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct ModelHosts(Sender<()>);

impl ModelHosts {
    /// Has it looked up where models answer. Without it, calls to them are network like any other.
    pub(super) fn start(config: &Config, kernel: &mut Kernel) -> Option<Self> {
        let hosts = config.ledger.model_hosts.clone();
        match Self::spawn(hosts, kernel.take_model_endpoints()?) {
            Ok(hosts) => Some(hosts),
            Err(error) => {
                tracing::warn!(%error, "models' hosts are not looked up");
                None
            }
        }
    }

    /// Starts the thread. It is not waited for: a look-up may last, and changes nothing but a map.
    ///
    /// # Errors
    /// The thread cannot start.
    fn spawn(hosts: Vec<ModelHost>, endpoints: ModelEndpoints) -> io::Result<Self> {
        let (wake, woken) = channel();
        std::thread::Builder::new()
            .name("model-hosts".to_owned())
            .spawn(move || run(&hosts, endpoints, &woken))?;
        Ok(Self(wake))
    }

    /// There is an agent.
    pub(super) fn wake(&self) {
        // One that ended looks nothing up.
        let _ = self.0.send(());
    }
}

fn run(hosts: &[ModelHost], mut endpoints: ModelEndpoints, woken: &Receiver<()>) {
    // Addresses are no names: nobody is asked, and they are known before the first agent.
    let (addresses, names): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| address(host).is_some());
    tell(&mut endpoints, addresses.into_iter().filter_map(address));
    if woken.recv().is_err() {
        return;
    }
    while !is_over(woken, Duration::ZERO) {
        for host in &names {
            match (host.host.as_str(), host.port).to_socket_addrs() {
                Ok(found) => tell(&mut endpoints, found.take(MAX_ADDRESSES)),
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
