//! Room of a store path: measured for reports, and the test that uploads meet.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::cluster::PathSpace;
use tracing::warn;

use super::Rules;
use super::data_dir::DataDir;

const MIB: u64 = 1 << 20;

/// The last measurement, MB.
#[derive(Default)]
pub(super) struct Space {
    total_mb: AtomicU64,
    free_mb: AtomicU64,
}

impl Space {
    /// Asks the file system. A disk that does not answer has no room.
    pub(super) fn measure(&self, dir: &DataDir) -> PathSpace {
        let (total, free) = match dir.statvfs() {
            Ok(fs) => {
                let in_mb = |blocks: u64| {
                    u64::try_from(u128::from(blocks) * u128::from(fs.f_frsize) / u128::from(MIB)).unwrap_or(0)
                };
                (in_mb(fs.f_blocks), in_mb(fs.f_bavail))
            }
            Err(error) => {
                warn!(path = %dir.path().display(), %error, "the store path's room is unknown");
                (0, 0)
            }
        };
        self.total_mb.store(total, Ordering::Relaxed);
        self.free_mb.store(free, Ordering::Relaxed);
        let report = |mb: u64| i64::try_from(mb).unwrap_or(i64::MAX);
        PathSpace { total_mb: report(total), free_mb: report(free) }
    }

    /// Free space when last measured, MB.
    pub(super) fn free_mb(&self) -> u64 {
        self.free_mb.load(Ordering::Relaxed)
    }

    /// Whether a file of `len` bytes leaves the reserve of one of `path_count` paths alone.
    pub(super) fn admits(&self, len: u64, rules: Rules, path_count: usize) -> bool {
        let free = self.free_mb().saturating_sub(len / MIB);
        rules.reserved.path_has_room(free, self.total_mb.load(Ordering::Relaxed), path_count)
    }
}
