//! What a storage tells a tracker and hears back, one file a message.
//!
//! Text fields are read up to their first NUL: C peers leave stack bytes behind it.

mod beat;
mod brief;
mod check_sync;
mod join;
mod lookup;
mod replication;
mod stats;
mod status;
mod sync_source;
mod trunk;

pub use beat::{Beat, DiskUsage, PathSpace, SyncReport};
pub use brief::{BRIEF_LEN, Brief};
pub use check_sync::CheckSync;
pub use join::{Join, JoinAnswer, TrackerAddress};
pub use lookup::{
    ChangeStatus, ChangelogRequest, GetGroupName, GetMyIp, GetServerId, GetStorageStatus, IpChanged,
    ReplicaChanged, ReportStatus,
};
pub use replication::{GroupReplication, QueryReplication, ReplicationReport, SenderReport, SenderState};
pub use stats::{STATS_LEN, StorageStats};
pub use status::StorageStatus;
pub use sync_source::{
    SyncDestQuery, SyncDestRequest, SyncNotify, SyncSource, SyncSourceAnswer, SyncSourceRequest,
};
pub use trunk::{FetchTrunkFileId, ReportTrunkFileId, ReportTrunkFree, TrunkFileId};

#[cfg(test)]
mod tests;
