//! Where a client is sent. Native and REST calls use these functions, no others.

use std::net::IpAddr;

use protocol::config::params::StorePathChoice;
use protocol::config::tracker_conf::{DownloadServer, StoreLookup, StoreServer};
use protocol::file_id::{CODE_LEN, NameCode, Source, StorePathIndex};
use protocol::tracker::{FileName, Server};
use protocol::{GroupName, Status, StorageId};

use super::{Cluster, Group, Member, Refusal, TrunkMode};

/// A place to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Chosen group.
    pub group: GroupName,
    /// Chosen storage; for a query of all, every writable one, by id.
    pub servers: Vec<Server>,
    /// Store path on the first of them.
    pub store_path: StorePathIndex,
}

/// What a name says that matters for scheduling.
struct NameFacts {
    source: Option<Source>,
    timestamp: i64,
    /// Whether every member with the file has the same: not an appender, not a slave.
    is_normal: bool,
}

impl NameFacts {
    /// Decodes whatever bytes a client sent; a name that holds no code is normal, old, and of unknown source.
    fn of(name: &FileName) -> Self {
        const CODE_AT: usize = 10;
        const NORMAL_LEN: usize = 44;
        const TRUNK_LEN: usize = 60;
        let len = name.as_bytes().len();
        let code =
            name.as_bytes().get(CODE_AT..CODE_AT + CODE_LEN).and_then(|code| NameCode::decode(code).ok());
        match code {
            Some(code) => {
                let is_slave = len > TRUNK_LEN || (len > NORMAL_LEN && !code.size.is_trunk());
                Self {
                    source: Some(code.source),
                    timestamp: code.timestamp.into(),
                    is_normal: !code.size.is_appender() && !is_slave,
                }
            }
            None => Self { source: None, timestamp: 0, is_normal: true },
        }
    }

    fn maker<'a>(&self, group: &'a Group) -> Option<&'a Member> {
        group.maker(self.source?)
    }
}

fn server(member: &Member, client: IpAddr) -> Server {
    Server { ip: member.address_for(client), port: member.port }
}

impl Cluster {
    /// One place to upload, in this group or in one chosen by `store_lookup`.
    pub fn query_store(&mut self, group: Option<GroupName>, client: IpAddr) -> Result<Placement, Refusal> {
        let at = self.choose_group(group)?;
        let id = self.choose_writable(at).ok_or(Status::ENOENT)?;
        let store_path = self.choose_path(at, &id)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let member = group.member(&id).ok_or(Status::ENOENT)?;
        Ok(Placement { group: group.name, servers: vec![server(member, client)], store_path })
    }

    /// All places to upload; the store path is chosen for the first.
    pub fn query_store_all(
        &mut self,
        group: Option<GroupName>,
        client: IpAddr,
    ) -> Result<Placement, Refusal> {
        let at = self.choose_group(group)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let servers = group.writable().map(|member| server(member, client)).collect();
        let (name, first) =
            (group.name, group.writable().next().map(|member| member.id).ok_or(Status::ENOENT)?);
        Ok(Placement { group: name, servers, store_path: self.choose_path(at, &first)? })
    }

    /// One place to read a file.
    pub fn query_fetch(
        &mut self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
        now: i64,
    ) -> Result<Server, Refusal> {
        let facts = NameFacts::of(name);
        let at = self.position(group).map_err(|_| Status::ENOENT)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let count = group.readable().count();
        if count == 0 {
            return Err(Status::ENOENT);
        }
        let source = facts.maker(group);
        let asks_source = !facts.is_normal || self.rules.download_server == DownloadServer::Source;
        if let (true, Some(source)) = (asks_source, source.filter(|source| source.is_readable())) {
            return Ok(server(source, client));
        }
        if facts.is_normal {
            let turn = group.read_turn % count;
            let cyclic = group.readable().chain(group.readable()).enumerate().skip(turn).take(count);
            let found = cyclic
                .filter(|(_, member)| self.is_eligible(member, source, &facts, now))
                .map(|(at, member)| (at, server(member, client)))
                .next();
            if let Some((turn, server)) = found {
                if let Some(group) = self.groups.get_mut(at) {
                    group.read_turn = (turn + 1) % count;
                }
                return Ok(server);
            }
        }
        self.likeliest(group, &facts).map(|member| server(member, client)).ok_or(Status::ENOENT)
    }

    /// All places to read a file.
    pub fn query_fetch_all(
        &self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
        now: i64,
    ) -> Result<Vec<Server>, Refusal> {
        let facts = NameFacts::of(name);
        let at = self.position(group).map_err(|_| Status::ENOENT)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        if group.readable().next().is_none() {
            return Err(Status::ENOENT);
        }
        let source = facts.maker(group);
        let serves = |member: &&Member| {
            if facts.is_normal {
                self.is_eligible(member, source, &facts, now)
            } else {
                source.is_some_and(|source| source.id == member.id)
            }
        };
        let mut servers: Vec<_> =
            group.readable().filter(serves).map(|member| server(member, client)).collect();
        if servers.is_empty() {
            servers.extend(self.likeliest(group, &facts).map(|member| server(member, client)));
        }
        if servers.is_empty() { Err(Status::ENOENT) } else { Ok(servers) }
    }

    /// The place to change a file: its source, or the next storage that takes writes.
    pub fn query_update(
        &mut self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
    ) -> Result<Server, Refusal> {
        let facts = NameFacts::of(name);
        let at = self.position(group).map_err(|_| Status::ENOENT)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        if let Some(source) = facts.maker(group).filter(|source| source.is_writable()) {
            return Ok(server(source, client));
        }
        let id = self.choose_writable(at).ok_or(Status::ENOENT)?;
        let member = self.groups.get(at).and_then(|group| group.member(&id)).ok_or(Status::ENOENT)?;
        Ok(server(member, client))
    }

    /// Whether a member surely has a normal file: it made it, or has newer ones of the same maker, or it is so old that
    /// all have it (native-cluster.md 3.9). The reference compares with one time for all makers, and so sends clients
    /// to members that have newer files of another maker only. Of a maker that is no member nothing better is known.
    fn is_eligible(&self, member: &Member, source: Option<&Member>, facts: &NameFacts, now: i64) -> bool {
        let age = now - facts.timestamp;
        let synced = match source {
            Some(source) if source.id == member.id => return true,
            Some(source) => member.has_from(&source.id),
            None => member.last_synced,
        };
        age > self.rules.sync_max_delay
            || synced > facts.timestamp
            || (synced + 1 >= facts.timestamp && age > self.rules.sync_max_time)
    }

    /// Who is asked when nobody surely has the file: whoever has most of its maker's; of equals the group's upload
    /// server, as in the reference.
    fn likeliest<'a>(&self, group: &'a Group, facts: &NameFacts) -> Option<&'a Member> {
        let upload = match self.rules.store_server {
            StoreServer::LowestPriority => group.writable().min_by_key(|member| member.upload_priority),
            _ => group.writable().next(),
        };
        let source = facts.maker(group);
        let has = |member: &Member| source.map_or(0, |source| member.has_from(&source.id));
        let is_upload = |member: &Member| upload.is_some_and(|upload| upload.id == member.id);
        // The last of equals wins, so the first by id has to come last.
        group
            .readable()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .max_by_key(|member| (has(member), is_upload(member)))
    }

    fn choose_group(&mut self, named: Option<GroupName>) -> Result<usize, Refusal> {
        let fixed = match (&self.rules.store_lookup, named) {
            (_, Some(group)) => Some(group),
            (StoreLookup::Fixed(group), None) => Some(*group),
            _ => None,
        };
        if let Some(name) = fixed {
            let at = self.position(name).map_err(|_| Status::ENOENT)?;
            let group = self.groups.get(at).ok_or(Status::ENOENT)?;
            if group.writable().next().is_none() {
                return Err(Status::ENOENT);
            }
            let has_room = self.group_has_room(group) || self.group_has_trunk_room(group);
            return if has_room { Ok(at) } else { Err(Status::ENOSPC) };
        }
        let chosen = self.scan_groups()?;
        if self.rules.store_lookup == StoreLookup::RoundRobin {
            self.current_group = (chosen + 1) % self.groups.len();
        }
        Ok(chosen)
    }

    /// The current group if it will do, else the next that does.
    fn scan_groups(&mut self) -> Result<usize, Refusal> {
        let count = self.groups.len();
        if count == 0 {
            return Err(Status::ENOENT);
        }
        let current = self.current_group % count;
        let is_writable =
            |at: &usize| self.groups.get(*at).is_some_and(|group| group.writable().next().is_some());
        let has_room = |at: &usize| self.groups.get(*at).is_some_and(|group| self.group_has_room(group));
        let has_trunk_room =
            |at: &usize| self.groups.get(*at).is_some_and(|group| self.group_has_trunk_room(group));
        let current_will_do = is_writable(&current)
            && (has_room(&current)
                || (self.rules.store_lookup == StoreLookup::MostFree && has_trunk_room(&current)));
        if current_will_do {
            return Ok(current);
        }
        let mut others = (current + 1..count).chain(0..current);
        if let Some(next) = others.find(|at| is_writable(at) && has_room(at)) {
            self.current_group = next;
            return Ok(next);
        }
        if !(0..count).any(|at| is_writable(&at)) {
            return Err(Status::ENOENT);
        }
        (0..count).find(|at| is_writable(at) && has_trunk_room(at)).ok_or(Status::ENOSPC)
    }

    /// After a report of space: the group with most free space is current.
    pub(super) fn recompute_current_group(&mut self) {
        if self.rules.store_lookup != StoreLookup::MostFree {
            return;
        }
        let writable =
            || self.groups.iter().enumerate().filter(|(_, group)| group.writable().next().is_some());
        let most = |value: fn(&Group) -> i64| {
            let mut best: Option<(usize, i64)> = None;
            for (at, group) in writable() {
                if best.is_none_or(|(_, most)| value(group) > most) {
                    best = Some((at, value(group)));
                }
            }
            best.map(|(at, _)| at)
        };
        let Some(mut best) = most(|group| group.free_mb) else { return };
        let is_full = self.groups.get(best).is_some_and(|group| !self.group_has_room(group));
        if is_full && self.rules.use_trunk_file == TrunkMode::On {
            best = most(|group| group.trunk_free_mb).unwrap_or(best);
        }
        self.current_group = best;
    }

    fn choose_writable(&mut self, at: usize) -> Option<StorageId> {
        let group = self.groups.get_mut(at)?;
        match self.rules.store_server {
            StoreServer::First => group.writable().next().map(|member| member.id),
            StoreServer::LowestPriority => {
                group.writable().min_by_key(|member| member.upload_priority).map(|member| member.id)
            }
            StoreServer::RoundRobin => {
                let count = group.writable().count();
                if count <= 1 {
                    return group.writable().next().map(|member| member.id);
                }
                let turn = group.write_turn % count;
                group.write_turn = turn + 1;
                group.writable().nth(turn).map(|member| member.id)
            }
        }
    }

    fn choose_path(&mut self, at: usize, id: &StorageId) -> Result<StorePathIndex, Refusal> {
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let member = group.member(id).ok_or(Status::ENOENT)?;
        if member.paths.is_empty() {
            return Err(Status::ENOENT);
        }
        let path = self.path_with_room(group, member).ok_or(Status::ENOSPC)?;
        let next = match self.rules.store_path {
            StorePathChoice::RoundRobin => (path + 1) % member.paths.len(),
            StorePathChoice::MostFree => path,
        };
        if let Some(member) = self.groups.get_mut(at).and_then(|group| group.member_mut(id)) {
            member.current_write_path = next;
        }
        u8::try_from(path).map(StorePathIndex).map_err(|_| Status::EINVAL)
    }
}
