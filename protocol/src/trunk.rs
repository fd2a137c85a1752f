//! Trunk files across a group, one file a message: members ask the trunk server for slots (27), tell it how each was used
//! (28) and which are free again (29); it sends them the trunk binlog (30, 33); the tracker compares those (31) and
//! prepares a new trunk server (32).
//!
//! A request is refused with `EINVAL` by whoever it is not for: members that are no trunk server, or one that is.

mod allocate;
mod binlog;
mod confirm;
mod free;
mod space;

pub use allocate::AllocateSpace;
pub use binlog::{
    DeleteBinlogMarks, GetTrunkBinlogSize, MAX_LINES, TruncateTrunkBinlog, TrunkBinlogLines, TrunkBinlogSize,
};
pub use confirm::{ConfirmSpace, SpaceUse};
pub use free::FreeSpace;
pub use space::{SPACE_LEN, TrunkSpace};

#[cfg(test)]
mod tests;
