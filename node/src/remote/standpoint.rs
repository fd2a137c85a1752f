//! From where the cluster is looked at: by a member of a group, or by a gateway in front of one.

use std::net::{IpAddr, SocketAddr};

use protocol::cluster::StorageStatus;
use protocol::{FileId, GroupName, StorageId};

use crate::peers::{Peer, Peers};
use crate::store::Store;
use crate::view::{Standing, View};

/// What the asking depends on besides the file.
pub(crate) trait Standpoint: Send + Sync + 'static {
    /// The members of a group that may be asked, as the trackers listed them. `None` if they have to be asked first.
    fn peers(&self, group: GroupName) -> Option<Peers>;

    /// The member at this address.
    fn member_at(&self, at: SocketAddr) -> Option<Peer>;

    /// Who says hello to members; `None` as long as that is not known.
    fn id(&self) -> Option<StorageId>;

    /// Addresses of the member of a group whose disk is read here.
    fn addresses(&self, group: GroupName) -> Vec<IpAddr>;

    /// That member, if it is known.
    fn own_member(&self, group: GroupName) -> Option<Peer>;

    /// Whether that member is the one at this address: it has nothing that is not here.
    fn is_own(&self, at: SocketAddr) -> bool;

    /// When a file was deleted here, unix seconds, if that is remembered.
    fn deleted_at(&self, id: &FileId) -> Option<i64>;

    /// Whether what this disk lacks of the files that were made here is gone, not on its way back.
    fn is_settled(&self, group: GroupName) -> bool;

    /// Counts bytes that are passed on.
    fn downloaded(&self, bytes: u64);
}

/// A node among the members of its group.
pub(crate) struct Member {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) peers: Peers,
    /// Own native port.
    pub(crate) port: u16,
}

impl Member {
    fn own_addresses(&self) -> Vec<IpAddr> {
        self.store.identity().map(|identity| identity.addresses).unwrap_or_default()
    }
}

impl Standpoint for Member {
    fn peers(&self, group: GroupName) -> Option<Peers> {
        (group == self.store.group()).then(|| self.peers.clone())
    }

    fn member_at(&self, at: SocketAddr) -> Option<Peer> {
        self.peers.at(at)
    }

    /// Before a tracker said who this is, the address that it had when it ran last.
    fn id(&self) -> Option<StorageId> {
        let before = || {
            let flag = self.store.init_flag();
            flag.last_ip_addr.split(',').next().and_then(|ip| StorageId::parse(ip.trim()).ok())
        };
        self.peers.own().or_else(before)
    }

    fn addresses(&self, _group: GroupName) -> Vec<IpAddr> {
        self.own_addresses()
    }

    fn own_member(&self, group: GroupName) -> Option<Peer> {
        let ip = *self.own_addresses().first()?;
        let is_active = self.view.standing() == Standing::Active;
        let status = if is_active { StorageStatus::ACTIVE } else { StorageStatus::OFFLINE };
        let peer = Peer { id: self.id()?, status, ip, port: self.port };
        (group == self.store.group()).then_some(peer)
    }

    fn is_own(&self, at: SocketAddr) -> bool {
        at.port() == self.port && self.own_addresses().contains(&at.ip())
    }

    fn deleted_at(&self, id: &FileId) -> Option<i64> {
        self.store.deleted_at(&id.name).filter(|_| id.group == self.store.group())
    }

    fn is_settled(&self, _group: GroupName) -> bool {
        self.view.standing() == Standing::Active
    }

    fn downloaded(&self, bytes: u64) {
        self.store.counters().downloaded(bytes);
    }
}
