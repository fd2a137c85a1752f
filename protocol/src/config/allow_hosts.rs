//! `allow_hosts`: which peers may connect, decided by address when a connection is accepted.

use std::net::{IpAddr, Ipv4Addr};

use super::diagnostic::Diagnostics;
use super::ini::Entry;
use super::local_facts::LocalFacts;

/// Hosts that one item with a range in brackets may stand for.
const MAX_RANGE: u32 = 65_536;

/// Peers that may connect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowHosts {
    /// Everybody: the key is absent, or one of its values is `*`.
    #[default]
    All,
    /// Only these; nobody if the list is empty.
    Only(Vec<AllowRule>),
}

/// One address or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowRule {
    /// One address.
    Address(IpAddr),
    /// The addresses `base | n` for every `n` below 2 to the number of host bits. Bits that `base` has among the host bits
    /// stay set, as in the reference: `10.0.0.1/24` means the odd addresses.
    Network {
        /// Address in front of the slash.
        base: Ipv4Addr,
        /// Number of leading bits, 0 to 32.
        bits: u8,
    },
}

impl AllowHosts {
    /// Whether a peer with this address may connect. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn permits(&self, peer: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Only(rules) => {
                let peer = peer.to_canonical();
                rules.iter().any(|rule| rule.matches(peer))
            }
        }
    }

    /// Reads the values of the key. Names are looked up now, not when a peer connects.
    pub(super) fn read<'a>(
        items: impl Iterator<Item = &'a Entry>,
        facts: &LocalFacts,
        found: &mut Diagnostics,
    ) -> Self {
        let items: Vec<&Entry> = items.collect();
        if items.is_empty() || items.iter().any(|item| item.value == "*") {
            return Self::All;
        }
        let mut rules = Vec::new();
        for item in &items {
            let text = item.value.as_str();
            if text.is_empty() {
                continue;
            }
            let outcome = if let Some((base, bits)) = text.split_once('/').filter(|_| !text.contains('[')) {
                network(base, bits).map(|(base, bits)| {
                    warn_of_host_bits(item, base, bits, found);
                    rules.push(AllowRule::Network { base, bits });
                })
            } else {
                hosts(text).map(|hosts| {
                    for host in hosts {
                        let addresses = facts.lookup(&host);
                        if addresses.is_empty() {
                            let message = format!("allow_hosts: {host} has no address; it permits nobody");
                            found.warn(&item.place, message);
                        }
                        rules.extend(addresses.into_iter().map(|ip| AllowRule::Address(ip.to_canonical())));
                    }
                })
            };
            if let Err(why) = outcome {
                found.error(&item.place, format!("allow_hosts = {text}: {why}"));
            }
        }
        if rules.is_empty() {
            let place = &items[0].place;
            found.warn(place, "allow_hosts: no item has an address; nobody may connect; write * to let all");
        }
        Self::Only(rules)
    }
}

impl AllowRule {
    fn matches(self, peer: IpAddr) -> bool {
        match (self, peer) {
            (Self::Address(ip), peer) => ip == peer,
            (Self::Network { base, bits }, IpAddr::V4(peer)) => {
                let (base, peer) = (base.to_bits(), peer.to_bits());
                peer & !host_mask(bits) == base & !host_mask(bits) && peer & base == base
            }
            (Self::Network { .. }, IpAddr::V6(_)) => false,
        }
    }
}

/// Bits of the host part.
fn host_mask(bits: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0)
}

fn network(base: &str, bits: &str) -> Result<(Ipv4Addr, u8), &'static str> {
    let base = base.trim().parse().map_err(|_| "not an IPv4 network; write for example 10.0.0.0/24")?;
    let bits = bits.trim().parse().ok().filter(|bits| *bits <= 32);
    let bits = bits.ok_or("the number behind the slash must be 0 to 32")?;
    Ok((base, bits))
}

fn warn_of_host_bits(item: &Entry, base: Ipv4Addr, bits: u8, found: &mut Diagnostics) {
    let first = Ipv4Addr::from_bits(base.to_bits() & !host_mask(bits));
    if first != base {
        let message = format!(
            "allow_hosts = {}: {base} is not the first address of its network; \
             read as the addresses that have all its bits; write {first}/{bits}",
            item.value
        );
        found.warn(&item.place, message);
    }
}

/// Host names or addresses that an item stands for: itself, or one for each number in its brackets.
fn hosts(text: &str) -> Result<Vec<String>, &'static str> {
    const FORM: &str = "ranges look like 10.0.1.[1-15,20] or host[01-08].site";
    let Some((head, rest)) = text.split_once('[') else { return Ok(vec![text.to_owned()]) };
    let (list, tail) = rest.split_once(']').ok_or(FORM)?;
    let mut hosts = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (first, last) = item.split_once('-').map_or((item, item), |(a, b)| (a.trim(), b.trim()));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Err(FORM);
        }
        let width = first.len();
        let number = |text: &str| text.parse::<u32>().map_err(|_| FORM);
        let (first, last) = (number(first)?, number(last)?);
        if width > 10 || last.saturating_sub(first) >= MAX_RANGE {
            return Err("a range stands for at most 65536 hosts");
        }
        hosts.extend((first..=last).map(|number| format!("{head}{number:0width$}{tail}")));
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::{Place, Severity};
    use std::path::Path;

    fn facts() -> LocalFacts {
        LocalFacts {
            resolve: |host| match host {
                "host07.site" => vec!["10.9.0.7".parse().unwrap()],
                _ => Vec::new(),
            },
            ..LocalFacts::none()
        }
    }

    fn read(values: &[&str]) -> (AllowHosts, Diagnostics) {
        let place = Place::whole(Path::new("t"));
        let entry = |value: &&str| Entry {
            name: "allow_hosts".to_owned(),
            value: (*value).to_owned(),
            place: place.clone(),
        };
        let entries: Vec<Entry> = values.iter().map(entry).collect();
        let mut found = Diagnostics::default();
        let allowed = AllowHosts::read(entries.iter(), &facts(), &mut found);
        (allowed, found)
    }

    fn check(values: &[&str], peer: &str, expected: bool) {
        assert_eq!(read(values).0.permits(peer.parse().unwrap()), expected, "{values:?} {peer}");
    }

    #[test]
    fn who_may_connect() {
        check(&[], "1.2.3.4", true);
        check(&["10.0.0.1", "*"], "1.2.3.4", true);
        check(&[""], "1.2.3.4", false);
        check(&["10.0.0.1"], "10.0.0.1", true);
        check(&["10.0.0.1"], "::ffff:10.0.0.1", true);
        check(&["10.0.0.1"], "10.0.0.2", false);
        check(&["fe80::1"], "fe80::1", true);
        check(&["10.0.1.[1-15,20]"], "10.0.1.15", true);
        check(&["10.0.1.[1-15,20]"], "10.0.1.20", true);
        check(&["10.0.1.[ 1 - 15 ]"], "10.0.1.7", true);
        check(&["10.0.1.[1-15,20]"], "10.0.1.16", false);
        check(&["10.0.1.[9-1]"], "10.0.1.5", false);
        check(&["host[01-08].site"], "10.9.0.7", true);
        check(&["host[1-8].site"], "10.9.0.7", false);
        check(&["192.168.16.0/20"], "192.168.31.255", true);
        check(&["192.168.16.0/20"], "192.168.32.0", false);
        check(&["10.0.0.1/24"], "10.0.0.3", true);
        check(&["10.0.0.1/24"], "10.0.0.2", false);
        check(&["10.0.0.0/8"], "10.255.0.1", true);
        check(&["0.0.0.0/0"], "1.2.3.4", true);
        check(&["1.2.3.4/32"], "1.2.3.4", true);
        check(&["10.0.0.0/8"], "fe80::1", false);
    }

    #[test]
    fn malformed_items_refuse_the_file() {
        for item in
            ["10.0.0.0/33", "10.0.0/24", "a[1-2", "a[]", "a[1-x]", "a[0-99999999]", "10.0.0.0/8 # all"]
        {
            let (_, found) = read(&[item]);
            assert!(found.as_slice().iter().any(|found| found.severity == Severity::Error), "{item}");
        }
        for item in ["nowhere.site", "10.0.0.1/24", ""] {
            let (_, found) = read(&[item]);
            assert!(!found.as_slice().is_empty(), "{item}");
            assert!(found.as_slice().iter().all(|found| found.severity == Severity::Warning), "{item}");
        }
    }
}
