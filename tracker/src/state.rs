//! The cluster as a tracker sees it: groups, their members, and what each may be asked.
//!
//! No socket, file, clock or randomness. Times are unix seconds and arguments. A call that changes what has to be on
//! disk sets [`Cluster::is_dirty`]; the caller saves.

mod admin;
mod adopt;
mod fill;
mod group;
mod holders;
mod join;
mod leader;
mod member;
mod modes;
mod records;
mod replication;
mod reports;
mod schedule;
mod session;
mod space;
mod telling;
mod trunk;
mod warnings;

pub use group::{Group, MixedPorts};
pub use holders::{Has, Holder};
pub use leader::Leadership;
pub use member::Member;
pub use replication::{Pair, Reported};
pub use schedule::{Door, Placed, Placement, Wanted};
pub use session::{Peer, Session};
pub use telling::Heard;
pub use trunk::{Naming, TrunkChange, TrunkElection, best_candidate};
pub use warnings::{Trouble, Warning};

use protocol::config::params::StorePathChoice;
use protocol::config::tracker_conf::{DownloadServer, StoreLookup, StoreServer};
use protocol::config::{ReservedSpace, StorageIds};
use protocol::{AddressWidth, GroupName, Status, StorageId};

/// What the configuration says about scheduling and membership.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How a group is chosen.
    pub store_lookup: StoreLookup,
    /// How a storage is chosen for an upload.
    pub store_server: StoreServer,
    /// How a store path is chosen.
    pub store_path: StorePathChoice,
    /// How a storage is chosen for a download.
    pub download_server: DownloadServer,
    /// Space that uploads may not use.
    pub reserved: ReservedSpace,
    /// Silence after which a storage counts as offline, seconds.
    pub check_active_interval: i64,
    /// Age at which a file counts as replicated everywhere, seconds.
    pub sync_max_delay: i64,
    /// Longest replication of one file, seconds.
    pub sync_max_time: i64,
    /// Whether small files go to trunk files.
    pub use_trunk_file: TrunkMode,
    /// Check intervals that a trunk server that has just started may be silent.
    pub trunk_start_patience: i64,
    /// The table of storage ids, where the cluster uses ids.
    pub ids: Option<StorageIds>,
    /// Whether a storage's own word about its id counts.
    pub trust_storage_id: IdTrust,
    /// Whether names carry ids, so that members may use different ports.
    pub names: NameSource,
    /// Width of addresses in answers.
    pub width: AddressWidth,
}

#[cfg(test)]
impl Rules {
    /// Of a cluster by addresses, everything in turn.
    pub(crate) fn plain() -> Self {
        Self {
            store_lookup: StoreLookup::RoundRobin,
            store_server: StoreServer::RoundRobin,
            store_path: StorePathChoice::RoundRobin,
            download_server: DownloadServer::RoundRobin,
            reserved: ReservedSpace::Megabytes(1000),
            check_active_interval: 100,
            sync_max_delay: 86_400,
            sync_max_time: 300,
            use_trunk_file: TrunkMode::Off,
            trunk_start_patience: 3,
            ids: None,
            trust_storage_id: IdTrust::Trusted,
            names: NameSource::Ip,
            width: AddressWidth::V4,
        }
    }
}

/// Whether the cluster uses trunk files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkMode {
    /// Small files share trunk files.
    On,
    /// Every file is a file.
    Off,
}

/// Whether a storage's own word about its id counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTrust {
    /// It does, if the table has it.
    Trusted,
    /// The table decides by address.
    ByAddress,
}

/// What names carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// The storage's address.
    Ip,
    /// The storage's number.
    Id,
}

/// A refusal: the status that a native client hears.
pub type Refusal = Status;

/// All that a tracker knows.
#[derive(Debug)]
pub struct Cluster {
    rules: Rules,
    /// By name.
    groups: Vec<Group>,
    /// Index of the group whose turn it is.
    current_group: usize,
    /// Lines of the changelog, all of them.
    changelog: Vec<u8>,
    dirty: Dirty,
    leadership: Leadership,
    /// Grows with every change of it.
    leader_changes: u64,
    /// Grows with every change of a trunk server or of the groups.
    trunk_changes: u64,
    /// Since when this tracker leads, with the number of that change of leader.
    leads_since: Option<(u64, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dirty {
    Clean,
    Changed,
    Urgent,
}

impl Cluster {
    /// A cluster without groups.
    pub fn new(rules: Rules) -> Self {
        Self::with(rules, Vec::new(), Vec::new())
    }

    /// A cluster as it was saved: everybody who was connected is offline now.
    pub fn restore(rules: Rules, mut groups: Vec<Group>, changelog: Vec<u8>) -> Self {
        groups.sort_by_key(|group| group.name);
        let mut cluster = Self::with(rules, groups, changelog);
        for at in 0..cluster.groups.len() {
            let Some(name) = cluster.groups.get(at).map(|group| group.name) else { continue };
            let (moves, last_loss) = (cluster.moves_of(name), cluster.last_loss(name));
            if let Some(group) = cluster.groups.get_mut(at) {
                group.moves = moves;
                group.lost_until = last_loss;
                group.recall_losses();
                group.recount_space();
            }
        }
        cluster
    }

    /// A lone tracker leads, until it hears of another one.
    fn with(rules: Rules, groups: Vec<Group>, changelog: Vec<u8>) -> Self {
        Self {
            rules,
            groups,
            current_group: 0,
            changelog,
            dirty: Dirty::Clean,
            leadership: Leadership::Own,
            leader_changes: 1,
            trunk_changes: 1,
            leads_since: None,
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// All groups, by name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A group.
    pub fn group(&self, name: GroupName) -> Option<&Group> {
        self.position(name).ok().and_then(|at| self.groups.get(at))
    }

    fn position(&self, name: GroupName) -> Result<usize, usize> {
        self.groups.binary_search_by_key(&name, |group| group.name)
    }

    fn group_mut(&mut self, name: GroupName) -> Result<&mut Group, Refusal> {
        let at = self.position(name).map_err(|_| Status::ENOENT)?;
        self.groups.get_mut(at).ok_or(Status::ENOENT)
    }

    fn member_mut(&mut self, group: GroupName, id: &StorageId) -> Result<&mut Member, Refusal> {
        self.group_mut(group)?.member_mut(id).ok_or(Status::ENOENT)
    }

    /// Something is to be saved soon.
    fn changed(&mut self) {
        if self.dirty == Dirty::Clean {
            self.dirty = Dirty::Changed;
        }
    }

    /// Something is to be saved before whoever changed it is answered.
    fn changed_for_good(&mut self) {
        self.dirty = Dirty::Urgent;
    }

    /// Whether something has to be saved.
    pub fn is_dirty(&self) -> bool {
        self.dirty != Dirty::Clean
    }

    /// Whether that has to be before an answer: a storage will act on it and say it only once.
    pub fn is_urgent(&self) -> bool {
        self.dirty == Dirty::Urgent
    }

    /// The caller has taken a snapshot to save.
    pub fn snapshot_taken(&mut self) {
        self.dirty = Dirty::Clean;
    }

    /// The snapshot could not be saved: it is still to be done.
    pub fn snapshot_failed(&mut self) {
        self.changed();
    }

    /// The whole changelog.
    pub fn changelog(&self) -> &[u8] {
        &self.changelog
    }

    fn log_change(&mut self, line: &str) {
        self.changelog.extend_from_slice(line.as_bytes());
        self.changed_for_good();
    }
}

#[cfg(test)]
mod tests;
