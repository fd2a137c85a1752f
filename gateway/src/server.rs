//! The HTTP accept loop of both daemons: limits, timeouts and a drain. What is answered is the [`App`]'s.

mod clocked;
mod connection;
mod inlet;
mod limits;
mod listener;
mod phase;
mod places;
mod refusal;
mod requests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

pub use limits::HttpLimits;

use self::places::{Place, Places};
use crate::body::Body;

/// Address of the client, in every request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub SocketAddr);

/// Where a connection comes from and how.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// The other end, as the socket has it.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
}

/// What answers requests.
pub trait App: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, connection: &Connection, request: Request) -> impl Future<Output = Response<Body>> + Send;
}

impl App for Router {
    async fn call(&self, connection: &Connection, mut request: Request) -> Response<Body> {
        request.extensions_mut().insert(ClientAddress(connection.peer));
        let Ok(response) = self.clone().oneshot(request).await;
        response.map(Body::from)
    }
}

/// A bound HTTP listener.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    limits: HttpLimits,
    places: Arc<Places>,
}

impl HttpServer {
    /// Binds the address; port 0 lets the system choose.
    pub async fn bind(address: SocketAddr, limits: HttpLimits) -> io::Result<Self> {
        Ok(Self { listener: listener::bind(address, &limits)?, limits, places: Arc::default() })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled. Then idle connections end, requests under way finish, and what is left after
    /// the drain timeout is dropped.
    pub async fn serve(self, app: impl App, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        const PAUSE: Duration = Duration::from_millis(50);
                        warn!(%error, "accept failed");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let Some(place) = self.places.take(self.limits.max_connections) else {
                warn!(%peer, max_connections = self.limits.max_connections, "connection refused, all places taken");
                refusal::send_at_once(stream, refusal::NO_PLACE);
                continue;
            };
            let Ok(local) = stream.local_addr() else { continue };
            let from = Connection { peer: canonical(peer), local: canonical(local) };
            let work = serve(stream, from, app.clone(), self.limits, place, stop.clone());
            let abort = abort.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = abort.cancelled() => debug!(%peer, "connection dropped at the drain deadline"),
                }
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
}

/// Serves a connection, if its address may have another one.
async fn serve(
    mut stream: TcpStream,
    from: Connection,
    app: impl App,
    limits: HttpLimits,
    mut place: Place,
    stop: CancellationToken,
) {
    if place.claim(from.peer.ip(), limits.connections_per_address) {
        connection::serve(stream, from, app, limits, stop).await;
    } else {
        debug!(peer = %from.peer, "connection refused, the address has enough");
        refusal::send(&mut stream, refusal::NO_PLACE_FOR_ADDRESS).await;
    }
}

/// IPv4 addresses as such, also those that came to an IPv6 listener.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
