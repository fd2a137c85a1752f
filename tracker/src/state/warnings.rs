//! What a person should look at. Each warning is one fact about one group or storage, with a name that never changes.

use protocol::cluster::StorageStatus;
use protocol::config::storage_ids::RwMode;
use protocol::{GroupName, StorageId};

use super::{Cluster, Group, Member};

/// Replication that is so far behind is worth a look, seconds.
const LONG_LAG: i64 = 60;

/// What is the matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A storage is not connected, or its heart beats have ended. Since when, if it has ever beaten here.
    Offline(Option<i64>),
    /// A storage is on its way into service.
    NotInService(StorageStatus),
    /// A storage is kept from some of what clients ask.
    Restricted(RwMode),
    /// Uploads to a group are refused, since it has no more room than the reserve.
    NoRoom,
    /// No storage of a group takes uploads.
    NotWritable,
    /// No storage of a group serves reads.
    NotReadable,
    /// Records that this destination refuses.
    DeadLetters(StorageId, i64),
    /// A destination is so many seconds behind.
    Lag(StorageId, i64),
}

/// A trouble and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The group.
    pub group: GroupName,
    /// The storage, if it is one storage's: of a pair, the source.
    pub storage: Option<StorageId>,
    /// What is the matter.
    pub trouble: Trouble,
}

impl Cluster {
    /// All that is known to be the matter, by group.
    pub fn warnings(&self, now: i64) -> Vec<Warning> {
        self.groups.iter().flat_map(|group| self.of_group(group, now)).collect()
    }

    fn of_group(&self, group: &Group, now: i64) -> Vec<Warning> {
        let at = |storage: Option<StorageId>, trouble| Warning { group: group.name, storage, trouble };
        let mut warnings = Vec::new();
        let there = || group.members.iter().filter(|member| !member.is_gone());
        if there().next().is_some() {
            if group.writable().next().is_none() {
                warnings.push(at(None, Trouble::NotWritable));
            } else if !self.group_has_room(group, 0) && !self.group_has_trunk_room(group, 0) {
                warnings.push(at(None, Trouble::NoRoom));
            }
            if group.readable().next().is_none() {
                warnings.push(at(None, Trouble::NotReadable));
            }
        }
        for member in there() {
            warnings.extend(of_member(member).map(|trouble| at(Some(member.id), trouble)));
        }
        for pair in group.pairs(now) {
            let dead = pair.sender.map_or(0, |sender| sender.dead_letters);
            if dead > 0 {
                warnings.push(at(Some(pair.source), Trouble::DeadLetters(pair.destination, dead)));
            }
            if let Some(lag) = pair.lag_seconds.filter(|lag| *lag > LONG_LAG) {
                warnings.push(at(Some(pair.source), Trouble::Lag(pair.destination, lag)));
            }
        }
        warnings
    }
}

fn of_member(member: &Member) -> Option<Trouble> {
    match member.status {
        StorageStatus::ACTIVE if member.rw == RwMode::Both => None,
        StorageStatus::ACTIVE => Some(Trouble::Restricted(member.rw)),
        StorageStatus::OFFLINE => Some(Trouble::Offline((member.last_beat > 0).then_some(member.last_beat))),
        status => Some(Trouble::NotInService(status)),
    }
}
