//! Addresses as the protocol writes them: slots of two widths in answers, and `host:port` text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use thiserror::Error;

use crate::wire::{DecodeError, Reader, put_padded};

/// Width of address fields in a tracker's answers (`response_ip_addr_size`), one choice for a whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressWidth {
    /// 16-byte fields, 15-byte slots: what nearly all clients read.
    #[default]
    V4,
    /// 46-byte fields, 45-byte slots.
    V6,
}

impl AddressWidth {
    /// Bytes of a field that always holds a NUL (storage records, file info).
    pub const fn field(self) -> usize {
        match self {
            Self::V4 => 16,
            Self::V6 => 46,
        }
    }

    /// Bytes of a slot in a scheduling answer, where a full slot has no NUL.
    pub const fn slot(self) -> usize {
        self.field() - 1
    }
}

/// Appends an address as NUL-padded text.
pub fn put_address(out: &mut BytesMut, ip: Option<IpAddr>, width: usize) {
    match ip {
        Some(ip) => put_padded(out, ip.to_string().as_bytes(), width),
        None => put_padded(out, b"", width),
    }
}

/// Reads an address from NUL-padded text; an empty field is `None`.
pub fn decode_address(reader: &mut Reader<'_>, width: usize) -> Result<Option<IpAddr>, DecodeError> {
    match reader.padded_str(width, "address")? {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| DecodeError::BadText { field: "address" }),
    }
}

/// What kind of network an address belongs to; a storage or tracker may have two addresses of different kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressKind {
    /// 10.0.0.0/8
    Ten,
    /// 172.16.0.0/12
    OneSevenTwo,
    /// 192.168.0.0/16
    OneNineTwo,
    /// Everything else.
    Outer,
}

impl AddressKind {
    /// Kind of `ip`. The reference tests the text and cannot place addresses shorter than 8 characters; here
    /// those are `Outer`.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => match v4.octets() {
                [10, ..] => Self::Ten,
                [172, 16..=31, ..] => Self::OneSevenTwo,
                [192, 168, ..] => Self::OneNineTwo,
                _ => Self::Outer,
            },
            IpAddr::V6(_) => Self::Outer,
        }
    }
}

/// A host (name or address text) and a port. Text form `host:port`, with brackets around IPv6.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Name or numeric address, without brackets, never empty.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

/// The text is not `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not HOST[:PORT] or [IPV6][:PORT]")]
pub struct BadHostPort(pub String);

impl HostPort {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; a bare IPv6 address is accepted too.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, BadHostPort> {
        let bad = || BadHostPort(text.to_owned());
        let text_trimmed = text.trim();
        let (host, port) = if let Some(rest) = text_trimmed.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            (host, if tail.is_empty() { None } else { Some(tail.strip_prefix(':').ok_or_else(bad)?) })
        } else if text_trimmed.parse::<std::net::Ipv6Addr>().is_ok() {
            (text_trimmed, None)
        } else {
            match text_trimmed.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text_trimmed, None),
            }
        };
        let host_ok = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:%".contains(&b));
        let port = match port {
            Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or_else(bad)?,
            None => default_port,
        };
        if host_ok { Ok(Self { host: host.to_owned(), port }) } else { Err(bad()) }
    }

    /// The numeric address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_forms() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1:22122")),
            ("10.0.0.1:7", Some("10.0.0.1:7")),
            ("tracker.example:22122", Some("tracker.example:22122")),
            ("[::1]:7", Some("[::1]:7")),
            ("[::1]", Some("[::1]:22122")),
            ("fe80::1", Some("[fe80::1]:22122")),
            ("host:", None),
            ("host:0", None),
            ("host:65536", None),
            (":7", None),
            ("", None),
            ("[::1", None),
            ("a b:7", None),
        ] {
            let got = HostPort::parse(text, 22122).ok().map(|address| address.to_string());
            assert_eq!(got.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn kinds_of_networks() {
        for (ip, kind) in [
            ("10.1.2.3", AddressKind::Ten),
            ("172.16.0.1", AddressKind::OneSevenTwo),
            ("172.32.0.1", AddressKind::Outer),
            ("192.168.1.1", AddressKind::OneNineTwo),
            ("1.2.3.4", AddressKind::Outer),
            ("::1", AddressKind::Outer),
        ] {
            assert_eq!(AddressKind::of(ip.parse().unwrap()), kind, "{ip}");
        }
    }
}
