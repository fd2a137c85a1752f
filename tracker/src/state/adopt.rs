//! Taking over what another tracker knows, after this one was away for long or never knew anything.

use protocol::cluster::StorageStatus;
use protocol::{GroupName, StorageId};
use tracing::info;

use super::{Cluster, Group};

impl Cluster {
    /// Takes over groups, members and changelog of a tracker that knows better. What only this tracker knows stays,
    /// unless the other one saw it go: that one may be young.
    pub fn adopt(&mut self, other: Self) {
        let changelog_end = other.changelog.len();
        let own = std::mem::replace(&mut self.groups, other.groups);
        self.changelog = other.changelog;
        for mut group in own {
            let gone = gone(&self.changelog, group.name);
            let theirs = self.position(group.name);
            let known = |id: &StorageId| {
                theirs.ok().and_then(|at| self.groups.get(at)).is_some_and(|group| group.member(id).is_some())
            };
            group.members.retain(|member| !known(&member.id) && !gone.contains(&member.id));
            for member in &mut group.members {
                // Their changelog is another file than the one it has read.
                member.changelog_offset = changelog_end;
            }
            if !group.members.is_empty() {
                self.keep(theirs, group);
            }
        }
        for group in &mut self.groups {
            group.recount_space();
        }
        self.current_group = 0;
        self.trunk_changes += 1;
        self.recompute_current_group();
        self.changed_for_good();
    }

    /// Keeps members that only this tracker knows, in a group that both know or that is kept whole.
    fn keep(&mut self, theirs: Result<usize, usize>, group: Group) {
        let ids: Vec<_> = group.members.iter().map(|member| member.id.to_string()).collect();
        info!(group = %group.name, storages = ids.join(" "), "only this tracker knows them, kept");
        match theirs {
            Err(at) => self.groups.insert(at, group),
            Ok(at) => {
                let Some(into) = self.groups.get_mut(at) else { return };
                for mut member in group.members {
                    if member.source.is_some_and(|source| into.member(&source).is_none()) {
                        member.source = None;
                        member.sync_until = 0;
                    }
                    into.insert(member);
                }
            }
        }
    }
}

/// Members of a group that a changelog saw deleted, or moved to another address.
fn gone(changelog: &[u8], group: GroupName) -> Vec<StorageId> {
    let text = String::from_utf8_lossy(changelog);
    let line = |line: &str| {
        let mut columns = line.split(' ').skip(1);
        let (name, id, status) = (columns.next()?, columns.next()?, columns.next()?);
        let status = StorageStatus(status.parse().ok()?);
        let is_gone = [StorageStatus::DELETED, StorageStatus::IP_CHANGED].contains(&status);
        (name == group.as_str() && is_gone).then(|| StorageId::parse(id).ok())?
    };
    text.lines().filter_map(line).collect()
}
