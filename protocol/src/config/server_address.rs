//! A server with one address, or with two of different networks: `host[:port]`, `ip1,ip2:port`, `[v6,v6]:port`.

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

use crate::address::{AddressKind, HostPort};

/// A tracker or storage as configurations name it. Ordered by the text of its addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// First address; of two, the one inside private networks.
    pub primary: HostPort,
    /// Second address, of another network than the first, with the same port.
    pub alternate: Option<HostPort>,
}

/// The text does not name a server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadServerAddress {
    /// Not of the form.
    #[error("not HOST[:PORT], IP1,IP2[:PORT] or [IPV6][:PORT]")]
    Form,
    /// More than two addresses.
    #[error("a server has at most two addresses")]
    TooMany,
    /// Two addresses of one kind of network.
    #[error(
        "the two addresses of a server must be of different networks: 10/8, 172.16/12, 192.168/16, others"
    )]
    SameNetwork,
}

impl ServerAddress {
    /// Parses a server's address or addresses.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, BadServerAddress> {
        let (hosts, port) = split_port(text.trim())?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(BadServerAddress::Form)?,
            None => default_port,
        };
        let mut hosts = hosts.split(',').map(|host| parse_host(host.trim(), port));
        let primary = hosts.next().ok_or(BadServerAddress::Form)??;
        let alternate = hosts.next().transpose()?;
        if hosts.next().is_some() {
            return Err(BadServerAddress::TooMany);
        }
        let Some(alternate) = alternate else { return Ok(Self { primary, alternate: None }) };
        match (primary.ip().map(AddressKind::of), alternate.ip().map(AddressKind::of)) {
            (Some(first), Some(second)) if first == second => Err(BadServerAddress::SameNetwork),
            (Some(AddressKind::Outer), _) => Ok(Self { primary: alternate, alternate: Some(primary) }),
            _ => Ok(Self { primary, alternate: Some(alternate) }),
        }
    }

    /// The addresses in the order in which they are tried.
    pub fn addresses(&self) -> impl Iterator<Item = &HostPort> {
        std::iter::once(&self.primary).chain(&self.alternate)
    }

    /// Port, the same for both addresses.
    pub fn port(&self) -> u16 {
        self.primary.port
    }
}

/// Splits `hosts` from `port`; brackets are removed.
fn split_port(text: &str) -> Result<(&str, Option<&str>), BadServerAddress> {
    if let Some(rest) = text.strip_prefix('[') {
        let (hosts, tail) = rest.split_once(']').ok_or(BadServerAddress::Form)?;
        return match tail {
            "" => Ok((hosts, None)),
            _ => tail.strip_prefix(':').map(|port| (hosts, Some(port))).ok_or(BadServerAddress::Form),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    Ok(text.split_once(':').map_or((text, None), |(hosts, port)| (hosts, Some(port))))
}

fn parse_host(host: &str, port: u16) -> Result<HostPort, BadServerAddress> {
    let v6 = host.parse::<Ipv6Addr>().is_ok();
    if host.contains(':') && !v6 {
        return Err(BadServerAddress::Form);
    }
    let text = if v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    HostPort::parse(&text, port).map_err(|_| BadServerAddress::Form)
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(alternate) = &self.alternate else { return self.primary.fmt(f) };
        let (first, second, port) = (&self.primary.host, &alternate.host, self.port());
        if first.contains(':') || second.contains(':') {
            write!(f, "[{first},{second}]:{port}")
        } else {
            write!(f, "{first},{second}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_addresses() {
        for (text, expected) in [
            ("10.0.0.1", Ok("10.0.0.1:22122")),
            ("tracker:7", Ok("tracker:7")),
            ("10.0.0.1,192.168.0.1:7", Ok("10.0.0.1,192.168.0.1:7")),
            ("1.2.3.4, 10.0.0.1", Ok("10.0.0.1,1.2.3.4:22122")),
            ("[::1]:7", Ok("[::1]:7")),
            ("fe80::1", Ok("[fe80::1]:22122")),
            ("[10.0.0.1,fe80::1]:7", Ok("[10.0.0.1,fe80::1]:7")),
            ("[fe80::1,fe80::2]", Err(BadServerAddress::SameNetwork)),
            ("10.0.0.1,10.0.0.2", Err(BadServerAddress::SameNetwork)),
            ("10.0.0.1,192.168.0.1,1.2.3.4", Err(BadServerAddress::TooMany)),
            ("10.0.0.1:22122 # main", Err(BadServerAddress::Form)),
            ("", Err(BadServerAddress::Form)),
            (":7", Err(BadServerAddress::Form)),
            ("a:0", Err(BadServerAddress::Form)),
            ("a,", Err(BadServerAddress::Form)),
            ("[a:b]:7", Err(BadServerAddress::Form)),
            ("[::1", Err(BadServerAddress::Form)),
        ] {
            let got = ServerAddress::parse(text, 22122).map(|server| server.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{text}");
        }
    }
}
