//! Loopback addresses, one a server, so that all can have the standard ports.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

/// An address that nothing else of this machine uses: the second and third byte come from the number of this process, so
/// that two test runs do not meet, and each call gives another fourth byte.
pub(crate) fn fresh() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let host = u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).ok().filter(|host| *host < 255);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 192 + high % 63, low, host.expect("fewer than 255 servers a run")))
}
