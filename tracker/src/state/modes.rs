//! What clients may ask of a storage: as the table of ids says, or as an operator sets it while the cluster runs.
//!
//! FastDFS has the table only, read at a start, and only for clusters that use ids. What is set here counts more, is kept
//! in the file of storages as a key that FastDFS's tracker leaves out, and ends when it is set to what the table says.

use protocol::config::storage_ids::RwMode;
use protocol::{GroupName, Status, StorageId};
use tracing::info;

use super::{Cluster, Refusal};

impl Cluster {
    /// What the table of ids says of a storage; both, where there is none.
    pub fn configured_mode(&self, id: &StorageId) -> RwMode {
        let entry = self.rules.ids.as_ref().and_then(|ids| ids.by_id(id));
        entry.map_or(RwMode::Both, |entry| entry.rw)
    }

    /// Sets what clients may ask of a storage, at once and for later runs. Replication does not look at it.
    pub fn set_mode(&mut self, group: GroupName, id: &StorageId, mode: RwMode) -> Result<(), Refusal> {
        let configured = self.configured_mode(id);
        let member = self.group_mut(group)?.member_mut(id).filter(|member| !member.is_gone());
        let member = member.ok_or(Status::ENOENT)?;
        member.rw = mode;
        member.rw_set = (mode != configured).then_some(mode);
        info!(%group, storage = %id, mode = mode.word(), "what clients may ask of a storage was set");
        self.changed_for_good();
        self.recompute_current_group();
        Ok(())
    }
}
