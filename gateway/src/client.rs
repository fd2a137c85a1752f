//! Who a request comes from. Behind a proxy the peer is the proxy; what it says about the client is believed only if the
//! site trusts it, and only the part of the header that it wrote itself.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use protocol::config::web_conf::{RealIpConf, RealIpHeader};

use crate::server::Connection;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client of a request, in the extensions of requests that have a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address, as far as is known. What a proxy tells has the port 0.
    pub address: SocketAddr,
    /// Whether a trusted proxy brought the request. Nothing that it says proves that the client is on this machine.
    pub behind_proxy: bool,
    /// Whether it came by TLS, to this node or, as a trusted proxy says by `X-Forwarded-Proto`, to that.
    pub is_secure: bool,
}

impl Client {
    /// The client of a request on a connection. Where a proxy speaks by the PROXY protocol, headers are not asked.
    pub fn on(conf: &RealIpConf, connection: &Connection, headers: &HeaderMap) -> Self {
        let Some(told) = connection.proxied else {
            let client = Self::of(conf, connection.peer, headers);
            return Self { is_secure: client.is_secure || connection.secure, ..client };
        };
        let trusted = is_trusted(&conf.from, connection.peer.ip().to_canonical());
        // Who is not trusted may be a proxy all the same, so nobody counts as being on this machine.
        let address = if trusted { told } else { connection.peer };
        Self { address, behind_proxy: true, is_secure: connection.secure }
    }

    /// The client of a request on a connection from `peer`.
    pub fn of(conf: &RealIpConf, peer: SocketAddr, headers: &HeaderMap) -> Self {
        let ip = peer.ip().to_canonical();
        if !is_trusted(&conf.from, ip) {
            return Self { address: SocketAddr::new(ip, peer.port()), behind_proxy: false, is_secure: false };
        }
        let name = match conf.header {
            RealIpHeader::XForwardedFor => X_FORWARDED_FOR,
            RealIpHeader::XRealIp => X_REAL_IP,
            RealIpHeader::Forwarded => FORWARDED,
        };
        let address = match told(conf, headers.get_all(name).iter().rev()) {
            Some(address) => SocketAddr::new(address, 0),
            None => SocketAddr::new(ip, peer.port()),
        };
        let is_secure = headers.get(X_FORWARDED_PROTO).is_some_and(|proto| proto == "https");
        Self { address, behind_proxy: true, is_secure }
    }
}

fn is_trusted(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// Goes from the nearest proxy to the client: each may only be believed about the one before it. A text that is no
/// address ends the way, as in nginx.
fn told<'a>(conf: &RealIpConf, values: impl Iterator<Item = &'a HeaderValue>) -> Option<IpAddr> {
    let mut address = None;
    let nodes = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for node in nodes {
        let node = std::str::from_utf8(node).ok().and_then(|text| match conf.header {
            RealIpHeader::Forwarded => forwarded_for(text),
            RealIpHeader::XForwardedFor | RealIpHeader::XRealIp => node_address(text),
        });
        let Some(node) = node else { break };
        address = Some(node);
        if !conf.recursive || !is_trusted(&conf.from, node) {
            break;
        }
    }
    address
}

/// The `for` of one element of `Forwarded` (RFC 7239, 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    node_address(inside.unwrap_or(value))
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn node_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            is_port.then(|| address.parse().ok().map(IpAddr::V6)).flatten()?
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') && is_port(port) => {
                IpAddr::V4(address.parse().ok()?)
            }
            _ => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(text: &str, port: u16) -> SocketAddr {
        SocketAddr::new(ip(text), port)
    }

    fn conf(header: RealIpHeader, recursive: bool) -> RealIpConf {
        let from = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().unwrap());
        RealIpConf { from: from.to_vec(), header, recursive }
    }

    fn client(conf: &RealIpConf, peer: &str, headers: &[(&'static str, &str)]) -> Client {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value): (HeaderName, HeaderValue)| {
            map.append(name, value);
        });
        Client::of(conf, SocketAddr::new(ip(peer), 4000), &map)
    }

    #[test]
    fn the_proxy_protocol_is_believed_of_trusted_peers_and_never_makes_a_client_local() {
        let conf = conf(RealIpHeader::XForwardedFor, false);
        let headers = HeaderMap::from_iter([(super::X_FORWARDED_FOR, "192.0.2.9".parse().unwrap())]);
        for (peer, told, expected) in [
            ("10.0.0.1:80", "192.0.2.7:4000", "192.0.2.7:4000"),
            ("10.0.0.1:80", "127.0.0.1:4000", "127.0.0.1:4000"),
            ("192.0.2.1:80", "127.0.0.1:4000", "192.0.2.1:80"),
            ("127.0.0.2:80", "192.0.2.7:4000", "127.0.0.2:80"),
        ] {
            let connection = Connection {
                peer: peer.parse().unwrap(),
                local: "10.0.0.2:80".parse().unwrap(),
                secure: false,
                proxied: Some(told.parse().unwrap()),
            };
            let client = Client::on(&conf, &connection, &headers);
            assert_eq!(
                client,
                Client { address: expected.parse().unwrap(), behind_proxy: true, is_secure: false },
                "{peer}"
            );
        }
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let conf = conf(RealIpHeader::XForwardedFor, true);
        let forged = [("x-forwarded-for", "127.0.0.1")];
        for peer in ["192.0.2.1", "127.0.0.2", "::1", "2001:db9::1"] {
            assert_eq!(
                client(&conf, peer, &forged),
                Client { address: at(peer, 4000), behind_proxy: false, is_secure: false }
            );
        }
        let through = client(&conf, "::ffff:10.1.1.1", &[("x-forwarded-for", "192.0.2.7")]);
        assert_eq!(through, Client { address: at("192.0.2.7", 0), behind_proxy: true, is_secure: false });
        let silent = client(&conf, "127.0.0.1", &[]);
        assert_eq!(silent, Client { address: at("127.0.0.1", 4000), behind_proxy: true, is_secure: false });
        assert_eq!(client(&RealIpConf::default(), "127.0.0.1", &forged).address.ip(), ip("127.0.0.1"));
    }

    #[test]
    fn the_client_is_the_last_that_a_proxy_saw() {
        for (recursive, values, expected) in [
            (false, &["192.0.2.1, 192.0.2.2"][..], "192.0.2.2"),
            (false, &["192.0.2.1, 10.0.0.9"], "10.0.0.9"),
            (true, &["192.0.2.1, 192.0.2.2, 10.0.0.9"], "192.0.2.2"),
            (true, &["192.0.2.1", "192.0.2.2", "10.0.0.9"], "192.0.2.2"),
            (true, &["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
            (true, &["192.0.2.1, unknown, 10.0.0.9"], "10.0.0.9"),
            (true, &["192.0.2.1, "], "127.0.0.1"),
            (true, &["192.0.2.1:5000"], "192.0.2.1"),
            (true, &["[2001:db9::1]:5000"], "2001:db9::1"),
            (true, &["2001:db9::1"], "2001:db9::1"),
            (true, &["::ffff:192.0.2.1"], "192.0.2.1"),
            (true, &["192.0.2.1:"], "127.0.0.1"),
            (true, &["192.0.2"], "127.0.0.1"),
            (true, &["[192.0.2.1]"], "127.0.0.1"),
        ] {
            let conf = conf(RealIpHeader::XForwardedFor, recursive);
            let headers: Vec<_> = values.iter().map(|value| ("x-forwarded-for", *value)).collect();
            assert_eq!(client(&conf, "127.0.0.1", &headers).address.ip(), ip(expected), "{values:?}");
        }
    }

    #[test]
    fn other_headers() {
        let real_ip = conf(RealIpHeader::XRealIp, false);
        let both = [("x-real-ip", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")];
        assert_eq!(client(&real_ip, "127.0.0.1", &both).address.ip(), ip("192.0.2.1"));
        let forwarded = conf(RealIpHeader::Forwarded, true);
        for (value, expected) in [
            ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
            ("proto=https;FOR=\"[2001:db9::1]:4711\"", "2001:db9::1"),
            ("for=192.0.2.1, for=10.0.0.9", "192.0.2.1"),
            ("for=\"192.0.2.9, for=192.0.2.1", "192.0.2.1"),
            ("for=unknown", "127.0.0.1"),
            ("for=_hidden, for=10.0.0.9", "10.0.0.9"),
            ("by=192.0.2.1", "127.0.0.1"),
        ] {
            assert_eq!(
                client(&forwarded, "127.0.0.1", &[("forwarded", value)]).address.ip(),
                ip(expected),
                "{value}"
            );
        }
    }

    proptest! {
        /// Whatever a client writes in front of what the proxy appends has no effect.
        #[test]
        fn what_a_client_forges_comes_first(forged in "[ -~]{0,80}", recursive: bool) {
            let value = format!("{forged}, 192.0.2.1");
            for (header, name, value) in [
                (RealIpHeader::XForwardedFor, "x-forwarded-for", value.clone()),
                (RealIpHeader::Forwarded, "forwarded", format!("{forged}, for=192.0.2.1")),
            ] {
                let conf = conf(header, recursive);
                prop_assert_eq!(client(&conf, "10.0.0.1", &[(name, &value)]).address.ip(), ip("192.0.2.1"));
            }
        }
    }
}
