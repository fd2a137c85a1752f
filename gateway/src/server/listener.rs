//! A listening socket and its accept loop.

use std::future::{Future, ready};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream as Accepted};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use protocol::config::web_conf::ListenOn;
use rustix::net::{SocketFlags, acceptfrom_with, sockopt};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection::Serving;
use super::phase::Phase;
use super::places::Place;
use super::proxy_protocol::{self, Proxied};
use super::requests::Requests;
use super::{App, Connection, Edge, HttpLimits, refusal};
use crate::socket::Socket;

/// Pause after an accept that failed: for want of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes that the kernel takes for a connection beyond those that the client has room for. Without a bound, each slow reader
/// of a large file is given megabytes at once: a crowd of them holds up everybody else, and uses up the memory that the
/// kernel has for TCP.
const UNSENT: u32 = 512 << 10;

/// A bound HTTP listener.
#[derive(Debug)]
pub struct HttpServer {
    listener: Listener,
    /// What all connections have here, unless it listens on all addresses.
    local: Option<SocketAddr>,
    on: ListenOn,
    edge: Edge,
}

/// A listening socket. What it accepts is not watched yet, as tokio's listener would do at once, so tokio is told of a stream:
/// all that it does with that is to watch a descriptor.
#[derive(Debug)]
struct Listener(TcpStream);

impl Listener {
    fn watch(listener: TcpListener) -> io::Result<Self> {
        TcpStream::from_std(OwnedFd::from(listener).into()).map(Self)
    }

    /// The next connection, with the address of its other end.
    async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accept = || Ok(acceptfrom_with(&self.0, flags)?);
        let (socket, peer) = self.0.async_io(Interest::READABLE, accept).await?;
        let peer = peer.ok_or(io::ErrorKind::NotConnected)?;
        Ok((socket.into(), peer.try_into()?))
    }
}

impl HttpServer {
    /// Binds an address for clear text; port 0 lets the system choose.
    pub async fn bind(address: SocketAddr, limits: HttpLimits) -> io::Result<Self> {
        Edge::new(limits).bind(ListenOn::plain(address))
    }

    pub(super) fn over(edge: Edge, on: ListenOn) -> io::Result<Self> {
        let listener = listen(on.address, &edge.limits())?;
        let local = Some(listener.local_addr()?).filter(|local| !local.ip().is_unspecified());
        Ok(Self { listener: Listener::watch(listener)?, local, on, edge })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.0.local_addr()
    }

    /// Serves until `stop` is cancelled. Then idle connections end, requests under way finish, and what is left after
    /// the drain timeout is dropped.
    pub async fn serve(self, app: impl App, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        let doze = Arc::default();
        let mut warned: Option<Instant> = None;
        let mut send_timeout = self.edge.limits().send_timeout;
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn!(%error, "accept failed");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let limits = self.edge.limits();
            if limits.send_timeout != send_timeout {
                send_timeout = limits.send_timeout;
                // From the next connection on; this one has inherited what was.
                let _ = set_send_timeout(&self.listener.0, send_timeout);
            }
            let Some(place) = self.edge.take_place(&limits) else {
                // Once a second will do while a flood is on.
                if warned.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                    warned = Some(Instant::now());
                    warn!(%peer, max_connections = limits.max_connections, "connection refused, all places taken");
                }
                self.refuse(stream);
                continue;
            };
            let Ok(local) = self.local.map_or_else(|| stream.local_addr(), Ok) else { continue };
            let from = Connection {
                peer: canonical(peer),
                local: canonical(local),
                secure: self.on.ssl,
                proxied: None,
            };
            let requests = Requests { app: app.clone(), from, limits, phase: Arc::new(Phase::default()) };
            let serving =
                Serving { requests, stop: stop.clone(), tasks: tasks.clone(), doze: Arc::clone(&doze) };
            // Boxed, because a task that has it in a `select!` has room for it twice.
            let work = Box::pin(serve(serving, Socket::new(stream), self.on, self.edge.clone(), place));
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
        if timeout(self.edge.limits().drain_timeout, tasks.wait()).await.is_err() {
            warn!(connections = tasks.len(), "drain deadline passed, dropping connections");
            abort.cancel();
            tasks.wait().await;
        }
    }

    /// A client that expects TLS would not understand an answer.
    fn refuse(&self, stream: Accepted) {
        if !self.on.ssl {
            refusal::send_at_once(stream, refusal::NO_PLACE);
        }
    }
}

/// Serves a connection, once it is known whose it is.
fn serve<A: App>(
    mut serving: Serving<A>,
    socket: Socket,
    on: ListenOn,
    edge: Edge,
    place: Place,
) -> impl Future<Output = ()> + Send {
    if !on.proxy_protocol {
        return begin(serving, socket, on, &edge, place).left_future();
    }
    let learned = async move {
        let Ok(mut stream) = socket.into_watched() else { return };
        if learn_client(&mut serving, &mut stream).await {
            begin(serving, Socket::watched(stream), on, &edge, place).await;
        }
    };
    learned.boxed().right_future()
}

/// Serves a connection, if its address may have another one. Idle ones are many: those in clear text shall need no room for
/// a handshake, nor any for what is rare.
fn begin<A: App>(
    serving: Serving<A>,
    socket: Socket,
    on: ListenOn,
    edge: &Edge,
    mut place: Place,
) -> impl Future<Output = ()> + Send + use<A> {
    let Requests { from, limits, .. } = &serving.requests;
    let has_place = place.claim(from.proxied.unwrap_or(from.peer).ip(), limits.connections_per_address);
    let served = match (on.ssl, edge.tls()) {
        _ if !has_place => {
            debug!(peer = %from.peer, "connection refused, the address has enough");
            let refused = async move {
                if !on.ssl
                    && let Ok(mut stream) = socket.into_watched()
                {
                    refusal::send(&mut stream, refusal::NO_PLACE_FOR_ADDRESS).await;
                }
            };
            refused.boxed().right_future()
        }
        (true, Some(tls)) => serving.secure(socket, Arc::clone(tls)).boxed().right_future(),
        (true, None) => ready(()).boxed().right_future(),
        (false, _) => serving.clear(socket).left_future(),
    };
    served.map(move |()| drop(place))
}

/// Reads what a proxy in front says; false if the connection has to end.
async fn learn_client(serving: &mut Serving<impl App>, stream: &mut TcpStream) -> bool {
    let proxy = serving.requests.from.peer;
    let header = timeout(serving.requests.limits.header_timeout, proxy_protocol::read(stream));
    let header = tokio::select! {
        header = header => header,
        () = serving.stop.cancelled() => return false,
    };
    match header {
        Ok(Ok(Proxied::Own)) => {}
        Ok(Ok(Proxied::Client(client))) => serving.requests.from.proxied = Some(canonical(client)),
        Ok(Err(error)) => {
            debug!(%proxy, %error, "connection closed");
            return false;
        }
        Err(_) => {
            debug!(%proxy, "connection closed, no header of the PROXY protocol came");
            return false;
        }
    }
    true
}

/// Binds an address; port 0 lets the system choose. An IPv6 address takes IPv6 clients only, as `listen` of nginx does.
/// What is set on the socket is inherited by the connections, so that accepting one takes no further calls.
fn listen(address: SocketAddr, limits: &HttpLimits) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    let listener = socket.listen(limits.backlog)?.into_std()?;
    set_send_timeout(&listener, limits.send_timeout)?;
    SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT)?;
    Ok(listener)
}

/// Ends connections whose reader has taken nothing for so long (`TCP_USER_TIMEOUT`). The kernel alone knows: a send buffer of
/// megabytes is writable again only when a third of it has gone, which a slow reader needs minutes for.
fn set_send_timeout(listener: impl AsFd, longest: Duration) -> io::Result<()> {
    let milliseconds = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(listener, milliseconds)?)
}

/// IPv4 addresses as such, also those that came to an IPv6 listener.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
