//! What operators do: delete a storage or a group. And what a storage does that got another address.

use std::net::IpAddr;

use protocol::cluster::{StorageStats, StorageStatus};
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::{Cluster, Refusal, Session};

impl Cluster {
    /// Whether a storage can be deleted: it is not in service.
    pub fn may_delete(&self, group: GroupName, id: &StorageId) -> Result<(), Refusal> {
        let member = self.group(group).and_then(|group| group.member(id)).ok_or(Status::ENOENT)?;
        match member.status {
            StorageStatus::IP_CHANGED => Err(Status::ENOENT),
            StorageStatus::ONLINE | StorageStatus::ACTIVE | StorageStatus::RECOVERY => Err(Status::EBUSY),
            StorageStatus::DELETED => Err(Status::EALREADY),
            _ => Ok(()),
        }
    }

    /// Turns a storage that is not in service into a tombstone.
    pub fn delete_storage(&mut self, group_name: GroupName, id: &StorageId, now: i64) -> Result<(), Refusal> {
        self.may_delete(group_name, id)?;
        let group = self.group_mut(group_name)?;
        let newest = group.newest_of(id);
        let member = group.member_mut(id).ok_or(Status::ENOENT)?;
        member.rw_set = None;
        member.stats = StorageStats::default();
        member.forget_content();
        member.refusals = 0;
        member.reported = None;
        group.lost_until = group.lost_until.max(newest);
        group.set_status(id, StorageStatus::DELETED);
        group.forget_source(id);
        info!(group = %group_name, storage = %id, "storage deleted");
        self.log_change(&format!("{now} {group_name} {id} {} \n", StorageStatus::DELETED.0));
        self.replace_lost_sources(now);
        if self.group(group_name).is_some_and(|group| group.trunk_server == Some(*id)) {
            self.set_trunk_server(group_name, None);
        }
        Ok(())
    }

    /// Removes a group without members. Tombstones do not count; in the reference they do until its restart.
    pub fn delete_group(&mut self, name: GroupName) -> Result<(), Refusal> {
        let at = self.position(name).map_err(|_| Status::ENOENT)?;
        if self.groups.get(at).is_some_and(|group| group.members.iter().any(|member| !member.is_gone())) {
            return Err(Status::EBUSY);
        }
        self.groups.remove(at);
        self.trunk_changes += 1;
        self.current_group = 0;
        info!(group = %name, "group deleted");
        self.changed();
        Ok(())
    }

    /// A storage has another address. Its record moves there; the old address keeps a tombstone.
    pub fn ip_changed(
        &mut self,
        session: &Session,
        group_name: GroupName,
        old: IpAddr,
        new: IpAddr,
        now: i64,
    ) -> Result<(), Refusal> {
        if self.rules.ids.is_some() {
            return Err(Status::EOPNOTSUPP);
        }
        if new != session.peer.ip() {
            return Err(Status::EINVAL);
        }
        let id_of = |ip: IpAddr| StorageId::parse(&ip.to_string()).map_err(|_| Status::EINVAL);
        let (old_id, new_id) = (id_of(old)?, id_of(new)?);
        let group = self.group_mut(group_name)?;
        match group.member(&old_id).map(|member| member.status) {
            None | Some(StorageStatus::DELETED) => return Err(Status::ENOENT),
            Some(StorageStatus::ONLINE | StorageStatus::ACTIVE | StorageStatus::RECOVERY) => {
                return Err(Status::EBUSY);
            }
            Some(StorageStatus::IP_CHANGED) => return Err(Status::EALREADY),
            Some(_) => {}
        }
        if group.member(&new_id).is_some_and(|member| member.status != StorageStatus::DELETED) {
            return Err(Status::EEXIST);
        }
        group.members.retain(|member| member.id != new_id);
        let mut moved = group.member(&old_id).ok_or(Status::ENOENT)?.clone();
        moved.id = new_id;
        moved.ip = new;
        group.insert(moved);
        group.set_status(&old_id, StorageStatus::IP_CHANGED);
        group.moves.push((old_id, new_id));
        if group.trunk_server == Some(old_id) {
            group.trunk_server = Some(new_id);
            group.trunk_changes += 1;
        }
        if group.last_trunk_server == Some(old_id) {
            group.last_trunk_server = Some(new_id);
        }
        for member in &mut group.members {
            if member.source == Some(old_id) {
                member.source = Some(new_id);
            }
            if let Some(fills) = member.started_for.remove(&old_id) {
                member.started_for.insert(new_id, fills);
            }
            if let Some(timestamp) = member.synced_from.remove(&old_id) {
                member.synced_from.insert(new_id, timestamp);
            }
        }
        info!(group = %group_name, %old, %new, "storage has another address");
        self.log_change(&format!("{now} {group_name} {old_id} {} {new_id}\n", StorageStatus::IP_CHANGED.0));
        Ok(())
    }
}
