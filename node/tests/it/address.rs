//! Loopback addresses, one a server, so that all can have the standard ports.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

/// An address that nothing else of this machine uses: the second and third byte come from the number of this process, so
/// that two test runs do not meet, and each call gives another fourth byte, or the next second one when those are used up.
pub(crate) fn fresh() -> IpAddr {
    const HOSTS: u32 = 254;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let part =
        u8::try_from(number / HOSTS).ok().filter(|part| *part < 4).expect("at most 1016 servers a run");
    let host = u8::try_from(number % HOSTS + 1).expect("at most 254");
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 192 + high % 15 * 4 + part, low, host))
}
