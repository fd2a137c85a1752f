//! What the tracker remembers about one connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use protocol::cluster::{Brief, StorageStatus};
use protocol::{GroupName, StorageId};

use super::{Group, Member};

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The tracker's own address on this connection.
    pub local: SocketAddr,
    /// A number that no other connection has.
    pub connection: u64,
}

impl Peer {
    /// Its IP address.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// Time that a sender needs to see a status of its peer, seconds.
const TIME_TO_SEE: i64 = 3;

/// A connection: anonymous, or that of a storage that joined.
#[derive(Debug, Clone)]
pub struct Session {
    /// The other end.
    pub peer: Peer,
    /// The storage, once it joined.
    pub joined: Option<(GroupName, StorageId)>,
    /// The changes of its group that it has heard of.
    pub told_changes: u64,
    /// Its last heart beat here, or its join.
    pub last_beat: i64,
    /// The beat upon which it last heard less than the truth, which it is to hear later.
    pub told_partly: Option<i64>,
    /// Whether it joined as a storage in service.
    pub claims_service: bool,
    /// Which filling of each member it knows of, once it was sent a list.
    pub told_members: Option<BTreeMap<StorageId, u64>>,
    /// The changes of leader that it has heard of.
    pub told_leader: u64,
}

impl Session {
    /// A new connection.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            joined: None,
            told_changes: 0,
            last_beat: 0,
            told_partly: None,
            claims_service: false,
            told_members: None,
            told_leader: 0,
        }
    }

    /// Whether it may hear of members now.
    pub(super) fn may_hear(&self) -> bool {
        let is_early = |at: i64| (at..at + TIME_TO_SEE).contains(&self.last_beat);
        !self.told_partly.is_some_and(is_early)
    }

    /// The members of the group as this peer is to hear of them now; some of it may be left for its next beat.
    ///
    /// A member that begins to be filled shows its peers a lower status than before. A peer that holds it for serving, or
    /// for half filled, ignores that: a storage never lowers what it knows to WAIT_SYNC or SYNCING (native-cluster.md
    /// 1.3, 2.7). So it first hears INIT, which it always takes and which ends its sender, and then the truth, upon which
    /// it starts anew, or at SYNCING from its mark. So it does on every new connection: a source whose word that the copy
    /// is done was lost says it again. The member itself hears the truth at once, as it carries its status to other
    /// trackers; only if it holds itself for serving it hears INIT, too: it would connect and join anew every second.
    ///
    /// The truth waits for a beat some seconds later. A sender looks at the status now and then, and a storage reports
    /// several things in a row: told at once, it would be there before the sender has seen the other.
    pub(super) fn list(&mut self, group: &Group) -> Vec<Brief> {
        let own = self.joined.map(|(_, id)| id);
        let is_first = self.told_members.is_none();
        let mut told = self.told_members.take().unwrap_or_default();
        let mut is_whole = true;
        let mut brief = |member: &Member| {
            let knows = told.insert(member.id, member.fills);
            let is_new_to_it = match knows {
                Some(fills) => fills != member.fills,
                None => is_first,
            };
            let mut brief = member.brief_for(self.peer.ip());
            if is_new_to_it && member.is_filling() {
                if Some(member.id) != own || self.claims_service {
                    brief.status = StorageStatus::INIT;
                }
                is_whole &= brief.status == member.status;
            }
            brief
        };
        let briefs = group.members.iter().map(&mut brief).collect();
        self.told_partly = (!is_whole).then_some(self.last_beat);
        if is_whole {
            self.told_changes = group.changes;
        }
        self.told_members = Some(told);
        briefs
    }
}
