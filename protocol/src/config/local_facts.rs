//! What a configuration may depend on besides its text: this machine's addresses and name, and name resolution.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// Looks up the addresses of a host name; empty when there are none.
pub type Resolver = fn(&str) -> Vec<IpAddr>;

/// Facts of the machine that the configuration is read on.
#[derive(Debug, Clone)]
pub struct LocalFacts {
    /// Addresses of this machine other than loopback.
    pub addresses: Vec<IpAddr>,
    /// Host name.
    pub hostname: String,
    /// Name resolution, used for host names in `allow_hosts` and `storage_ids.conf`. May block.
    pub resolve: Resolver,
}

impl LocalFacts {
    /// A machine without network, name and name service: for tests and for text from a peer.
    pub fn none() -> Self {
        Self { addresses: Vec::new(), hostname: String::new(), resolve: |_| Vec::new() }
    }

    /// Facts of this machine. Addresses come from `/proc/net`; what cannot be read stays empty.
    pub fn detect() -> Self {
        let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        let mut addresses: Vec<IpAddr> = local_v4(&v4).into_iter().map(IpAddr::V4).collect();
        addresses.extend(local_v6(&v6).into_iter().map(IpAddr::V6));
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { addresses, hostname: hostname.trim().to_owned(), resolve: resolve_by_system }
    }

    /// Addresses of one host name or numeric address.
    pub fn lookup(&self, host: &str) -> Vec<IpAddr> {
        match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => (self.resolve)(host),
        }
    }
}

fn resolve_by_system(host: &str) -> Vec<IpAddr> {
    match (host, 0).to_socket_addrs() {
        Ok(found) => {
            let mut addresses = Vec::new();
            for address in found.map(|socket| socket.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses
        }
        Err(error) => {
            tracing::debug!(host, %error, "name not resolved");
            Vec::new()
        }
    }
}

/// Addresses of `/proc/net/fib_trie`: each stands on a `|-- address` line whose next line says `/32 host LOCAL`.
fn local_v4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.filter(|ip| !ip.is_loopback()));
        }
    }
    found.into_iter().collect()
}

/// Addresses of `/proc/net/if_inet6`: 32 hexadecimal digits open each line.
fn local_v6(if_inet6: &str) -> Vec<Ipv6Addr> {
    let parse = |line: &str| -> Option<Ipv6Addr> {
        let digits = line.split_whitespace().next().filter(|word| word.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    };
    if_inet6.lines().filter_map(parse).filter(|ip| !ip.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_proc() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    \x20    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.1.2.3\n        /32 host LOCAL\n\
                    \x20    |-- 10.1.2.255\n        /32 link BROADCAST\nLocal:\n     |-- 10.1.2.3\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), [Ipv4Addr::new(10, 1, 2, 3)]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000000000000000000000000000007 02 40 00 00     eth0\nshort\n";
        assert_eq!(local_v6(inet6), ["fd00::7".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn numeric_hosts_need_no_name_service() {
        assert_eq!(LocalFacts::none().lookup("::1"), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        assert!(LocalFacts::none().lookup("host").is_empty());
    }
}
