//! The accept loop: `allow_hosts`, `max_connections`, counters, and a drain that ends.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::Connection;

/// What a service allows its peers.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLimits {
    /// Connections at once; more are closed as soon as they are accepted.
    pub max_connections: i32,
    /// Longest wait for the first request, for the rest of a started frame, and for room to send.
    pub network_timeout: Duration,
    /// How long requests under way may take to finish once the service is told to stop.
    pub drain_timeout: Duration,
}

/// Connections of a service, as heart beats and statistics report them.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    current: AtomicI32,
    max: AtomicI32,
}

impl ConnectionCounts {
    /// Connections open now.
    pub fn current(&self) -> i32 {
        self.current.load(Ordering::Relaxed)
    }

    /// Most connections open at once since the start.
    pub fn max(&self) -> i32 {
        self.max.load(Ordering::Relaxed)
    }
}

/// One place of `max_connections`, given back when dropped.
struct Place(Arc<ConnectionCounts>);

impl Place {
    fn take(counts: &Arc<ConnectionCounts>, limit: i32) -> Option<Self> {
        let taken = counts.current.fetch_add(1, Ordering::Relaxed) + 1;
        let place = Self(Arc::clone(counts));
        if taken > limit {
            return None;
        }
        counts.max.fetch_max(taken, Ordering::Relaxed);
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A bound listener for native connections.
#[derive(Debug)]
pub struct NativeService {
    listener: TcpListener,
    limits: ServiceLimits,
    counts: Arc<ConnectionCounts>,
}

impl NativeService {
    /// Binds the address; port 0 lets the system choose.
    pub async fn bind(address: SocketAddr, limits: ServiceLimits) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, limits, counts: Arc::default() })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The counters of this service.
    pub fn counts(&self) -> Arc<ConnectionCounts> {
        Arc::clone(&self.counts)
    }

    /// Hands every permitted connection to `handle` in a task of its own, until `stop` is cancelled. Then idle
    /// connections end at once, requests under way finish, and what is left after the drain timeout is dropped.
    ///
    /// A handler that panics loses its own connection only.
    pub async fn serve<H, F>(self, permits: impl Fn(IpAddr) -> bool, stop: CancellationToken, handle: H)
    where
        H: Fn(Connection) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        self.accept_failed(&error).await;
                        continue;
                    }
                },
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            if !permits(peer.ip()) {
                info!(%peer, "connection refused by allow_hosts");
                continue;
            }
            let Some(place) = Place::take(&self.counts, self.limits.max_connections) else {
                warn!(%peer, max_connections = self.limits.max_connections, "connection refused, all places taken");
                continue;
            };
            if let Err(error) = prepare(&stream, self.limits.network_timeout) {
                debug!(%peer, %error, "connection lost before its first request");
                continue;
            }
            let connection = Connection::new(stream, peer, self.limits.network_timeout, stop.clone());
            let work = handle(connection);
            let abort = abort.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = abort.cancelled() => debug!(%peer, "connection dropped at the drain deadline"),
                }
                drop(place);
            });
        }
        drop(self.listener);
        tasks.close();
        if tokio::time::timeout(self.limits.drain_timeout, tasks.wait()).await.is_err() {
            warn!(connections = tasks.len(), "drain deadline passed, dropping connections");
            abort.cancel();
            tasks.wait().await;
        }
    }

    /// Out of descriptors or memory: say so, and leave the system a moment before the next try.
    async fn accept_failed(&self, error: &io::Error) {
        const PAUSE: Duration = Duration::from_millis(50);
        warn!(%error, open = self.counts.current(), "accept failed");
        tokio::time::sleep(PAUSE).await;
    }
}

/// `TCP_NODELAY`, and keep-alive probes after twice the network timeout, so that dead peers free their place.
fn prepare(stream: &TcpStream, network_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, network_timeout * 2 + Duration::from_secs(1))?;
    Ok(())
}
