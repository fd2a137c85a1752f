//! A network of this test's own: loopback addresses that no other test of this machine uses now.
//!
//! All are `127.X.Y.n` with one digit for X and Y, so that they are as long as the recorded `10.77.0.n` and can take
//! their place anywhere in a frame.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// The network, ours until dropped.
pub struct Network {
    octets: [u8; 2],
    _claim: TcpListener,
}

impl Network {
    /// Takes one that is free.
    pub fn claim() -> Self {
        let start = u8::try_from(std::process::id() % 81).unwrap();
        let claimed = (0..81).map(|step| (start + step) % 81).find_map(|number| {
            let octets = [1 + number / 9, 1 + number % 9];
            let claim = TcpListener::bind((Ipv4Addr::new(127, octets[0], octets[1], 250), 22_120)).ok()?;
            Some(Self { octets, _claim: claim })
        });
        claimed.expect("one of 81 networks is free")
    }

    /// An address.
    pub fn ip(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(127, self.octets[0], self.octets[1], last).into()
    }

    /// An address with the standard port of trackers.
    pub fn tracker(&self, last: u8) -> SocketAddr {
        SocketAddr::new(self.ip(last), 22_122)
    }
}
