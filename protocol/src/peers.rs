//! What trackers say to each other: who leads, and copies of their files.

mod leader;
mod system_files;

pub use leader::{
    CommitNextLeader, JoinLeader, LeaderClaim, NotifyNextLeader, PingLeader, ReselectLeader,
    TrackerGetStatus, TrunkServers,
};
pub use system_files::{
    GetOneSystemFile, GetSystemFilesEnd, GetSystemFilesStart, MAX_PIECE, SYSTEM_FILES, SystemFilePiece,
};
