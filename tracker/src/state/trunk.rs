//! The trunk server of each group: who manages the slots of trunk files, when another one is needed, and who that is.
//!
//! Only the leader chooses. What it has to ask storages before is done by its driver (`tracker::trunk`), which comes back
//! with the answers. A trunk server that is silent is replaced late (native-cluster.md 4.2): its successor knows of the
//! slots that it gave away only what it had sent before, and takes some that are used for free ones.

use std::net::SocketAddr;

use protocol::config::tracker_conf::StoreServer;
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::{Cluster, Group, Leadership, Member, Refusal, Session, TrunkMode};

/// Intervals in which a trunk server has to beat once.
const PATIENCE: i64 = 2;
/// Intervals at its start: it may read a long trunk binlog then.
const YOUNG: i64 = 10;

/// A group that needs a trunk server, and who can be it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkElection {
    /// The group.
    pub group: GroupName,
    /// The member that takes uploads, then the others that may, by id.
    pub candidates: Vec<(StorageId, SocketAddr)>,
    /// Who was it last. Another one has to forget what it knows of an earlier time.
    pub last: Option<StorageId>,
}

/// A trunk server took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkChange {
    /// The group.
    pub group: GroupName,
    /// Who was it, as the log of changes names it.
    pub before: Option<String>,
    /// Who is.
    pub after: String,
}

/// Of those who answered with the size of their trunk binlog, in the order of candidates, who knows most.
pub fn best_candidate(sizes: &[(StorageId, u64)]) -> Option<StorageId> {
    let mut best: Option<(StorageId, u64)> = None;
    for (id, size) in sizes {
        if best.is_none_or(|(_, most)| *size > most) {
            best = Some((*id, *size));
        }
    }
    best.map(|(id, _)| id)
}

impl Cluster {
    /// Groups that need another trunk server now.
    pub fn trunk_elections(&mut self, now: i64) -> Vec<TrunkElection> {
        if self.rules.use_trunk_file == TrunkMode::Off || self.leadership != Leadership::Own {
            return Vec::new();
        }
        // Nobody has beaten here while another tracker led, or this one was down.
        if self.leads_since.is_none_or(|(changes, _)| changes != self.leader_changes) {
            self.leads_since = Some((self.leader_changes, now));
        }
        let since = self.leads_since.map_or(now, |(_, since)| since);
        let needs = |group: &&Group| !self.keeps_trunk_server(group, since, now);
        let groups = self.groups.iter().filter(needs);
        groups
            .map(|group| self.election_in(group))
            .filter(|election| {
                let current = self.group(election.group).and_then(|group| group.trunk_server);
                election.candidates.iter().any(|(id, _)| Some(*id) != current)
            })
            .collect()
    }

    fn election_in(&self, group: &Group) -> TrunkElection {
        let mut candidates: Vec<&Member> = group.writable().collect();
        if self.rules.store_server == StoreServer::LowestPriority {
            // Stable, so that equals stay by id.
            candidates.sort_by_key(|member| member.upload_priority);
        }
        let address = |member: &Member| (member.id, SocketAddr::new(member.ip, member.port));
        TrunkElection {
            group: group.name,
            candidates: candidates.into_iter().map(address).collect(),
            last: group.last_trunk_server,
        }
    }

    fn keeps_trunk_server(&self, group: &Group, since: i64, now: i64) -> bool {
        let Some(member) = group.trunk_server.and_then(|id| group.member(&id)) else { return false };
        let interval = self.rules.check_active_interval;
        let is_young = member.last_beat - member.up_time < YOUNG * interval;
        let patience = if is_young { self.rules.trunk_start_patience } else { PATIENCE };
        !member.is_gone() && now - member.last_beat.max(since) <= patience * interval
    }

    /// Whether command 94 may name a trunk server: the one to name, if a storage was wanted; or the present one, which stays if
    /// none was; else there is to be an election, among all or of the wanted one.
    pub fn may_name_trunk_server(&self, name: GroupName, id: Option<&StorageId>) -> Result<Naming, Refusal> {
        if self.rules.use_trunk_file == TrunkMode::Off || self.leadership() != Leadership::Own {
            return Err(Status::EOPNOTSUPP);
        }
        let group = self.group(name).ok_or(Status::ENOENT)?;
        let is_active = |member: &Member| member.status == protocol::cluster::StorageStatus::ACTIVE;
        let present = group.trunk_server.filter(|old| group.member(old).is_some_and(is_active));
        match (id, present) {
            (None, Some(present)) => return Ok(Naming::Present(present)),
            (Some(id), Some(old)) if old == *id => return Err(Status::EALREADY),
            (Some(_), Some(_)) => return Err(Status::EEXIST),
            (_, None) => {}
        }
        let mut election = self.election_in(group);
        if let Some(id) = id {
            let member = group.member(id).ok_or(Status::ENOENT)?;
            if !is_active(member) {
                return Err(Status::ENONET);
            }
            if !member.is_writable() {
                return Err(Status::EACCES);
            }
            election.candidates.retain(|(candidate, _)| candidate == id);
        }
        Ok(Naming::Elect(election))
    }

    /// An election has a winner, who was asked whether it can. Refused if things have changed meanwhile.
    pub fn elect_trunk_server(
        &mut self,
        election: &TrunkElection,
        winner: StorageId,
    ) -> Result<TrunkChange, Refusal> {
        if self.leadership != Leadership::Own {
            return Err(Status::EOPNOTSUPP);
        }
        let with_ids = self.rules.ids.is_some();
        let group = self.group_mut(election.group)?;
        if group.last_trunk_server != election.last {
            return Err(Status::EBUSY);
        }
        let name = |group: &Group, id: StorageId| {
            let place = group.member(&id).map(|member| SocketAddr::new(member.ip, member.port).to_string());
            let place = place.unwrap_or_else(|| id.to_string());
            if with_ids { format!("{id}/{place}") } else { place }
        };
        if !group.member(&winner).is_some_and(Member::is_writable) {
            return Err(Status::ENOENT);
        }
        let before = group.trunk_server.map(|id| name(group, id));
        let change = TrunkChange { group: election.group, before, after: name(group, winner) };
        group.trunk_free_mb = 0;
        info!(group = %group.name, storage = %winner, before = change.before.as_deref().unwrap_or("-"), "trunk server chosen");
        self.set_trunk_server(election.group, Some(winner));
        self.changed_for_good();
        Ok(change)
    }

    /// Highest trunk file of the sender's group, for command 72.
    pub fn trunk_file_id(&self, session: &Session) -> Result<i32, Refusal> {
        let (group, _) = session.joined.ok_or(Status::EACCES)?;
        Ok(self.group(group).ok_or(Status::ENOENT)?.trunk_file_id)
    }

    /// The trunk server has made a trunk file, command 73.
    pub fn report_trunk_file_id(&mut self, session: &Session, id: i32) -> Result<(), Refusal> {
        let Some(group) = self.of_trunk_server(session)? else { return Ok(()) };
        if id > group.trunk_file_id {
            group.trunk_file_id = id;
            self.changed_for_good();
        }
        Ok(())
    }

    /// Free space in trunk files, command 74.
    pub fn report_trunk_free(&mut self, session: &Session, free_mb: i64) -> Result<(), Refusal> {
        let Some(group) = self.of_trunk_server(session)? else { return Ok(()) };
        group.trunk_free_mb = free_mb.max(0);
        self.recompute_current_group();
        Ok(())
    }

    /// The group whose trunk server speaks. A tracker that follows may not have heard yet who that is; it takes no notice
    /// of what another one says.
    fn of_trunk_server(&mut self, session: &Session) -> Result<Option<&mut Group>, Refusal> {
        let (group, id) = session.joined.ok_or(Status::EACCES)?;
        let follows = self.rules.use_trunk_file == TrunkMode::On && self.leadership != Leadership::Own;
        let group = self.group_mut(group)?;
        match group.trunk_server == Some(id) {
            true => Ok(Some(group)),
            false if follows => Ok(None),
            false => Err(Status::EINVAL),
        }
    }
}

/// What command 94 comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// There is one, and it stays.
    Present(StorageId),
    /// One of these has to be asked.
    Elect(TrunkElection),
}
