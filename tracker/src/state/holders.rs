//! Who has a file, as far as its name and the timestamps that members report tell. Nobody is asked.

use protocol::cluster::StorageStatus;
use protocol::tracker::FileName;
use protocol::{GroupName, Status, StorageId};

use super::schedule::NameFacts;
use super::{Cluster, Member, Refusal};

/// Whether a member has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// It made it, or has newer ones of the same maker, or the file is so old that every member in service has it.
    Yes,
    /// It has only older ones of the same maker.
    NotYet,
    /// Nothing tells: it is being filled, or has told nothing, or the file may have changed since it was named.
    Unknown,
}

/// A member with regard to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub storage: StorageId,
    /// Whether it made the file.
    pub is_source: bool,
    /// Whether it has it.
    pub has: Has,
    /// Time of the maker's newest record that it surely has.
    pub synced: Option<i64>,
}

impl Cluster {
    /// Every member of the group that is no tombstone, by id. That a file was deleted cannot be seen.
    pub fn holders(&self, group: GroupName, name: &FileName, now: i64) -> Result<Vec<Holder>, Refusal> {
        let facts = NameFacts::of(name);
        let group = self.group(group).ok_or(Status::ENOENT)?;
        let source = facts.maker(group);
        let holder = |member: &Member| {
            let is_source = source.is_some_and(|source| source.id == member.id);
            let synced = source.map_or(member.last_synced, |source| member.has_from(&source.id));
            let synced = (synced > 0 && !is_source).then_some(synced);
            let has = self.has(member, source, &facts, synced, now);
            Holder { storage: member.id, is_source, has, synced }
        };
        Ok(group.members.iter().filter(|member| !member.is_gone()).map(holder).collect())
    }

    fn has(
        &self,
        member: &Member,
        source: Option<&Member>,
        facts: &NameFacts,
        synced: Option<i64>,
        now: i64,
    ) -> Has {
        if source.is_some_and(|source| source.id == member.id) {
            // What it made before it lost its disk, it has only if others gave it back.
            return if facts.timestamp > member.lost_until { Has::Yes } else { Has::Unknown };
        }
        if member.is_filling() || member.status == StorageStatus::INIT {
            return Has::Unknown;
        }
        if synced.is_some_and(|synced| synced + 1 < facts.timestamp) {
            return Has::NotYet;
        }
        // Of a file that may change, the name says only when it was made.
        if !facts.is_normal {
            return Has::Unknown;
        }
        let has_newer = synced.is_some_and(|synced| synced > facts.timestamp);
        let serves = member.status == StorageStatus::ACTIVE && self.is_eligible(member, source, facts, now);
        if has_newer || serves { Has::Yes } else { Has::Unknown }
    }
}
