//! The HTTP server of both daemons: listeners, limits, timeouts, TLS and a drain. What is answered is the [`App`]'s.

mod clocked;
mod connection;
mod doze;
mod edge;
mod fast_path;
mod gathered;
mod http2;
mod inlet;
mod limits;
mod listener;
mod phase;
mod places;
mod plain_get;
mod proxy_protocol;
mod refusal;
mod requests;
mod rewind;
pub mod tls;

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

pub use edge::Edge;
pub use limits::HttpLimits;
pub use listener::HttpServer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use proxy_protocol::decode as decode_proxied;
pub(crate) use refusal::refused;

pub use crate::at_hand::{AtHand, Plain};
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
    /// Whether it is encrypted.
    pub secure: bool,
    /// The client, as a proxy in front says by the PROXY protocol. Who reaches the listener can say anything: to be believed
    /// only of peers that the site trusts.
    pub proxied: Option<SocketAddr>,
}

/// What answers requests.
pub trait App: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, connection: &Connection, request: Request) -> impl Future<Output = Response<Body>> + Send;

    /// The answer of a GET, if it is at hand: known without waiting, and the same whatever else the request says (but for
    /// preconditions and what concerns the connection, with which this is not asked).
    fn at_hand(&self, _connection: &Connection, _plain: Plain<'_>) -> Option<AtHand> {
        None
    }
}

impl App for Router {
    async fn call(&self, connection: &Connection, mut request: Request) -> Response<Body> {
        request.extensions_mut().insert(ClientAddress(connection.peer));
        crate::rest::route(self, request).await
    }
}
