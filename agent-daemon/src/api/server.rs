//! The listener: binds, accepts, bounds. At most [`CONNECTIONS`] at once, each with so long to send its
//! headers (an idle connection is closed after the same time); at the end, what runs may finish within
//! [`GRACE`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Connections served at once; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// How long a connection may take to send the headers of its next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of one request's head that are buffered.
const HEAD_BYTES: usize = 64 * 1024;

/// How long requests in flight may take to finish when the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// Pause after a failed accept: out of descriptors, mostly, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error(
        "{0} is already in use, perhaps by another agentperf: stop that, or choose another address with --listen"
    )]
    InUse(SocketAddr),
    /// The kernel refuses: ports below 1024 are privileged.
    #[error(
        "no permission to listen on {0}: choose a port from 1024 up with --listen, or add CAP_NET_BIND_SERVICE"
    )]
    Denied(SocketAddr),
    /// It is another host's address.
    #[error("no interface of this host has the address {}: choose one that has with --listen", .0.ip())]
    NotOurs(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, #[source] io::Error),
}

/// Listens on `address`; port 0 takes any free one.
///
/// # Errors
/// The address is taken, privileged or not this host's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::PermissionDenied => BindError::Denied(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs(address),
        _ => BindError::Other(address, error),
    })
}

/// Serves until `stop` holds true (or its sender is gone), then lets requests in flight finish for five
/// seconds.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &slots) => if let Some((stream, slot)) = accepted {
                connections.spawn(serve_connection(stream, router.clone(), stop.clone(), slot));
            },
        }
    }
    drop(listener);
    let drained = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at shutdown");
        connections.shutdown().await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has nobody left to serve for: that is a stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for a free slot, then for a connection.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    mut stop: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEAD_BYTES);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_says_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let text = bind(address).await.unwrap_err().to_string();
        assert!(text.contains(&address.to_string()) && text.contains("--listen"), "{text}");
    }

    #[tokio::test]
    async fn anothers_address_says_so() {
        let text = bind("192.0.2.1:7575".parse().unwrap()).await.unwrap_err().to_string();
        assert_eq!(
            text,
            "no interface of this host has the address 192.0.2.1: choose one that has with --listen"
        );
    }
}
