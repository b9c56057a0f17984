//! The listener: binds, accepts, bounds. What a client can hold on to is bounded in number and in time, and
//! the end waits for nobody longer than [`Bounds::grace`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::Request};
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
use tower::ServiceExt;

use super::peer::Peer;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections served at once; more wait to be accepted.
    connections: usize,
    /// How long a connection may take to send the headers of its next request; an idle one is closed then.
    header_timeout: Duration,
    /// How long requests in flight may take to finish when the daemon stops.
    grace: Duration,
}

const BOUNDS: Bounds =
    Bounds { connections: 256, header_timeout: Duration::from_secs(5), grace: Duration::from_secs(5) };

/// Most bytes of one request's head that are buffered.
const HEAD_BYTES: usize = 64 * 1024;

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
    serve_within(listener, router, stop, BOUNDS).await;
}

async fn serve_within(listener: TcpListener, router: Router, stop: watch::Receiver<bool>, bounds: Bounds) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &slots) => if let Some((stream, slot)) = accepted {
                let served = serve_connection(stream, router.clone(), stop.clone(), bounds.header_timeout);
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            },
        }
    }
    drop(listener);
    let drained = timeout(bounds.grace, async { while connections.join_next().await.is_some() {} }).await;
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
    header_timeout: Duration,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HEAD_BYTES);
    // Both ends are known while the connection is; without them nobody is looked for.
    let peer = stream.peer_addr().and_then(|client| Ok(Peer::new(client, stream.local_addr()?))).ok();
    let service = router.map_request(move |mut request: Request<_>| {
        peer.iter().for_each(|peer| drop(request.extensions_mut().insert(peer.clone())));
        request
    });
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
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
    use std::{
        io::{Read, Write},
        time::Instant,
    };

    use axum::routing::get;

    use super::*;

    const TIGHT: Bounds = Bounds {
        connections: 1,
        header_timeout: Duration::from_millis(300),
        grace: Duration::from_millis(300),
    };

    /// A server within [`TIGHT`] bounds, and the way to stop it.
    async fn tight() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let never = get(std::future::pending::<()>);
        let router = Router::new().route("/", get(|| async { "here" })).route("/never", never);
        let (stop, stopping) = watch::channel(false);
        (address, stop, tokio::spawn(serve_within(listener, router, stopping, TIGHT)))
    }

    async fn exchange(address: SocketAddr, request: &'static [u8]) -> String {
        let exchange = move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn half_a_request_is_not_waited_for_and_frees_its_slot() {
        let (address, _stop, _server) = tight().await;
        let slow = exchange(address, b"GET / HTTP/1.1\r\nHo");
        let next = async {
            sleep(Duration::from_millis(50)).await;
            exchange(address, WHOLE).await
        };
        let (slow, next) = tokio::join!(slow, next);
        assert!(!slow.contains("200 OK"), "{slow}");
        assert!(next.contains("200 OK") && next.ends_with("here"), "{next}");
    }

    #[tokio::test]
    async fn what_never_finishes_is_cut_off_after_the_grace() {
        let (address, stop, server) = tight().await;
        let endless = tokio::spawn(async move {
            exchange(address, b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await
        });
        sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        stop.send(true).unwrap();
        server.await.unwrap();
        assert!(begin.elapsed() >= TIGHT.grace);
        assert_eq!(endless.await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_daemon_that_is_gone_serves_nobody() {
        let (address, stop, server) = tight().await;
        drop(stop);
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

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
