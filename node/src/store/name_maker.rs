//! New names: which directory is next, and random parts that make them unique.

use std::sync::{Mutex, PoisonError};

use protocol::LogicName;
use protocol::config::StorageConf;
use protocol::config::storage_conf::DistributeMode;
use protocol::file_id::{FileExt, NameCode, NameTail, SizeField, Source, StorePathIndex, SubDir};

/// Whose turn it is: the directory, and the files that it got already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn {
    pub(super) high: u32,
    pub(super) low: u32,
    pub(super) count: u32,
}

/// Makes names for all store paths.
pub(super) struct NameMaker {
    turn: Mutex<Turn>,
    subdirs: u32,
    rotate: u32,
    mode: DistributeMode,
}

/// What a name says.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameSpec {
    pub(super) path: StorePathIndex,
    pub(super) dir: SubDir,
    pub(super) source: Source,
    pub(super) timestamp: u32,
    pub(super) size: SizeOf,
    pub(super) crc32: u32,
    pub(super) tail: NameTail,
}

/// Which size field.
#[derive(Debug, Clone, Copy)]
pub(super) enum SizeOf {
    /// A file of this size that does not change.
    Normal(u64),
    /// One that may.
    Appender,
}

impl NameMaker {
    /// Continues where the last run ended. A directory that a smaller `subdir_count_per_path` no longer has is left.
    pub(super) fn new(conf: &StorageConf, turn: Turn) -> Self {
        let subdirs = conf.subdir_count_per_path.max(1);
        let turn = if turn.high < subdirs && turn.low < subdirs { turn } else { Turn::default() };
        Self {
            turn: Mutex::new(turn),
            subdirs,
            rotate: conf.file_distribute_rotate_count.max(1),
            mode: conf.file_distribute_path_mode,
        }
    }

    /// Where the turn is, for `storage_stat.dat`.
    pub(super) fn turn(&self) -> Turn {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory for the next file.
    pub(super) fn next_dir(&self) -> SubDir {
        let (high, low) = match self.mode {
            DistributeMode::RoundRobin => self.advance(),
            // Any directory is compatible: nobody can compute it from the name.
            DistributeMode::Hash => (fastrand::u32(..self.subdirs), fastrand::u32(..self.subdirs)),
        };
        let byte = |number: u32| u8::try_from(number).unwrap_or(0);
        SubDir { high: byte(high), low: byte(low) }
    }

    fn advance(&self) -> (u32, u32) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let here = (turn.high, turn.low);
        turn.count += 1;
        if turn.count >= self.rotate {
            turn.count = 0;
            turn.low += 1;
            if turn.low >= self.subdirs {
                turn.low = 0;
                turn.high = (turn.high + 1) % self.subdirs;
            }
        }
        here
    }
}

/// A tail with fresh digits.
pub(super) fn tail(ext: FileExt) -> NameTail {
    NameTail::new(ext, fastrand::u32(..))
}

impl NameSpec {
    /// A name with fresh random bits.
    pub(super) fn make(&self) -> LogicName {
        let size = match self.size {
            SizeOf::Normal(size) => SizeField::normal(size, fastrand::u32(..)),
            SizeOf::Appender => SizeField::appender(fastrand::u32(..)),
        };
        let code = NameCode { source: self.source, timestamp: self.timestamp, size, crc32: self.crc32 };
        LogicName::make(self.path, self.dir, &code, None, &self.tail)
    }
}
