//! Where a storage stands, as trackers and peers see it. Order matters: reports are compared.

use std::fmt;

/// A status as sent. Unknown values survive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageStatus(pub u8);

impl StorageStatus {
    /// Record created, nothing decided.
    pub const INIT: Self = Self(0);
    /// Has a source of old files that has not started.
    pub const WAIT_SYNC: Self = Self(1);
    /// The source pushes old files.
    pub const SYNCING: Self = Self(2);
    /// Tombstone of an old address.
    pub const IP_CHANGED: Self = Self(3);
    /// Tombstone.
    pub const DELETED: Self = Self(4);
    /// Known, not connected.
    pub const OFFLINE: Self = Self(5);
    /// Joined, no heart beat yet.
    pub const ONLINE: Self = Self(6);
    /// Serving.
    pub const ACTIVE: Self = Self(7);
    /// Repairing a disk.
    pub const RECOVERY: Self = Self(9);
    /// Local to storages: the sender to this peer has ended.
    pub const NONE: Self = Self(99);

    /// The word that FastDFS's tools print.
    pub fn name(self) -> &'static str {
        match self {
            Self::INIT => "INIT",
            Self::WAIT_SYNC => "WAIT_SYNC",
            Self::SYNCING => "SYNCING",
            Self::IP_CHANGED => "IP_CHANGED",
            Self::DELETED => "DELETED",
            Self::OFFLINE => "OFFLINE",
            Self::ONLINE => "ONLINE",
            Self::ACTIVE => "ACTIVE",
            Self::RECOVERY => "RECOVERY",
            _ => "UNKNOWN",
        }
    }
}

impl fmt::Debug for StorageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for StorageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
