//! Who leads the trackers, which decides whether storages hear news from this one.

use std::net::SocketAddr;

use protocol::{GroupName, StorageId};

use super::{Cluster, Group};

/// Whom this tracker takes for the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// Nobody.
    Unknown,
    /// Itself.
    Own,
    /// Another tracker.
    Other(SocketAddr),
}

impl Cluster {
    /// Who leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership
    }

    /// There is another leader. A tracker that begins to lead tells every storage everything again: the leader before
    /// it may have told them something else.
    pub fn set_leadership(&mut self, leadership: Leadership) {
        if self.leadership != leadership {
            self.leadership = leadership;
            self.leader_changes += 1;
            self.groups.iter_mut().for_each(Group::senders_have_started);
        }
    }

    /// Trunk server of every group, by name, and a number that grows with every change of this list.
    pub fn trunk_servers(&self) -> (u64, Vec<(GroupName, Option<StorageId>)>) {
        (self.trunk_changes, self.groups.iter().map(|group| (group.name, group.trunk_server)).collect())
    }

    /// The leader's choice of a trunk server. Groups that this tracker does not know yet are left out: their storages
    /// join here too.
    pub fn set_trunk_server(&mut self, group: GroupName, server: Option<StorageId>) {
        let Ok(group) = self.group_mut(group) else { return };
        if group.trunk_server != server {
            group.trunk_server = server;
            group.last_trunk_server = server.or(group.last_trunk_server);
            group.trunk_changes += 1;
            self.trunk_changes += 1;
            self.changed();
        }
    }
}
