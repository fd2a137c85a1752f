//! The other members of the group, as the leading tracker last told them.
//!
//! Senders, the link and those who fetch missing files read it; the link writes it. The rules by which a list changes
//! what is known are those of FastDFS, so that both kinds of member agree on who may be sent to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use protocol::StorageId;
use protocol::cluster::{Brief, StorageStatus};
use tokio::sync::watch;
use tracing::info;

/// Another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: StorageId,
    pub(crate) status: StorageStatus,
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

impl Peer {
    fn brief(&self) -> Brief {
        Brief { status: self.status, port: self.port, id: Some(self.id), ip: Some(self.ip) }
    }
}

#[derive(Default)]
struct Known {
    own: Option<StorageId>,
    peers: BTreeMap<StorageId, Peer>,
}

/// The table. Clones share it.
#[derive(Clone)]
pub(crate) struct Peers(Arc<Shared>);

struct Shared {
    known: RwLock<Known>,
    generation: watch::Sender<u64>,
}

impl Peers {
    /// Nobody is known.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { known: RwLock::default(), generation: watch::Sender::new(0) }))
    }

    fn read<T>(&self, part: impl FnOnce(&Known) -> T) -> T {
        part(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let outcome = change(&mut self.0.known.write().unwrap_or_else(PoisonError::into_inner));
        self.0.generation.send_modify(|generation| *generation += 1);
        outcome
    }

    /// Sets who this node is: it is in the lists, but no peer of its own.
    pub(crate) fn set_own(&self, id: StorageId) {
        if self.own() != Some(id) {
            self.write(|known| {
                known.own = Some(id);
                known.peers.remove(&id);
            });
        }
    }

    /// Who this node is, once a tracker said so.
    pub(crate) fn own(&self) -> Option<StorageId> {
        self.read(|known| known.own)
    }

    /// The others, by id.
    pub(crate) fn list(&self) -> Vec<Peer> {
        self.read(|known| known.peers.values().copied().collect())
    }

    /// One of the others.
    pub(crate) fn get(&self, id: &StorageId) -> Option<Peer> {
        self.read(|known| known.peers.get(id).copied())
    }

    /// The one at this address.
    pub(crate) fn at(&self, at: SocketAddr) -> Option<Peer> {
        self.read(|known| {
            known.peers.values().find(|peer| peer.ip == at.ip() && peer.port == at.port()).copied()
        })
    }

    /// Whether one of the others has this address; true as long as none is known.
    pub(crate) fn may_be_at(&self, ip: IpAddr) -> bool {
        self.read(|known| known.peers.is_empty() || known.peers.values().any(|peer| peer.ip == ip))
    }

    /// Takes a list as it is, for who has no part in the group.
    pub(crate) fn replace(&self, own: Option<StorageId>, peers: Vec<Peer>) {
        let before = self.list();
        let peers: BTreeMap<_, _> =
            peers.into_iter().filter(|peer| Some(peer.id) != own).map(|peer| (peer.id, peer)).collect();
        let after: Vec<Peer> = peers.values().copied().collect();
        if after != before || self.own() != own {
            say_changes(&before, &after);
            self.write(|known| *known = Known { own, peers });
        }
    }

    /// Hears of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    /// Sets where a peer stands, as its sender sees it.
    pub(crate) fn set_status(&self, id: &StorageId, status: StorageStatus) {
        if self.get(id).is_some_and(|peer| peer.status != status) {
            self.write(|known| {
                if let Some(peer) = known.peers.get_mut(id) {
                    peer.status = status;
                }
            });
        }
    }

    /// Takes the leader's list; gives what this node knows better, to be told back.
    pub(crate) fn hear(&self, members: &[Brief]) -> Vec<Brief> {
        let before = self.list();
        let mut better = Vec::new();
        let mut next = self.read(|known| known.peers.clone());
        let own = self.own();
        for brief in members {
            let (Some(id), Some(ip)) = (brief.id, brief.ip) else { continue };
            if Some(id) == own {
                continue;
            }
            match next.get_mut(&id) {
                None if is_tombstone(brief.status) => {}
                None => {
                    next.insert(id, Peer { id, status: brief.status, ip, port: brief.port });
                }
                Some(peer) => {
                    (peer.ip, peer.port) = (ip, brief.port);
                    peer.status = match agreed(peer.status, brief.status) {
                        Agreed::On(status) => status,
                        Agreed::Better(status) => {
                            better.push(Brief { status, ..peer.brief() });
                            status
                        }
                    };
                }
            }
        }
        let listed = |id: &StorageId| members.iter().any(|brief| brief.id == Some(*id));
        let missing = next.values().filter(|peer| peer.status != StorageStatus::NONE && !listed(&peer.id));
        better.extend(missing.map(Peer::brief));
        let after: Vec<Peer> = next.values().copied().collect();
        if after != before {
            say_changes(&before, &after);
            self.write(|known| known.peers = next);
        }
        better
    }
}

fn say_changes(before: &[Peer], after: &[Peer]) {
    for peer in after {
        let old = before.iter().find(|old| old.id == peer.id);
        match old {
            None => {
                info!(peer = %peer.id, ip = %peer.ip, port = peer.port, status = %peer.status, "a new peer")
            }
            Some(old) if old.status != peer.status => {
                info!(peer = %peer.id, from = %old.status, to = %peer.status, "a peer's status changed");
            }
            Some(_) => {}
        }
    }
}

/// What becomes of a status after a tracker's word.
enum Agreed {
    On(StorageStatus),
    /// This one is kept, and told to the tracker.
    Better(StorageStatus),
}

/// `local` meets the tracker's `told`.
fn agreed(local: StorageStatus, told: StorageStatus) -> Agreed {
    use StorageStatus as S;
    match (local, told) {
        (S::NONE, told) if is_tombstone(told) => Agreed::On(S::NONE),
        (S::OFFLINE | S::NONE, told) => Agreed::On(told),
        (local, told) if local == told => Agreed::On(local),
        (S::ACTIVE | S::ONLINE, S::OFFLINE) => Agreed::On(S::OFFLINE),
        (S::INIT, S::OFFLINE) => Agreed::On(S::INIT),
        (local, S::OFFLINE) => Agreed::Better(local),
        // Only a step back in the filling of a new member is refused: this node may be the one who fills it.
        (local, S::WAIT_SYNC | S::SYNCING) if local > told => Agreed::Better(local),
        (_, told) => Agreed::On(told),
    }
}

/// Whether the member is gone for good.
pub(crate) fn is_tombstone(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::DELETED | StorageStatus::IP_CHANGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(id: &str, status: StorageStatus) -> Brief {
        let ip = id.parse().unwrap();
        Brief { status, port: 23000, id: StorageId::parse(id).ok(), ip: Some(ip) }
    }

    #[test]
    fn the_leader_s_word_meets_what_is_known() {
        use StorageStatus as S;
        let check = |local, told, expected, is_told_back| {
            let peers = Peers::new();
            peers.set_own(StorageId::parse("10.0.0.1").unwrap());
            peers.hear(&[brief("10.0.0.2", S::ACTIVE)]);
            let id = StorageId::parse("10.0.0.2").unwrap();
            peers.set_status(&id, local);
            let back = peers.hear(&[brief("10.0.0.1", S::ACTIVE), brief("10.0.0.2", told)]);
            assert_eq!(peers.get(&id).unwrap().status, expected, "{local} {told}");
            assert_eq!(!back.is_empty(), is_told_back, "{local} {told}");
        };
        check(S::ACTIVE, S::OFFLINE, S::OFFLINE, false);
        check(S::ONLINE, S::OFFLINE, S::OFFLINE, false);
        check(S::SYNCING, S::OFFLINE, S::SYNCING, true);
        check(S::INIT, S::OFFLINE, S::INIT, false);
        check(S::OFFLINE, S::WAIT_SYNC, S::WAIT_SYNC, false);
        check(S::ACTIVE, S::WAIT_SYNC, S::ACTIVE, true);
        check(S::SYNCING, S::WAIT_SYNC, S::SYNCING, true);
        check(S::WAIT_SYNC, S::SYNCING, S::SYNCING, false);
        check(S::ACTIVE, S::DELETED, S::DELETED, false);
        check(S::NONE, S::DELETED, S::NONE, false);
        check(S::NONE, S::ONLINE, S::ONLINE, false);
        check(S::WAIT_SYNC, S::ACTIVE, S::ACTIVE, false);
    }

    #[test]
    fn members_that_a_list_lacks_are_told_back_and_tombstones_are_no_news() {
        let peers = Peers::new();
        let mut watch = peers.watch();
        assert!(peers.hear(&[brief("10.0.0.3", StorageStatus::DELETED)]).is_empty());
        assert!(peers.list().is_empty());
        assert!(!watch.has_changed().unwrap());
        peers.hear(&[brief("10.0.0.2", StorageStatus::ACTIVE)]);
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        assert_eq!(peers.hear(&[brief("10.0.0.4", StorageStatus::ONLINE)]).len(), 1);
        assert_eq!(peers.list().len(), 2);
        peers.set_own(StorageId::parse("10.0.0.4").unwrap());
        assert_eq!(peers.list().len(), 1);
    }
}
