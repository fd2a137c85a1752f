//! Where a client is sent. Native and REST calls use these functions, no others.

use std::net::IpAddr;

use protocol::config::params::StorePathChoice;
use protocol::config::tracker_conf::{DownloadServer, StoreLookup, StoreServer};
use protocol::file_id::{CODE_LEN, NameCode, Source, StorePathIndex};
use protocol::tracker::{FileName, Server};
use protocol::{GroupName, Status, StorageId};

use super::{Cluster, Group, Member, Refusal, TrunkMode};

/// What an upload needs of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its group, if that matters.
    pub group: Option<GroupName>,
    /// Bytes that it will store; 0 if nobody knows, as in the native protocol.
    pub size: u64,
    /// How it will be sent.
    pub door: Door,
}

/// How a client comes to a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// By the native protocol, which all storages speak.
    Native,
    /// By HTTP to a storage of fdfs. FastDFS's take no uploads that way.
    Http,
    /// By HTTP where the group has such a storage, else natively.
    Either,
}

impl Wanted {
    /// By the native protocol, which tells no size.
    fn native(group: Option<GroupName>) -> Self {
        Self { group, size: 0, door: Door::Native }
    }

    /// Megabytes that have to be free besides the reserve.
    fn need_mb(&self) -> i64 {
        i64::try_from(self.size.div_ceil(1 << 20)).unwrap_or(i64::MAX)
    }
}

/// Where an upload was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Chosen group.
    pub group: GroupName,
    /// Chosen storage.
    pub storage: StorageId,
    /// Chosen store path of it.
    pub store_path: StorePathIndex,
}

/// A place to upload, as the native protocol answers it.
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
pub(super) struct NameFacts {
    source: Option<Source>,
    pub(super) timestamp: i64,
    /// Whether every member with the file has the same: not an appender, not a slave.
    pub(super) is_normal: bool,
}

impl NameFacts {
    /// Decodes whatever bytes a client sent; a name that holds no code is normal, old, and of unknown source.
    pub(super) fn of(name: &FileName) -> Self {
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

    pub(super) fn maker<'a>(&self, group: &'a Group) -> Option<&'a Member> {
        group.maker(self.source?)
    }
}

fn server(member: &Member, client: IpAddr) -> Server {
    Server { ip: member.address_for(client), port: member.port }
}

impl Cluster {
    /// One place to upload, in this group or in one chosen by `store_lookup`.
    pub fn query_store(&mut self, group: Option<GroupName>, client: IpAddr) -> Result<Placement, Refusal> {
        let Placed { group, storage, store_path } = self.place(&Wanted::native(group))?;
        Ok(Placement { group, servers: vec![self.server(group, &storage, client)?], store_path })
    }

    /// All places to upload; the store path is chosen for the first.
    pub fn query_store_all(
        &mut self,
        group: Option<GroupName>,
        client: IpAddr,
    ) -> Result<Placement, Refusal> {
        let wanted = Wanted::native(group);
        let at = self.choose_group(&wanted)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let servers = group.writable().map(|member| server(member, client)).collect();
        let (name, first) =
            (group.name, group.writable().next().map(|member| member.id).ok_or(Status::ENOENT)?);
        Ok(Placement { group: name, servers, store_path: self.choose_path(at, &first, &wanted)? })
    }

    /// One place for an upload, which takes its turn.
    pub fn place(&mut self, wanted: &Wanted) -> Result<Placed, Refusal> {
        let at = self.choose_group(wanted)?;
        let storage = self.choose_writable(at, wanted).ok_or(Status::ENOENT)?;
        let store_path = self.choose_path(at, &storage, wanted)?;
        let group = self.groups.get(at).map(|group| group.name).ok_or(Status::ENOENT)?;
        Ok(Placed { group, storage, store_path })
    }

    /// One place to read a file.
    pub fn query_fetch(
        &mut self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
        now: i64,
    ) -> Result<Server, Refusal> {
        let storage = self.choose_readable(group, name, now)?;
        self.server(group, &storage, client)
    }

    /// All places to read a file.
    pub fn query_fetch_all(
        &self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
        now: i64,
    ) -> Result<Vec<Server>, Refusal> {
        let readers = self.readers(group, name, now)?;
        Ok(readers.into_iter().map(|member| server(member, client)).collect())
    }

    /// All members to read a file from: whose turn it is, then the others. It takes that turn.
    pub fn rank_readers(
        &mut self,
        group: GroupName,
        name: &FileName,
        now: i64,
    ) -> Result<Vec<StorageId>, Refusal> {
        let first = self.choose_readable(group, name, now)?;
        let all = self.readers(group, name, now)?;
        let others = all.into_iter().map(|member| member.id).filter(|id| *id != first);
        Ok([first].into_iter().chain(others).collect())
    }

    /// The place to change a file: its source, or the next storage that takes writes.
    pub fn query_update(
        &mut self,
        group: GroupName,
        name: &FileName,
        client: IpAddr,
    ) -> Result<Server, Refusal> {
        let storage = self.choose_changer(group, name, Door::Native)?;
        self.server(group, &storage, client)
    }

    /// The member to change a file at, as by `query_update`, that is reached by this door.
    pub fn choose_changer(
        &mut self,
        group: GroupName,
        name: &FileName,
        door: Door,
    ) -> Result<StorageId, Refusal> {
        let at = self.position(group).map_err(|_| Status::ENOENT)?;
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        if let Some(source) = NameFacts::of(name).maker(group)
            && group.takers(door).any(|member| member.id == source.id)
        {
            return Ok(source.id);
        }
        let wanted = Wanted { group: Some(group.name), size: 0, door };
        self.choose_writable(at, &wanted).ok_or(Status::ENOENT)
    }

    /// A member as the native protocol names it to `client`.
    fn server(&self, group: GroupName, id: &StorageId, client: IpAddr) -> Result<Server, Refusal> {
        let member = self.group(group).and_then(|group| group.member(id)).ok_or(Status::ENOENT)?;
        Ok(server(member, client))
    }

    /// The member to read a file from whose turn it is.
    fn choose_readable(&mut self, group: GroupName, name: &FileName, now: i64) -> Result<StorageId, Refusal> {
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
            return Ok(source.id);
        }
        if facts.is_normal {
            let turn = group.read_turn % count;
            let cyclic = group.readable().chain(group.readable()).enumerate().skip(turn).take(count);
            let found = cyclic
                .filter(|(_, member)| self.is_eligible(member, source, &facts, now))
                .map(|(at, member)| (at, member.id))
                .next();
            if let Some((turn, id)) = found {
                if let Some(group) = self.groups.get_mut(at) {
                    group.read_turn = (turn + 1) % count;
                }
                return Ok(id);
            }
        }
        self.likeliest(group, &facts).map(|member| member.id).ok_or(Status::ENOENT)
    }

    /// All members to read a file from, by id.
    fn readers(&self, group: GroupName, name: &FileName, now: i64) -> Result<Vec<&Member>, Refusal> {
        let facts = NameFacts::of(name);
        let group = self.group(group).ok_or(Status::ENOENT)?;
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
        let mut readers: Vec<_> = group.readable().filter(serves).collect();
        if readers.is_empty() {
            readers.extend(self.likeliest(group, &facts));
        }
        if readers.is_empty() { Err(Status::ENOENT) } else { Ok(readers) }
    }

    /// Whether a member surely has a normal file: it made it, or has newer ones of the same maker, or it is so old that
    /// all have it (native-cluster.md 3.9). The reference compares with one time for all makers, and so sends clients
    /// to members that have newer files of another maker only. Of a maker that is no member nothing better is known.
    pub(super) fn is_eligible(
        &self,
        member: &Member,
        source: Option<&Member>,
        facts: &NameFacts,
        now: i64,
    ) -> bool {
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

    fn choose_group(&mut self, wanted: &Wanted) -> Result<usize, Refusal> {
        let fixed = match (&self.rules.store_lookup, wanted.group) {
            (_, Some(group)) => Some(group),
            (StoreLookup::Fixed(group), None) => Some(*group),
            _ => None,
        };
        if let Some(name) = fixed {
            let at = self.position(name).map_err(|_| Status::ENOENT)?;
            let group = self.groups.get(at).ok_or(Status::ENOENT)?;
            if group.takers(wanted.door).next().is_none() {
                return Err(Status::ENOENT);
            }
            let has_room = self.takes(group, wanted) || self.takes_in_trunk(group, wanted);
            return if has_room { Ok(at) } else { Err(Status::ENOSPC) };
        }
        let chosen = self.scan_groups(wanted)?;
        if self.rules.store_lookup == StoreLookup::RoundRobin {
            self.current_group = (chosen + 1) % self.groups.len();
        }
        Ok(chosen)
    }

    /// The current group if it will do, else the next that does.
    fn scan_groups(&mut self, wanted: &Wanted) -> Result<usize, Refusal> {
        let count = self.groups.len();
        if count == 0 {
            return Err(Status::ENOENT);
        }
        let current = self.current_group % count;
        let is_writable =
            |at: &usize| self.groups.get(*at).is_some_and(|group| group.takers(wanted.door).next().is_some());
        let has_room = |at: &usize| self.groups.get(*at).is_some_and(|group| self.takes(group, wanted));
        let has_trunk_room =
            |at: &usize| self.groups.get(*at).is_some_and(|group| self.takes_in_trunk(group, wanted));
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

    /// Whether a group has room. A size that is known needs a store path, too, that has it.
    fn takes(&self, group: &Group, wanted: &Wanted) -> bool {
        let need_mb = wanted.need_mb();
        self.group_has_room(group, need_mb)
            && (need_mb == 0
                || group
                    .takers(wanted.door)
                    .any(|member| self.path_with_room(group, member, need_mb).is_some()))
    }

    /// Whether it has room counting trunk files.
    fn takes_in_trunk(&self, group: &Group, wanted: &Wanted) -> bool {
        self.group_has_trunk_room(group, wanted.need_mb())
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
        let is_full = self.groups.get(best).is_some_and(|group| !self.group_has_room(group, 0));
        if is_full && self.rules.use_trunk_file == TrunkMode::On {
            best = most(|group| group.trunk_free_mb).unwrap_or(best);
        }
        self.current_group = best;
    }

    /// The member for the next upload, of those that have room for it if its size is known.
    fn choose_writable(&mut self, at: usize, wanted: &Wanted) -> Option<StorageId> {
        let group = self.groups.get(at)?;
        let need_mb = wanted.need_mb();
        let fits = |member: &&Member| need_mb == 0 || self.path_with_room(group, member, need_mb).is_some();
        let mut takers = group.takers(wanted.door).filter(fits);
        match self.rules.store_server {
            StoreServer::First => takers.next().map(|member| member.id),
            StoreServer::LowestPriority => {
                takers.min_by_key(|member| member.upload_priority).map(|member| member.id)
            }
            StoreServer::RoundRobin => {
                let ids: Vec<_> = takers.map(|member| member.id).collect();
                if ids.len() <= 1 {
                    return ids.first().copied();
                }
                let group = self.groups.get_mut(at)?;
                let turn = group.write_turn % ids.len();
                group.write_turn = turn + 1;
                ids.get(turn).copied()
            }
        }
    }

    fn choose_path(&mut self, at: usize, id: &StorageId, wanted: &Wanted) -> Result<StorePathIndex, Refusal> {
        let group = self.groups.get(at).ok_or(Status::ENOENT)?;
        let member = group.member(id).ok_or(Status::ENOENT)?;
        if member.paths.is_empty() {
            return Err(Status::ENOENT);
        }
        let path = self.path_with_room(group, member, wanted.need_mb()).ok_or(Status::ENOSPC)?;
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
