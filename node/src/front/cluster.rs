//! What a gateway knows of the cluster that it stands in front of: the members of every group, and which of them has the
//! disk that is read here.
//!
//! What was heard stays until something else is heard: trackers that are down, or begin anew with an empty list, take
//! nothing away.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use protocol::cluster::StorageStatus;
use protocol::tracker::StorageRecord;
use protocol::{FileId, GroupName, StorageId};

use crate::peers::{Peer, Peers, is_tombstone};
use crate::remote::Standpoint;

/// Under which name members hear hello. They only learn by it that they are to answer from their own disks.
const NAME: &str = "fdfs-gateway";

/// The cluster as far as it is known. Clones share it.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Shared>);

struct Shared {
    /// Groups that are served from this machine's disks, each with the native port of the storage that has them.
    served: BTreeMap<GroupName, u16>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    groups: BTreeMap<GroupName, Peers>,
    /// The members whose disks are read here.
    own: BTreeMap<GroupName, Peer>,
}

impl Cluster {
    pub(super) fn new(served: impl IntoIterator<Item = (GroupName, u16)>) -> Self {
        let served = served.into_iter().collect();
        Self(Arc::new(Shared { served, known: RwLock::default() }))
    }

    fn read<T>(&self, part: impl FnOnce(&Known) -> T) -> T {
        part(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a tracker has told of every group that is served here.
    pub(super) fn is_known(&self) -> bool {
        self.read(|known| self.0.served.keys().all(|group| known.groups.contains_key(group)))
    }

    /// Takes a tracker's list of a group; `local` are this machine's addresses.
    pub(super) fn hear(&self, group: GroupName, members: &[StorageRecord], local: &[IpAddr]) {
        let members: Vec<Peer> = members.iter().filter_map(peer).collect();
        if members.is_empty() {
            return;
        }
        let own = self.own_member(group, &members, local);
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        known.groups.entry(group).or_insert_with(Peers::new).replace(own.map(|peer| peer.id), members);
        let before = match own {
            Some(own) => known.own.insert(group, own),
            None => known.own.remove(&group),
        };
        if before.map(|peer| peer.id) != own.map(|peer| peer.id) {
            match own {
                Some(own) => tracing::info!(%group, member = %own.id, "the storage of this machine is known"),
                None => tracing::info!(%group, "the storage of this machine is not listed any more"),
            }
        }
    }

    /// The member on this machine. If several could be it, none is taken for it: then all are asked, which is only slower.
    fn own_member(&self, group: GroupName, members: &[Peer], local: &[IpAddr]) -> Option<Peer> {
        let port = *self.0.served.get(&group)?;
        let mut here = members.iter().filter(|peer| peer.port == port && local.contains(&peer.ip));
        here.next().copied().filter(|_| here.next().is_none())
    }
}

/// A member that is not gone for good and has an address.
fn peer(record: &StorageRecord) -> Option<Peer> {
    let port = u16::try_from(record.port).ok().filter(|port| *port > 0)?;
    let peer = Peer { id: record.id, status: record.status, ip: record.ip?, port };
    (!is_tombstone(peer.status)).then_some(peer)
}

impl Standpoint for Cluster {
    fn peers(&self, group: GroupName) -> Option<Peers> {
        self.read(|known| known.groups.get(&group).cloned())
    }

    fn member_at(&self, at: SocketAddr) -> Option<Peer> {
        self.read(|known| known.groups.values().find_map(|peers| peers.at(at)))
    }

    fn id(&self) -> Option<StorageId> {
        StorageId::parse(NAME).ok()
    }

    fn addresses(&self, group: GroupName) -> Vec<IpAddr> {
        self.read(|known| known.own.get(&group).map(|peer| peer.ip).into_iter().collect())
    }

    fn own_member(&self, group: GroupName) -> Option<Peer> {
        self.read(|known| known.own.get(&group).copied())
    }

    fn is_own(&self, at: SocketAddr) -> bool {
        self.read(|known| known.own.values().any(|peer| peer.ip == at.ip() && peer.port == at.port()))
    }

    /// Whoever deletes here does not tell.
    fn deleted_at(&self, _id: &FileId) -> Option<i64> {
        None
    }

    fn is_settled(&self, group: GroupName) -> bool {
        self.read(|known| known.own.get(&group).is_some_and(|peer| peer.status == StorageStatus::ACTIVE))
    }

    /// Nobody is told how much.
    fn downloaded(&self, _bytes: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::cluster::StorageStats;

    fn record(id: &str, status: StorageStatus) -> StorageRecord {
        StorageRecord {
            status,
            rw_mode: 6,
            id: StorageId::parse(id).unwrap(),
            ip: id.parse().ok(),
            source: None,
            version: String::new(),
            join_time: 0,
            up_time: 0,
            total_mb: 0,
            free_mb: 0,
            reserved_mb: 0,
            upload_priority: 0,
            store_path_count: 1,
            subdir_count: 256,
            current_write_path: 0,
            port: 23000,
            stats: StorageStats::default(),
            is_trunk_server: 0,
        }
    }

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    fn ips(cluster: &Cluster) -> Vec<String> {
        let peers = cluster.peers(group("group1")).unwrap();
        peers.list().iter().map(|peer| peer.ip.to_string()).collect()
    }

    #[test]
    fn what_was_heard_stays_until_something_else_is_heard() {
        use StorageStatus as S;
        let cluster = Cluster::new([(group("group1"), 23000)]);
        assert!(!cluster.is_known() && cluster.peers(group("group1")).is_none());
        let two = [record("10.0.0.1", S::ACTIVE), record("10.0.0.2", S::OFFLINE)];
        cluster.hear(group("group1"), &two, &[]);
        assert!(cluster.is_known());
        assert_eq!(ips(&cluster), ["10.0.0.1", "10.0.0.2"]);
        cluster.hear(group("group1"), &[], &[]);
        assert_eq!(ips(&cluster).len(), 2, "a tracker that begins anew knows nobody");
        let moved = [record("10.0.0.2", S::DELETED), record("10.0.0.3", S::ACTIVE)];
        cluster.hear(group("group1"), &moved, &[]);
        assert_eq!(ips(&cluster), ["10.0.0.3"]);
    }

    #[test]
    fn the_member_on_this_machine_is_not_asked_and_settles_what_is_gone() {
        use StorageStatus as S;
        let cluster = Cluster::new([(group("group1"), 23000)]);
        let local: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "10.9.9.9".parse().unwrap()];
        let own = "10.0.0.1:23000".parse().unwrap();
        let list = |status| [record("10.0.0.1", status), record("10.0.0.2", S::ACTIVE)];
        cluster.hear(group("group1"), &list(S::ACTIVE), &local);
        assert_eq!(ips(&cluster), ["10.0.0.2"]);
        assert!(cluster.is_own(own) && cluster.is_settled(group("group1")));
        assert_eq!(cluster.addresses(group("group1")), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        cluster.hear(group("group1"), &list(S::SYNCING), &local);
        assert!(cluster.is_own(own) && !cluster.is_settled(group("group1")), "its files are on their way");
        let both: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        cluster.hear(group("group1"), &list(S::ACTIVE), &both);
        assert!(!cluster.is_own(own) && ips(&cluster).len() == 2, "either of the two could be it");
        cluster.hear(group("group2"), &list(S::ACTIVE), &local);
        assert!(!cluster.is_own(own), "of a group that is not served here, none is");
    }
}
