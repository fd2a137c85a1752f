//! Old files: who feeds a new member, up to when, and what happens if the feeder goes away (native-cluster.md 1.6 to
//! 1.10, 2.3, 2.4).
//!
//! A member serves only after its source has reported the copy as done. Here that is kept true in cases where the
//! reference lets a member without files serve (each named below), by means that its storages understand.

use std::net::IpAddr;

use protocol::cluster::{StorageStatus, SyncSource};
use protocol::{GroupName, Status, StorageId};
use tracing::{info, warn};

use super::{Cluster, Dirty, Group, Member, Refusal, Session};

/// A source this close behind the others' newest writes lacks nothing that matters, seconds.
const CLOSE: i64 = 60;
/// After so many intervals of silence another member feeds in the place of a lost source.
const LOST_SOURCE_INTERVALS: i64 = 3;
/// A returned member is told this often to copy anew; then another tracker has decided otherwise.
const MAX_REFUSALS: u8 = 3;

impl Group {
    /// Who best feeds `destination`: a writable active member; of these the one that lacks least of the others'
    /// writes, then the longest member, then the first by id.
    fn best_source(&self, destination: &StorageId) -> Option<StorageId> {
        self.writable()
            .filter(|member| member.id != *destination)
            .min_by_key(|member| {
                let lag = self.lag_of(member, destination);
                (if lag <= CLOSE { 0 } else { lag }, member.join_time)
            })
            .map(|member| member.id)
    }

    /// Members whose own writes a copy has to include, besides those of `source` itself.
    fn other_writers<'a>(
        &'a self,
        source: &'a Member,
        destination: &'a StorageId,
    ) -> impl Iterator<Item = &'a Member> {
        let takes_part = |member: &&Member| member.is_settled() || member.status == StorageStatus::RECOVERY;
        self.members
            .iter()
            .filter(move |member| member.id != source.id && member.id != *destination)
            .filter(takes_part)
    }

    /// How far a member is behind the others' newest writes.
    fn lag_of(&self, member: &Member, destination: &StorageId) -> i64 {
        self.other_writers(member, destination)
            .map(|writer| writer.stats.last_source_update - member.was_given(&writer.id))
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Up to when the source gives all members' files; from then on each gives its own, once the new member serves. So
    /// this is as late as can be, but no later than what the source surely has of each, and no earlier than the newest
    /// file of somebody who cannot give it any more. The reference takes the tracker's time: what the source has not
    /// received by then, nobody gives. These are times of storages' clocks, as those in the records are.
    fn copy_until(&self, source: &Member, destination: &StorageId, sync_max_time: i64) -> i64 {
        let surely_has = |writer: &Member| {
            let (stats, got) = (&writer.stats, source.was_given(&writer.id));
            let idle = writer.last_beat.max(stats.last_sync_update) - stats.last_source_update;
            // The time of a write may be later than that in its record.
            let has_all = got >= stats.last_source_update
                || (got + CLOSE >= stats.last_source_update && idle > sync_max_time);
            let until =
                if has_all { stats.last_sync_update.max(stats.last_source_update).max(got) } else { got };
            until.max(writer.join_time)
        };
        let lost =
            self.members.iter().map(|member| member.lost_until).max().unwrap_or(0).max(self.lost_until);
        // Without others it is what happened last at the source.
        let (stats, newest) = (&source.stats, source.synced_from.values().copied().max().unwrap_or(0));
        let last = stats.last_source_update.max(stats.last_sync_update).max(newest.into());
        let sure = self.other_writers(source, destination).map(surely_has).min();
        sure.unwrap_or(last.max(source.join_time)).max(lost)
    }

    /// The newest file of a member that any other has; 0 if nobody has one.
    pub(super) fn newest_of(&self, id: &StorageId) -> i64 {
        let others = self.members.iter().filter(|member| member.id != *id);
        others.map(|member| member.has_from(id)).max().unwrap_or(0)
    }

    /// Whether others were in service, so that there is something to copy.
    fn has_others(&self, id: &StorageId) -> bool {
        self.members.iter().any(|member| member.id != *id && member.is_settled())
    }

    /// A member gets a source and waits for it. Peers that held it for something else have to hear that.
    fn start_copy(&mut self, id: &StorageId, copy: SyncSource) {
        let counted = |member: &&Member| member.is_settled() || member.status == StorageStatus::RECOVERY;
        let uncounted =
            self.members.iter().filter(|member| !counted(member)).map(|member| member.id).collect();
        let Some(member) = self.member_mut(id) else { return };
        member.source = copy.source;
        member.sync_until = copy.until;
        member.begin_fill();
        member.give_all = uncounted;
        member.status = StorageStatus::WAIT_SYNC;
        self.changes += 1;
    }

    /// What the files of a tracker do not tell: a member that was filled may have lost what it had made before it joined.
    pub(super) fn recall_losses(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.sync_until > 0) {
            member.lost_until = member.join_time;
        }
    }

    /// A member comes that was not there when others were filled: they have nothing of it by their sources.
    pub(super) fn gives_all(&mut self, id: &StorageId) {
        for member in self.members.iter_mut().filter(|member| member.id != *id) {
            member.give_all.insert(*id);
        }
    }

    /// Nobody copies from `gone` any more.
    pub(super) fn forget_source(&mut self, gone: &StorageId) {
        for member in self.members.iter_mut().filter(|member| member.source == Some(*gone)) {
            member.source = None;
            member.sync_until = 0;
        }
    }
}

impl Cluster {
    /// Gives `id` the best source, if any member can be one.
    fn assign_source(&mut self, group_name: GroupName, id: &StorageId) -> Option<SyncSource> {
        let sync_max_time = self.rules.sync_max_time;
        let group = self.group_mut(group_name).ok()?;
        let source = group.best_source(id)?;
        let until = group.copy_until(group.member(&source)?, id, sync_max_time);
        let copy = SyncSource { source: Some(source), until };
        group.start_copy(id, copy);
        info!(group = %group_name, storage = %id, %source, until, "old files will be copied");
        self.changed_for_good();
        Some(copy)
    }

    /// A new storage asks who feeds it old files.
    pub fn sync_dest_request(&mut self, session: &Session) -> Result<Option<SyncSource>, Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        self.promote_last_ones();
        let group = self.group_mut(group_name)?;
        if group.member(&id).is_none_or(Member::is_gone) {
            return Err(Status::ENOENT);
        }
        if !group.has_others(&id) {
            group.set_status(&id, StorageStatus::ONLINE);
            info!(group = %group_name, storage = %id, "first of its group, there are no old files to copy");
            self.changed_for_good();
            return Ok(None);
        }
        self.assign_source(group_name, &id).map(Some).ok_or(Status::ENOENT)
    }

    /// A storage tells who feeds it old files.
    pub fn sync_notify(&mut self, session: &Session, told: &SyncSource) -> Result<(), Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        match told.source {
            None => self.notify_without_source(group_name, &id),
            Some(source) => self.notify_source(group_name, &id, source, told.until),
        }
    }

    /// The storage says that it needs nothing. So it is where it was in service all along. One that was deleted
    /// meanwhile lacks what the others took since; the reference lets it serve at once. Here it hears ENOENT, upon which
    /// FastDFS's storages ask for a full copy. One that is being filled stays so, even if it has forgotten by whom.
    fn notify_without_source(&mut self, group_name: GroupName, id: &StorageId) -> Result<(), Refusal> {
        let returned = self.was_deleted(group_name, id);
        let group = self.group_mut(group_name)?;
        let has_others = group.has_others(id);
        let member = group.member_mut(id).ok_or(Status::ENOENT)?;
        match member.status {
            StorageStatus::INIT if returned && has_others && member.refusals < MAX_REFUSALS => {
                member.refusals += 1;
                info!(group = %group_name, storage = %id, "returned after it was deleted, has to copy all files");
                return Err(Status::ENOENT);
            }
            StorageStatus::INIT => {
                if returned && has_others {
                    warn!(group = %group_name, storage = %id, "returned after it was deleted and does not copy");
                }
                group.set_status(id, StorageStatus::ONLINE);
            }
            StorageStatus::WAIT_SYNC | StorageStatus::SYNCING if has_others => {
                if member.source.is_none() {
                    self.assign_source(group_name, id);
                }
                return Ok(());
            }
            StorageStatus::WAIT_SYNC | StorageStatus::SYNCING => {
                group.set_status(id, StorageStatus::ONLINE);
                info!(group = %group_name, storage = %id, "nobody is left to copy old files from");
            }
            _ => return Ok(()),
        }
        self.changed_for_good();
        Ok(())
    }

    fn notify_source(
        &mut self,
        group_name: GroupName,
        id: &StorageId,
        source: StorageId,
        until: i64,
    ) -> Result<(), Refusal> {
        let group = self.group_mut(group_name)?;
        let source_is_known = group.member(&source).is_some_and(|member| !member.is_gone());
        let member = group.member_mut(id).ok_or(Status::ENOENT)?;
        if member.is_gone() {
            return Ok(());
        }
        if member.source.is_none() {
            if !source_is_known || source == *id {
                return Err(Status::ENOENT);
            }
            member.source = Some(source);
            member.sync_until = until;
        } else if member.status != StorageStatus::INIT {
            return Ok(());
        }
        if member.status == StorageStatus::INIT {
            group.set_status(id, StorageStatus::WAIT_SYNC);
            info!(group = %group_name, storage = %id, %source, "waits for old files, as it says itself");
        }
        self.changed_for_good();
        Ok(())
    }

    /// Who feeds this member old files, if that storage can, and from when the asking member gives its own. A member that is not filled yet gets another source in its
    /// place; the reference leaves it without one, waiting for ever.
    pub fn sync_source(
        &mut self,
        group_name: GroupName,
        id: &StorageId,
        asker: IpAddr,
    ) -> Result<Option<SyncSource>, Refusal> {
        let group = self.group_mut(group_name)?;
        let member = group.member(id).ok_or(Status::ENOENT)?;
        if member.is_gone() || member.status == StorageStatus::INIT {
            return Err(Status::ENOENT);
        }
        let (source, until, waits) = (member.source, member.sync_until, member.is_filling());
        if source.is_some_and(|source| group.can_feed(&source)) {
            let is_asker = |member: &&Member| [Some(member.ip), member.alternate_ip].contains(&Some(asker));
            let mut askers = group.members.iter().filter(is_asker);
            let give_all = &member.give_all;
            let gives_all = askers.any(|member| give_all.contains(&member.id));
            return Ok(Some(SyncSource { source, until: if gives_all { 0 } else { until } }));
        }
        if waits && group.has_others(id) {
            return self.assign_source(group_name, id).map(Some).ok_or(Status::ENOENT);
        }
        if let (Some(source), Some(member)) = (source, group.member_mut(id)) {
            member.source = None;
            member.sync_until = 0;
            info!(group = %group_name, storage = %id, %source, "its source of old files is no more");
            self.changed_for_good();
        }
        Ok(None)
    }

    /// Who feeds the storage of this connection, as recorded.
    pub fn sync_dest_query(&self, session: &Session) -> Result<Option<SyncSource>, Refusal> {
        let (group, id) = session.joined.ok_or(Status::EACCES)?;
        let member = self.group(group).and_then(|group| group.member(&id)).ok_or(Status::ENOENT)?;
        Ok(member.source.map(|source| SyncSource { source: Some(source), until: member.sync_until }))
    }

    /// Members that wait for a source which is gone, or was silent for long, get another one if there is one. Where
    /// nobody is left who was in service, the one with most files has what there is.
    pub(super) fn replace_lost_sources(&mut self, now: i64) {
        self.promote_last_ones();
        let patience = self.rules.check_active_interval * LOST_SOURCE_INTERVALS;
        let mut waiting = Vec::new();
        for group in &self.groups {
            let is_lost = |member: &&Member| {
                member.is_filling()
                    && group.best_source(&member.id).is_some_and(|best| Some(best) != member.source)
                    && member.source.is_none_or(|source| !group.feeds_soon(&source, now, patience))
            };
            waiting.extend(group.members.iter().filter(is_lost).map(|member| (group.name, member.id)));
        }
        for (group, id) in waiting {
            self.assign_source(group, &id);
        }
    }

    fn promote_last_ones(&mut self) {
        for group in &mut self.groups {
            let best = group
                .members
                .iter()
                .filter(|member| member.is_filling() && !group.has_others(&member.id))
                .max_by_key(|member| (member.status, std::cmp::Reverse(member.join_time)));
            let Some(id) = best.map(|member| member.id) else { continue };
            group.set_status(&id, StorageStatus::OFFLINE);
            info!(group = %group.name, storage = %id, "nobody is left to copy old files from, it has the most");
            self.dirty = Dirty::Urgent;
        }
    }

    /// When a member of this group was last deleted, as the changelog says; 0 if never.
    pub(super) fn last_loss(&self, group: GroupName) -> i64 {
        self.changes_of(group)
            .filter(|change| change.status == StorageStatus::DELETED)
            .map(|change| change.time)
            .max()
            .unwrap_or(0)
    }

    /// Whether the last that the changelog says of a storage is that it was deleted.
    fn was_deleted(&self, group: GroupName, id: &StorageId) -> bool {
        let last = self.changes_of(group).filter(|change| change.id == id.as_str()).last();
        last.is_some_and(|change| change.status == StorageStatus::DELETED)
    }

    /// Which storages of a group changed their addresses.
    pub(super) fn moves_of(&self, group: GroupName) -> Vec<(StorageId, StorageId)> {
        self.changes_of(group)
            .filter(|change| change.status == StorageStatus::IP_CHANGED)
            .filter_map(|change| {
                Some((StorageId::parse(change.id).ok()?, StorageId::parse(change.arg).ok()?))
            })
            .collect()
    }

    fn changes_of(&self, group: GroupName) -> impl Iterator<Item = Change<'_>> {
        let lines = self.changelog.split(|&byte| byte == b'\n');
        lines.filter_map(Change::parse).filter(move |change| change.group == group.as_str())
    }
}

impl Group {
    /// Whether a storage has what a new member needs and can give it sooner or later.
    fn can_feed(&self, source: &StorageId) -> bool {
        self.member(source)
            .is_some_and(|member| member.is_settled() || member.status == StorageStatus::RECOVERY)
    }

    /// Whether it can, and was heard of lately.
    fn feeds_soon(&self, source: &StorageId, now: i64, patience: i64) -> bool {
        self.can_feed(source)
            && self.member(source).is_some_and(|member| {
                member.status == StorageStatus::ACTIVE || now - member.last_beat <= patience
            })
    }
}

/// A line of the changelog: `<unix ts> <group> <storage id> <status> <arg>`.
struct Change<'a> {
    time: i64,
    group: &'a str,
    id: &'a str,
    status: StorageStatus,
    arg: &'a str,
}

impl<'a> Change<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut columns = std::str::from_utf8(line).ok()?.split(' ');
        let (time, group, id, status) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let (status, arg) = (StorageStatus(status.parse().ok()?), columns.next().unwrap_or_default());
        Some(Self { time: time.parse().ok()?, group, id, status, arg })
    }
}
