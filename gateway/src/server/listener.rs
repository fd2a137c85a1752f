//! Listening sockets. What is set on them is inherited by the connections, so that accepting one takes no further calls.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket};

use super::HttpLimits;

/// Binds an address; port 0 lets the system choose. An IPv6 address takes IPv6 clients only, as `listen` of nginx does.
pub(super) fn bind(address: SocketAddr, limits: &HttpLimits) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    let listener = socket.listen(limits.backlog)?;
    set_send_timeout(&listener, limits.send_timeout)?;
    Ok(listener)
}

/// Ends connections whose reader has taken nothing for so long (`TCP_USER_TIMEOUT`). The kernel alone knows: a send buffer of
/// megabytes is writable again only when a third of it has gone, which a slow reader needs minutes for.
pub(super) fn set_send_timeout(listener: &TcpListener, timeout: Duration) -> io::Result<()> {
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(listener, milliseconds)?)
}
