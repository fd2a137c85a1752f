//! Loopback addresses, one a process, so that all can have the standard ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const TRACKER_PORT: u16 = 22122;
pub(crate) const TRACKER_HTTP_PORT: u16 = 8080;
pub(crate) const STORAGE_PORT: u16 = 23000;
pub(crate) const STORAGE_HTTP_PORT: u16 = 8888;

/// An address that nothing else of this machine uses: the second and third byte come from the number of this process, so
/// that two test runs do not meet, and each call gives another fourth byte.
pub(crate) fn fresh() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let host = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).ok().filter(|host| *host < 255);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 + high % 128, low, host.expect("fewer than 255 processes a run")))
}

/// Where a tracker at `ip` answers native clients.
pub(crate) fn tracker(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, TRACKER_PORT)
}

/// Where a storage at `ip` answers native clients.
pub(crate) fn storage(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, STORAGE_PORT)
}
