//! A group: members that hold the same files.

use protocol::cluster::StorageStatus;
use protocol::file_id::Source;
use protocol::{GroupName, StorageId};

use super::{Door, Member};

/// A group and its members.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Native port of all members; `None` before the first joined or if they differ.
    pub port: Option<u16>,
    /// Whether members use different ports.
    pub mixed_ports: MixedPorts,
    /// Store paths of every member, 0 before the first joined.
    pub store_path_count: i64,
    /// Directories per level, 0 before the first joined.
    pub subdir_count: i64,
    /// Highest trunk file.
    pub trunk_file_id: i32,
    /// Free space in trunk files, MB.
    pub trunk_free_mb: i64,
    /// Who manages trunk files.
    pub trunk_server: Option<StorageId>,
    /// Who did last, even if there is nobody now.
    pub last_trunk_server: Option<StorageId>,
    /// Grows with every change of its trunk server.
    pub trunk_changes: u64,
    /// By id.
    pub members: Vec<Member>,
    /// Space of the member with the least free space, MB.
    pub total_mb: i64,
    /// Free space of that member, MB.
    pub free_mb: i64,
    /// Grows with every change that members have to hear of.
    pub changes: u64,
    /// Storages that went from one address, and id, to another.
    pub moves: Vec<(StorageId, StorageId)>,
    /// The newest file of a member that was deleted.
    pub lost_until: i64,
    /// Turn of the next upload.
    pub write_turn: usize,
    /// Turn of the next download.
    pub read_turn: usize,
}

/// Whether members of a group use different ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MixedPorts {
    /// All the same.
    No,
    /// Written as -1.
    Yes,
}

impl Group {
    /// A group without members.
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            port: None,
            mixed_ports: MixedPorts::No,
            store_path_count: 0,
            subdir_count: 0,
            trunk_file_id: 0,
            trunk_free_mb: 0,
            trunk_server: None,
            last_trunk_server: None,
            trunk_changes: 0,
            members: Vec::new(),
            total_mb: 0,
            free_mb: 0,
            changes: 1,
            moves: Vec::new(),
            lost_until: 0,
            write_turn: 0,
            read_turn: 0,
        }
    }

    /// A member.
    pub fn member(&self, id: &StorageId) -> Option<&Member> {
        self.position(id).ok().and_then(|at| self.members.get(at))
    }

    /// A member, to change it.
    pub fn member_mut(&mut self, id: &StorageId) -> Option<&mut Member> {
        self.position(id).ok().and_then(|at| self.members.get_mut(at))
    }

    fn position(&self, id: &StorageId) -> Result<usize, usize> {
        self.members.binary_search_by_key(id, |member| member.id)
    }

    /// Adds a member that is not there yet.
    pub fn insert(&mut self, member: Member) {
        if let Err(at) = self.position(&member.id) {
            self.members.insert(at, member);
            self.changes += 1;
        }
    }

    /// Members that take uploads, by id.
    pub fn writable(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_writable())
    }

    /// Members that take uploads by this door, by id.
    pub fn takers(&self, door: Door) -> impl Iterator<Item = &Member> {
        let only_http = match door {
            Door::Native => false,
            Door::Http => true,
            Door::Either => self.writable().any(|member| member.http_url().is_some()),
        };
        self.writable().filter(move |member| !only_http || member.http_url().is_some())
    }

    /// Members that serve downloads, by id.
    pub fn readable(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_readable())
    }

    /// The member that made names with `source`, also if it had another address then.
    pub fn maker(&self, source: Source) -> Option<&Member> {
        let is_maker =
            |member: &&Member| member.is_source(source) && member.status != StorageStatus::IP_CHANGED;
        self.members.iter().find(is_maker).or_else(|| {
            let Source::Ip(ip) = source else { return None };
            let old = StorageId::parse(&ip.to_string()).ok()?;
            // Every move is followed once, in the order in which they were made.
            let new = self.moves.iter().fold(old, |at, (from, to)| if *from == at { *to } else { at });
            self.member(&new).filter(|member| member.id != old)
        })
    }

    /// The port as the protocol writes it: -1 for different ones.
    pub fn wire_port(&self) -> i64 {
        match (self.mixed_ports, self.port) {
            (MixedPorts::Yes, _) => -1,
            (MixedPorts::No, port) => port.unwrap_or(0).into(),
        }
    }

    /// Sets a member's status; gives whether that changed it.
    pub fn set_status(&mut self, id: &StorageId, status: StorageStatus) -> Option<StorageStatus> {
        let member = self.member_mut(id)?;
        let before = std::mem::replace(&mut member.status, status);
        if before == status {
            return None;
        }
        self.changes += 1;
        Some(before)
    }

    /// The group has as much room as its fullest member.
    pub fn recount_space(&mut self) {
        let reported = |member: &&Member| !member.paths.is_empty() || member.total_mb > 0;
        let fullest = self
            .writable()
            .filter(reported)
            .min_by_key(|member| member.free_mb)
            .or_else(|| self.members.iter().filter(reported).min_by_key(|member| member.free_mb));
        if let Some((total, free)) = fullest.map(|member| (member.total_mb, member.free_mb)) {
            self.total_mb = total;
            self.free_mb = free;
        }
    }
}
