//! The HTTP accept loop of both daemons: hyper with limits, timeouts and a drain. Routing is the caller's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, HOST};
use http::{StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::problem::Problem;

/// Most bytes of a body that one read takes in. Heads have a limit of their own.
const READ_BUFFER: usize = 256 * 1024;

/// What a listener allows its clients.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at once; more are closed as soon as they are accepted.
    pub max_connections: usize,
    /// Longest wait for a whole request head, and for the next request of a kept connection.
    pub header_timeout: Duration,
    /// Largest request head, bytes.
    pub max_head: usize,
    /// How long requests under way may take to finish once the server is told to stop.
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            header_timeout: Duration::from_secs(60),
            max_head: 32 * 1024,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Address of the client, in every request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub SocketAddr);

/// A bound HTTP listener.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    limits: HttpLimits,
}

impl HttpServer {
    /// Binds the address; port 0 lets the system choose.
    pub async fn bind(address: SocketAddr, limits: HttpLimits) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, limits })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled. Then idle connections end, requests under way finish, and what is left after
    /// the drain timeout is dropped.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        let places = Arc::new(Semaphore::new(self.limits.max_connections));
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
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                warn!(%peer, max_connections = self.limits.max_connections, "connection refused, all places taken");
                continue;
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let work = serve_connection(stream, peer, router.clone(), self.limits, stop.clone());
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
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| call(router.clone(), peer, request));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // A client may end its side once it has asked, as `nc` does; it gets its answer all the same.
            .half_close(true)
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.max_head)
            .max_buf_size(limits.max_head.max(READ_BUFFER))
            // Old nginx storage peers send two blanks after the path; RFC 9112, 3 lets a server be lenient here.
            .allow_multiple_spaces_in_request_line_delimiters(true)
            .serve_connection(TokioIo::new(stream), service)
    );
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(%peer, %error, "connection ended");
    }
}

async fn call(router: Router, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
    if !has_host(&request) {
        let detail = "a request by HTTP/1.1 has exactly one Host header";
        return Ok(Problem::new(StatusCode::BAD_REQUEST, "bad_host", detail).into_response());
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ClientAddress(peer));
    let mut response = router.oneshot(request).await?;
    // The router counts the bytes of every body; of a 304 the length would be the one of the 200 (RFC 9110, 8.6).
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(response)
}

/// Whether the request says once which host it is for; before HTTP/1.1 it need not (RFC 9112, 3.2).
fn has_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11
}
