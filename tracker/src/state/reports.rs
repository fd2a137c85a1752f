//! What joined storages report: heart beats, disk usage, sync progress, statuses; and what they hear in return.

use std::net::IpAddr;

use protocol::cluster::{Brief, CheckSync, PathSpace, StorageStats, StorageStatus};
use protocol::config::params::StorePathChoice;
use protocol::config::tracker_conf::StoreServer;
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::join::MAX_MEMBERS;
use super::{Cluster, Group, Leadership, Member, Refusal, Session, TrunkMode};

impl Cluster {
    /// A heart beat.
    pub fn beat(
        &mut self,
        session: &mut Session,
        stats: Option<&StorageStats>,
        now: i64,
    ) -> Result<CheckSync, Refusal> {
        let (group, id) = session.joined.ok_or(Status::EACCES)?;
        let member = self.member_mut(group, &id)?;
        if let Some(stats) = stats {
            member.stats = *stats;
        }
        member.last_beat = now;
        session.heard.last_beat = now;
        self.activate(group, &id);
        Ok(self.news(session))
    }

    /// Space of every store path. A member with more paths than its group is heard too: refusing it would make it
    /// join again for ever.
    pub fn disk_usage(&mut self, session: &mut Session, paths: &[PathSpace]) -> Result<CheckSync, Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        let most_free = self.rules.store_path == StorePathChoice::MostFree;
        let member = self.member_mut(group_name, &id)?;
        let count = i64::try_from(paths.len()).unwrap_or(i64::MAX);
        if count != member.store_path_count {
            return Err(Status::EINVAL);
        }
        member.paths = paths.to_vec();
        member.total_mb = paths.iter().map(|path| path.total_mb).sum();
        member.free_mb = paths.iter().map(|path| path.free_mb).sum();
        if most_free {
            let emptiest = (0..paths.len()).rev().max_by_key(|at| paths.get(*at).map(|path| path.free_mb));
            member.current_write_path = emptiest.unwrap_or(0);
        }
        self.activate(group_name, &id);
        self.group_mut(group_name)?.recount_space();
        self.recompute_current_group();
        Ok(self.news(session))
    }

    /// Newest record received from every other member.
    pub fn sync_report(
        &mut self,
        session: &mut Session,
        received: &[(StorageId, i32)],
    ) -> Result<CheckSync, Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        let takes_minimum = self.rules.store_server == StoreServer::RoundRobin;
        let group = self.group_mut(group_name)?;
        let is_active = |source: &StorageId| {
            group.member(source).is_some_and(|member| member.status == StorageStatus::ACTIVE)
        };
        let counted: Vec<i64> = received
            .iter()
            .filter(|(source, timestamp)| {
                *source != id && *timestamp > 0 && (!takes_minimum || is_active(source))
            })
            .map(|(_, timestamp)| i64::from(*timestamp))
            .collect();
        let member = group.member_mut(&id).ok_or(Status::ENOENT)?;
        // Storages count anew from 0 at each start, but what they had they still have.
        for (source, timestamp) in received.iter().filter(|(source, time)| *source != id && *time > 0) {
            let newest = member.synced_from.entry(*source).or_default();
            *newest = (*newest).max(*timestamp);
        }
        if takes_minimum {
            if let Some(least) = counted.iter().min() {
                member.last_synced = *least;
            }
        } else if let Some(most) = counted.iter().max() {
            member.last_synced = member.last_synced.max(*most);
        }
        self.changed();
        Ok(self.news(session))
    }

    /// A report shows that the storage serves, unless it is still being filled or is gone.
    fn activate(&mut self, group_name: GroupName, id: &StorageId) {
        let Ok(group) = self.group_mut(group_name) else { return };
        let can_serve = group.member(id).is_some_and(|member| {
            matches!(member.status, StorageStatus::OFFLINE | StorageStatus::ONLINE | StorageStatus::RECOVERY)
        });
        if can_serve {
            group.set_status(id, StorageStatus::ACTIVE);
            group.recount_space();
            info!(group = %group_name, storage = %id, "storage is active");
            self.recompute_current_group();
            self.changed();
        }
    }

    /// What this connection has not heard yet. Only the leader tells.
    fn news(&mut self, session: &mut Session) -> CheckSync {
        let mut news = CheckSync::default();
        let Some((group, id)) = session.joined.filter(|_| self.leadership == Leadership::Own) else {
            return news;
        };
        let leader_changes = self.leader_changes;
        let with_trunk = self.rules.use_trunk_file == TrunkMode::On;
        let Ok(group) = self.group_mut(group) else { return news };
        if session.told_leader != leader_changes {
            session.told_leader = leader_changes;
            session.told_changes = 0;
            session.told_trunk = None;
            session.heard.forget();
            news.leader = Some(leader_brief(session.peer.local.ip(), session.peer.local.port()));
        }
        if with_trunk && session.told_trunk != Some(group.trunk_changes) {
            session.told_trunk = Some(group.trunk_changes);
            let server = group.trunk_server.and_then(|id| group.member(&id));
            news.trunk_server =
                Some(server.map_or(Brief::NONE, |member| member.brief_for(session.peer.ip())));
        }
        if session.told_changes != group.changes && session.heard.may_hear() {
            let (members, started) = session.list(group);
            news.members = Some(members);
            if let Some(member) = group.member_mut(&id) {
                member.started_for = started;
            }
        }
        news
    }

    /// A storage tells the status of another, or its own, command 76.
    pub fn report_status(
        &mut self,
        group_name: GroupName,
        told: &Brief,
        from: IpAddr,
    ) -> Result<(), Refusal> {
        let with_ids = self.rules.ids.as_ref();
        let is_listed = |id: &StorageId| with_ids.is_none_or(|ids| ids.by_id(id).is_some());
        let Some(id) = told.id else { return Err(Status::EINVAL) };
        let may_insert = is_listed(&id);
        let group = self.group_mut(group_name)?;
        let Some(member) = group.member(&id) else {
            if may_insert && group.insert_told(&id, told) {
                info!(group = %group_name, storage = %id, status = %told.status, "storage made known by a storage");
                self.changed_for_good();
            }
            return Ok(());
        };
        let Some(status) = group.merged(member, told.status, from) else { return Ok(()) };
        let (fills, source, filling) = (member.is_filling(), member.source, member.fills);
        group.set_status(&id, status);
        if let Some(source) = source.and_then(|source| group.member_mut(&source)) {
            source.started_for.insert(id, filling);
        }
        match status {
            StorageStatus::SYNCING => info!(group = %group_name, storage = %id, "old files are being copied"),
            StorageStatus::OFFLINE if fills => {
                info!(group = %group_name, storage = %id, "old files are copied")
            }
            _ => info!(group = %group_name, storage = %id, %status, "status told by a storage"),
        }
        if group.member(&id).is_some_and(Member::is_gone) {
            group.forget_source(&id);
        }
        self.changed_for_good();
        Ok(())
    }

    /// The leader's view of the sender, passed on by it, command 59.
    pub fn change_status(&mut self, session: &Session, status: StorageStatus) -> Result<(), Refusal> {
        let (group_name, id) = session.joined.ok_or(Status::EACCES)?;
        let group = self.group_mut(group_name)?;
        let member = group.member(&id).ok_or(Status::ENOENT)?;
        let serving =
            |status| [StorageStatus::OFFLINE, StorageStatus::ONLINE, StorageStatus::ACTIVE].contains(&status);
        let (before, status) = (member.status, if serving(status) { StorageStatus::OFFLINE } else { status });
        // What was deleted here comes back by joining only; the sender joins again right after this.
        if status == before || (serving(status) && serving(before)) || member.is_gone() {
            return Ok(());
        }
        if status > StorageStatus::OFFLINE {
            return Err(Status::EINVAL);
        }
        if let (true, Some(member)) = (status < StorageStatus::IP_CHANGED, group.member_mut(&id)) {
            member.begin_fill();
        }
        group.set_status(&id, status);
        if group.member(&id).is_some_and(Member::is_gone) {
            group.forget_source(&id);
        }
        info!(group = %group_name, storage = %id, %before, %status, "status set as the leading tracker has it");
        self.changed_for_good();
        Ok(())
    }

    /// Changelog lines that a storage has not read, at most 8 KiB of whole lines.
    pub fn changelog_for(&mut self, group: GroupName, id: &StorageId) -> Result<Vec<u8>, Refusal> {
        const CHUNK: usize = 8182;
        let offset = self.member_mut(group, id)?.changelog_offset;
        let unread = self.changelog.get(offset..).unwrap_or_default();
        let mut end = unread.len();
        if end > CHUNK {
            let window = unread.get(..CHUNK).unwrap_or_default();
            end = window.iter().rposition(|&byte| byte == b'\n').map_or(CHUNK, |at| at + 1);
        }
        let lines = unread.get(..end).unwrap_or_default().to_vec();
        if !lines.is_empty() {
            self.member_mut(group, id)?.changelog_offset = offset + end;
            self.changed();
        }
        Ok(lines)
    }

    /// Brief of a storage at an address, command 71.
    pub fn status_at(&self, group: GroupName, ip: IpAddr, port: u16) -> Result<Brief, Refusal> {
        let group = self.group(group).ok_or(Status::ENOENT)?;
        let is_it = |member: &&Member| {
            [Some(member.ip), member.alternate_ip].contains(&Some(ip))
                && (self.rules.ids.is_none() || member.port == port)
        };
        group.members.iter().find(is_it).map(|member| member.brief_for(member.ip)).ok_or(Status::ENOENT)
    }
}

impl Group {
    /// What a told status makes of a member's (native-cluster.md 2.5), if anything.
    ///
    /// Three rules more keep a member without its old files from service. One that is being filled may repair a disk
    /// meanwhile, but that does not fill it. Whether it is filled only its source can tell; one that was its source before
    /// says so, too, whenever it starts. And a copy ends after it has begun: one that ends while the member waits began
    /// before its disk was emptied once more.
    fn merged(&self, member: &Member, told: StorageStatus, from: IpAddr) -> Option<StorageStatus> {
        use StorageStatus as S;
        let has_address = |member: &Member| [Some(member.ip), member.alternate_ip].contains(&Some(from));
        let source = member.source.and_then(|source| self.member(&source));
        // A source may call from an address that nobody has told the tracker.
        let by_source = source.is_some_and(has_address) || !self.members.iter().any(has_address);
        match (member.status, told) {
            (S::INIT | S::ONLINE | S::ACTIVE | S::RECOVERY, _) => None,
            (before, S::DELETED | S::IP_CHANGED) => (before != told).then_some(told),
            (S::DELETED | S::IP_CHANGED, _) => None,
            (S::WAIT_SYNC, S::SYNCING) => by_source.then_some(told),
            (S::SYNCING, S::OFFLINE | S::ONLINE | S::ACTIVE) => by_source.then_some(S::OFFLINE),
            (S::OFFLINE, S::RECOVERY) => Some(told),
            _ => None,
        }
    }

    /// Makes a member known that only a storage has told of; gives whether that is new.
    fn insert_told(&mut self, id: &StorageId, told: &Brief) -> bool {
        let statuses = [
            StorageStatus::INIT,
            StorageStatus::WAIT_SYNC,
            StorageStatus::SYNCING,
            StorageStatus::OFFLINE,
            StorageStatus::RECOVERY,
        ];
        let (Some(ip), true) = (told.ip, statuses.contains(&told.status)) else { return false };
        if self.members.len() >= MAX_MEMBERS {
            return false;
        }
        let port = if told.port == 0 { self.port.unwrap_or(0) } else { told.port };
        let mut member = Member::new(*id, ip, port);
        member.status = told.status;
        self.insert(member);
        true
    }
}

/// A tracker as storages are told of it.
fn leader_brief(ip: IpAddr, port: u16) -> Brief {
    let text = ip.to_string();
    let id = StorageId::parse(text.get(..15).unwrap_or(&text)).ok();
    Brief { status: StorageStatus::INIT, port, id, ip: Some(ip) }
}
