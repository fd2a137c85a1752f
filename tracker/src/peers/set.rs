//! The trackers of the cluster, as storages tell them when they join. Like the reference's, the set only grows.

use std::net::{IpAddr, SocketAddr};

use protocol::Status;
use protocol::cluster::TrackerAddress;

/// Limit of the protocol.
const MAX_TRACKERS: usize = 16;
/// Addresses of one tracker.
const MAX_IPS: usize = 2;

/// All trackers that storages have told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrackerSet {
    trackers: Vec<TrackerAddress>,
    /// Addresses that storages have called this tracker by.
    own: Vec<SocketAddr>,
    /// The address of this machine that the first of them reached.
    local: Option<IpAddr>,
}

impl TrackerSet {
    /// The set with another storage's list. `called`: the addresses by which it reaches this tracker, the likely one
    /// first; one of them has to be in the set then.
    pub(crate) fn with(&self, called: &[SocketAddr], list: &[TrackerAddress]) -> Result<Self, Status> {
        let mut set = self.clone();
        for tracker in list {
            set.add(tracker)?;
        }
        // The first is the socket's, and so the machine's; storages may know it by another one.
        set.local = set.local.or(called.first().map(SocketAddr::ip));
        let own = called.iter().find(|address| set.find(**address).is_some()).ok_or(Status::ENOENT)?;
        if !set.own.contains(own) {
            set.own.push(*own);
        }
        Ok(set)
    }

    fn add(&mut self, tracker: &TrackerAddress) -> Result<(), Status> {
        if tracker.port == 0 || tracker.ips.is_empty() || tracker.ips.iter().any(IpAddr::is_unspecified) {
            return Err(Status::EINVAL);
        }
        let same = |known: &&mut TrackerAddress| {
            known.port == tracker.port && known.ips.iter().any(|ip| tracker.ips.contains(ip))
        };
        let is_full = self.trackers.len() >= MAX_TRACKERS;
        match self.trackers.iter_mut().find(same) {
            Some(known) => {
                let more: Vec<_> = tracker.ips.iter().filter(|ip| !known.ips.contains(ip)).copied().collect();
                known.ips.extend(more.into_iter().take(MAX_IPS.saturating_sub(known.ips.len())));
            }
            None if is_full => return Err(Status::ENOSPC),
            None => self.trackers.push(tracker.clone()),
        }
        Ok(())
    }

    fn find(&self, address: SocketAddr) -> Option<&TrackerAddress> {
        self.trackers
            .iter()
            .find(|tracker| tracker.port == address.port() && tracker.ips.contains(&address.ip()))
    }

    fn is_own(&self, tracker: &TrackerAddress) -> bool {
        self.own.iter().any(|own| tracker.port == own.port() && tracker.ips.contains(&own.ip()))
    }

    /// The address that stands for the tracker at `address`: its first.
    pub(crate) fn identity(&self, address: SocketAddr) -> Option<SocketAddr> {
        let tracker = self.find(address)?;
        if self.is_own(tracker) { self.own() } else { first(tracker) }
    }

    /// What stands for this tracker; `None` before a storage has joined.
    pub(crate) fn own(&self) -> Option<SocketAddr> {
        self.own.first().and_then(|own| self.find(*own)).and_then(first)
    }

    /// An address of this machine that storages reach it by.
    pub(crate) fn own_local(&self) -> Option<IpAddr> {
        self.local
    }

    /// The other trackers.
    pub(crate) fn others(&self) -> Vec<SocketAddr> {
        self.trackers.iter().filter(|tracker| !self.is_own(tracker)).filter_map(first).collect()
    }

    /// Every address of the tracker that `identity` stands for.
    pub(crate) fn addresses(&self, identity: SocketAddr) -> Vec<SocketAddr> {
        let address = |tracker: &TrackerAddress| -> Vec<_> {
            tracker.ips.iter().map(|ip| SocketAddr::new(*ip, tracker.port)).collect()
        };
        self.find(identity).map_or_else(|| vec![identity], address)
    }
}

fn first(tracker: &TrackerAddress) -> Option<SocketAddr> {
    tracker.ips.first().map(|ip| SocketAddr::new(*ip, tracker.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn tracker(ips: &[&str]) -> TrackerAddress {
        TrackerAddress { ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(), port: 22_122 }
    }

    #[test]
    fn a_list_adds_trackers_and_addresses_and_takes_none_away() {
        let called = [socket("10.0.0.1:22122")];
        let list = [tracker(&["10.0.0.1"]), tracker(&["10.0.0.2"])];
        let set = TrackerSet::default().with(&called, &list).unwrap();
        assert_eq!(set.own(), Some(called[0]));
        assert_eq!(set.others(), [socket("10.0.0.2:22122")]);
        let set =
            set.with(&called, &[tracker(&["10.0.0.2", "192.168.0.2"]), tracker(&["10.0.0.1"])]).unwrap();
        assert_eq!(set.others(), [socket("10.0.0.2:22122")]);
        assert_eq!(set.identity(socket("192.168.0.2:22122")), Some(socket("10.0.0.2:22122")));
        assert_eq!(set.identity(socket("192.168.0.2:1")), None);
        let both = [socket("10.0.0.2:22122"), socket("192.168.0.2:22122")];
        assert_eq!(set.addresses(both[0]), both);
        assert_eq!(set.with(&called, &[tracker(&["10.0.0.1"])]).unwrap(), set, "it does not shrink");
    }

    #[test]
    fn this_tracker_is_known_by_each_name_that_storages_use() {
        let set = TrackerSet::default().with(&[socket("10.0.0.1:22122")], &[tracker(&["10.0.0.1"])]).unwrap();
        let set = set.with(&[socket("172.16.0.1:22122")], &[tracker(&["172.16.0.1"])]).unwrap();
        assert_eq!((set.own(), set.others()), (Some(socket("10.0.0.1:22122")), vec![]));
        assert_eq!(set.identity(socket("172.16.0.1:22122")), set.own());
    }

    #[test]
    fn lists_without_this_tracker_and_lists_without_end_are_refused() {
        let called = [socket("10.0.0.1:22122")];
        let alone = TrackerSet::default().with(&called, &[tracker(&["10.0.0.2"])]);
        assert_eq!(alone, Err(Status::ENOENT));
        assert_eq!(alone.is_err(), TrackerSet::default().with(&[], &[tracker(&["10.0.0.1"])]).is_err());
        let ips: Vec<_> = (1..=17).map(|last| format!("10.0.0.{last}")).collect();
        let list: Vec<_> = ips.iter().map(|ip| tracker(&[ip])).collect();
        assert!(TrackerSet::default().with(&called, &list[..16]).is_ok());
        assert_eq!(TrackerSet::default().with(&called, &list), Err(Status::ENOSPC));
        assert_eq!(
            TrackerSet::default().with(&called, &[tracker(&["10.0.0.1", "0.0.0.0"])]),
            Err(Status::EINVAL)
        );
    }
}
