//! How a storage becomes a member: JOIN, and losing it again.

use std::net::IpAddr;

use protocol::cluster::{Join, JoinAnswer, StorageStatus};
use protocol::config::storage_ids::RwMode;
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::group::MixedPorts;
use super::{Cluster, Group, Heard, IdTrust, Member, NameSource, Refusal, Session};

/// Limits of the protocol.
const MAX_GROUPS: usize = 512;
pub(super) const MAX_MEMBERS: usize = 32;

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
            group.gives_all(&id);
        } else {
            settle_return(group, &id, join);
        }

        let changelog_end = self.changelog.len();
        let group = self.groups.get_mut(at).ok_or(Status::ENOENT)?;
        let member = group.member_mut(&id).ok_or(Status::ENOENT)?;
        let before = member.status;
        let (ip, alternate) = entry_ips.unwrap_or((session.peer.ip(), None));
        member.ip = ip;
        member.alternate_ip = alternate;
        member.rw = member.rw_set.or(rw).unwrap_or(RwMode::Both);
        member.port = join.port;
        member.store_path_count = join.store_path_count;
        member.subdir_count = join.subdir_count;
        member.upload_priority = join.upload_priority;
        member.join_time = join.join_time;
        member.up_time = join.up_time;
        member.version.clone_from(&join.version);
        member.connection = Some(session.peer.connection);
        // Who runs there now may be FastDFS, which reports nothing.
        member.reported = None;
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
        let starts_over = group.member(&id).is_some_and(|member| member.status == StorageStatus::INIT);
        session.joined = Some((join.group, id));
        session.told_changes = 0;
        session.heard = Heard::since(join, now);
        session.told_leader = 0;
        if starts_over {
            self.changed_for_good()
        } else {
            self.changed()
        }
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
                self.trunk_changes += 1;
                info!(group = %name, "group created");
                Ok(at)
            }
        }
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
        self.replace_lost_sources(now);
    }
}

/// The record of a storage that the group does not know; one that the group has deleted is told so.
fn newcomer(group: &Group, id: StorageId, peer: IpAddr, join: &Join) -> Result<Member, Refusal> {
    let reported = join.status.unwrap_or(StorageStatus::INIT);
    let can_join = [
        StorageStatus::INIT,
        StorageStatus::WAIT_SYNC,
        StorageStatus::SYNCING,
        StorageStatus::OFFLINE,
        StorageStatus::ONLINE,
        StorageStatus::ACTIVE,
        StorageStatus::RECOVERY,
    ];
    let is_stale = join.is_new == 0 && (join.status.is_none() || !can_join.contains(&reported));
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

/// A storage that the group knows comes back. One that was deleted starts over. So does one on an empty disk; the
/// reference counts it as ONLINE until it asks for a source, so that another tracker, which it does not ask, lets it
/// serve without a file, and members that see it ONLINE never fill it (native-cluster.md 2.7).
fn settle_return(group: &mut Group, id: &StorageId, join: &Join) {
    let newest = group.newest_of(id);
    let Some(member) = group.member_mut(id) else { return };
    if member.is_gone() {
        member.forget_content();
    } else if join.is_new != 0 {
        if member.status != StorageStatus::INIT {
            info!(group = %join.group, storage = %id, "comes back on an empty disk");
        }
        member.forget_content();
        member.lost_until = newest;
    } else {
        return;
    }
    member.status = StorageStatus::INIT;
    group.changes += 1;
    group.gives_all(id);
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
