//! How a storage becomes a member: JOIN, the source of its old files, and losing it again.

use std::net::IpAddr;

use protocol::cluster::{Join, JoinAnswer, StorageStatus, SyncSource};
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::group::MixedPorts;
use super::session::Told;
use super::{Cluster, Group, IdTrust, Member, NameSource, Refusal, Session};

/// Limits of the protocol.
const MAX_GROUPS: usize = 512;
const MAX_MEMBERS: usize = 32;

impl Cluster {
    /// A storage joins on this connection. A refused join leaves no group behind.
    pub fn join(&mut self, session: &mut Session, join: &Join, now: i64) -> Result<JoinAnswer, Refusal> {
        self.check_tracker_list(session, join)?;
        let id = self.identify(session.peer.ip(), join)?;
        if session.joined.is_some_and(|before| before != (join.group, id)) {
            self.disconnected(session);
            session.joined = None;
        }
        let groups = self.groups.len();
        let at = self.find_or_create_group(join.group)?;
        let answer = self.join_group(at, id, session, join, now);
        if answer.is_err() && self.groups.len() > groups {
            self.groups.remove(at);
        }
        answer
    }

    fn join_group(
        &mut self,
        at: usize,
        id: StorageId,
        session: &mut Session,
        join: &Join,
        now: i64,
    ) -> Result<JoinAnswer, Refusal> {
        let rules = &self.rules;
        let mixed_allowed = rules.ids.is_some() && rules.names == NameSource::Id;
        let (entry_ips, rw) = match rules.ids.as_ref().and_then(|ids| ids.by_id(&id)) {
            Some(entry) => (Some((entry.ip, entry.alternate_ip)), Some(entry.rw)),
            None => (None, None),
        };
        let group = self.groups.get_mut(at).ok_or(Status::ENOENT)?;
        let newcomer = match group.member(&id) {
            Some(_) => None,
            None => Some(newcomer(group, id, session.peer.ip(), join)?),
        };
        settle_port(group, &id, join, mixed_allowed)?;
        settle_counts(group, &id, join)?;
        if let Some(member) = newcomer {
            group.insert(member);
        } else if group.member(&id).is_some_and(Member::is_gone) {
            group.set_status(&id, StorageStatus::INIT);
        }

        let changelog_end = self.changelog.len();
        let group = self.groups.get_mut(at).ok_or(Status::ENOENT)?;
        let member = group.member_mut(&id).ok_or(Status::ENOENT)?;
        let before = member.status;
        let (ip, alternate) = entry_ips.unwrap_or((session.peer.ip(), None));
        member.ip = ip;
        member.alternate_ip = alternate;
        member.rw = rw.unwrap_or(member.rw);
        member.port = join.port;
        member.store_path_count = join.store_path_count;
        member.subdir_count = join.subdir_count;
        member.upload_priority = join.upload_priority;
        member.join_time = join.join_time;
        member.up_time = join.up_time;
        member.version.clone_from(&join.version);
        member.connection = Some(session.peer.connection);
        member.last_beat = now;
        match member.status {
            StorageStatus::OFFLINE | StorageStatus::RECOVERY => member.status = StorageStatus::ONLINE,
            StorageStatus::INIT => member.changelog_offset = changelog_end,
            _ => {}
        }
        let answer = JoinAnswer { status: member.status, source: member.source };
        if member.status != before {
            group.changes += 1;
        }
        session.joined = Some((join.group, id));
        session.told_changes = 0;
        session.told_leader = Told::No;
        self.changed();
        info!(group = %join.group, storage = %id, status = %answer.status, "storage joined");
        Ok(answer)
    }

    /// The tracker has to find itself among the trackers that the storage knows.
    fn check_tracker_list(&self, session: &Session, join: &Join) -> Result<(), Refusal> {
        let local = session.peer.local;
        let own_ips = [Some(local.ip()), join.tracker_ip];
        let is_own = |ip: &IpAddr| own_ips.contains(&Some(*ip));
        let found = join
            .trackers
            .iter()
            .any(|tracker| tracker.port == local.port() && tracker.ips.iter().any(is_own));
        if found { Ok(()) } else { Err(Status::ENOENT) }
    }

    fn identify(&self, peer: IpAddr, join: &Join) -> Result<StorageId, Refusal> {
        let Some(ids) = &self.rules.ids else {
            return StorageId::parse(&peer.to_string()).map_err(|_| Status::EINVAL);
        };
        match (join.id, self.rules.trust_storage_id) {
            (Some(id), IdTrust::Trusted) => match ids.by_id(&id) {
                Some(entry) if entry.group == join.group => Ok(id),
                Some(_) => Err(Status::EINVAL),
                None => Err(Status::ENOENT),
            },
            _ => ids.by_address(&join.group, peer, join.port).map(|entry| entry.id).ok_or(Status::ENOENT),
        }
    }

    fn find_or_create_group(&mut self, name: GroupName) -> Result<usize, Refusal> {
        match self.position(name) {
            Ok(at) => Ok(at),
            Err(_) if self.groups.len() >= MAX_GROUPS => Err(Status::ENOSPC),
            Err(at) => {
                self.groups.insert(at, Group::new(name));
                info!(group = %name, "group created");
                Ok(at)
            }
        }
    }

    /// A new storage asks who feeds it old files.
    pub fn sync_dest_request(&mut self, session: &Session, now: i64) -> Result<Option<SyncSource>, Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        let group = self.group_mut(group_name)?;
        let others = group.members.iter().filter(|member| member.id != id && member.is_settled()).count();
        let source = group.writable().find(|member| member.id != id).map(|member| member.id);
        let answer = match source {
            _ if others == 0 => {
                group.set_status(&id, StorageStatus::ONLINE);
                None
            }
            None => return Err(Status::ENOENT),
            Some(source) => {
                let member = group.member_mut(&id).ok_or(Status::ENOENT)?;
                member.source = Some(source);
                member.sync_until = now;
                group.set_status(&id, StorageStatus::WAIT_SYNC);
                info!(group = %group_name, storage = %id, %source, "old files will be copied");
                Some(SyncSource { source: Some(source), until: now })
            }
        };
        self.changed();
        Ok(answer)
    }

    /// A storage tells who feeds it old files.
    pub fn sync_notify(&mut self, session: &Session, told: &SyncSource) -> Result<(), Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        let group = self.group_mut(group_name)?;
        let status = group.member(&id).ok_or(Status::ENOENT)?.status;
        let changed = match told.source {
            None if status <= StorageStatus::SYNCING => {
                group.set_status(&id, StorageStatus::ONLINE).is_some()
            }
            None => false,
            Some(source) => {
                if group.member(&source).is_none_or(Member::is_gone) {
                    return Err(Status::ENOENT);
                }
                let member = group.member_mut(&id).ok_or(Status::ENOENT)?;
                if member.source.is_none() {
                    member.source = Some(source);
                    member.sync_until = told.until;
                }
                if status == StorageStatus::INIT {
                    group.set_status(&id, StorageStatus::WAIT_SYNC);
                }
                true
            }
        };
        if changed {
            self.changed();
        }
        Ok(())
    }

    /// Who feeds this member old files, if that storage can.
    pub fn sync_source(&mut self, group: GroupName, id: &StorageId) -> Result<Option<SyncSource>, Refusal> {
        let group = self.group_mut(group)?;
        let member = group.member(id).ok_or(Status::ENOENT)?;
        if member.is_gone() || member.status == StorageStatus::INIT {
            return Err(Status::ENOENT);
        }
        let Some(source) = member.source else { return Ok(None) };
        let can_feed = group
            .member(&source)
            .is_some_and(|source| source.is_settled() || source.status == StorageStatus::RECOVERY);
        if can_feed {
            return Ok(Some(SyncSource { source: Some(source), until: member.sync_until }));
        }
        if let Some(member) = group.member_mut(id) {
            member.source = None;
            member.sync_until = 0;
        }
        self.changed();
        Ok(None)
    }

    /// Who feeds the storage of this connection, as recorded.
    pub fn sync_dest_query(&self, session: &Session) -> Result<Option<SyncSource>, Refusal> {
        let (group, id) = session.joined.ok_or(Status::EACCES)?;
        let member = self.group(group).and_then(|group| group.member(&id)).ok_or(Status::ENOENT)?;
        Ok(member.source.map(|source| SyncSource { source: Some(source), until: member.sync_until }))
    }

    /// A connection ended: its storage is offline, unless it joined again on another one.
    pub fn disconnected(&mut self, session: &Session) {
        let Some((group_name, id)) = session.joined else { return };
        let Ok(group) = self.group_mut(group_name) else { return };
        let Some(member) = group.member_mut(&id) else { return };
        if member.connection != Some(session.peer.connection) {
            return;
        }
        member.connection = None;
        member.up_time = 0;
        if member.is_settled() && group.set_status(&id, StorageStatus::OFFLINE).is_some() {
            info!(group = %group_name, storage = %id, "storage went offline, its connection ended");
            self.changed();
        }
    }

    /// Storages that were silent for too long are offline.
    pub fn check_alive(&mut self, now: i64) {
        let limit = self.rules.check_active_interval;
        let silent =
            |member: &&Member| member.status == StorageStatus::ACTIVE && now - member.last_beat > limit;
        let mut changed = false;
        for group in &mut self.groups {
            let gone: Vec<_> = group.members.iter().filter(silent).map(|member| member.id).collect();
            for id in gone {
                group.set_status(&id, StorageStatus::OFFLINE);
                info!(group = %group.name, storage = %id, "storage went offline, no heart beat");
                changed = true;
            }
        }
        if changed {
            self.changed();
        }
    }
}

/// The record of a storage that the group does not know; one that the group has deleted is told so.
fn newcomer(group: &Group, id: StorageId, peer: IpAddr, join: &Join) -> Result<Member, Refusal> {
    let reported = join.status.unwrap_or(StorageStatus::INIT);
    let is_stale = join.is_new == 0
        && (join.status.is_none()
            || [StorageStatus::DELETED, StorageStatus::IP_CHANGED, StorageStatus::NONE].contains(&reported));
    if is_stale {
        return Err(Status::EFAULT);
    }
    if group.members.len() >= MAX_MEMBERS {
        return Err(Status::ENOSPC);
    }
    let mut member = Member::new(id, peer, join.port);
    if join.is_new == 0 && reported > StorageStatus::INIT {
        member.status = if reported == StorageStatus::ACTIVE { StorageStatus::ONLINE } else { reported };
    }
    Ok(member)
}

fn settle_port(group: &mut Group, id: &StorageId, join: &Join, mixed_allowed: bool) -> Result<(), Refusal> {
    match group.port {
        None => group.port = Some(join.port),
        Some(port) if port == join.port || group.mixed_ports == MixedPorts::Yes => {}
        Some(_) if mixed_allowed => group.mixed_ports = MixedPorts::Yes,
        Some(_) => {
            if group.members.iter().any(|member| member.id != *id && member.port != join.port) {
                return Err(Status::EINVAL);
            }
            group.port = Some(join.port);
        }
    }
    Ok(())
}

/// All members have the same store paths and directories; a member may have more paths than its group uses.
fn settle_counts(group: &mut Group, id: &StorageId, join: &Join) -> Result<(), Refusal> {
    let others = || group.members.iter().filter(|member| member.id != *id && !member.is_gone());
    let all_paths = others().all(|member| member.store_path_count == join.store_path_count);
    let all_dirs = others().all(|member| member.subdir_count == join.subdir_count);
    if group.store_path_count == 0 || all_paths {
        group.store_path_count = join.store_path_count;
    } else if join.store_path_count < group.store_path_count {
        return Err(Status::EINVAL);
    }
    if group.subdir_count == 0 || all_dirs {
        group.subdir_count = join.subdir_count;
    } else if join.subdir_count != group.subdir_count {
        return Err(Status::EINVAL);
    }
    Ok(())
}
