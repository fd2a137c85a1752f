//! Trunk files: keys that the tracker's configuration has and that storages learn from it.

use std::time::Duration;

use super::reader::KeyReader;
use super::value::TimeOfDay;

const MIB: u64 = 1 << 20;
/// Smallest trunk file.
pub(super) const MIN_TRUNK_FILE_SIZE: u64 = 4 * MIB;
/// Size of trunk files unless set.
pub(super) const DEFAULT_TRUNK_FILE_SIZE: u64 = 64 * MIB;
/// Largest `slot_min_size`.
const MAX_SLOT_MIN_SIZE: u64 = 64 << 10;
/// The reference keeps these sizes in a C `int`.
const MAX_INT: u64 = (1 << 31) - 1;

/// How small files are put together into trunk files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkConf {
    /// Whether they are.
    pub use_trunk_file: bool,
    /// Smallest slot in bytes.
    pub slot_min_size: u64,
    /// Files up to this many bytes go into trunk files.
    pub slot_max_size: u64,
    /// Slots are multiples of this; 0 is off.
    pub trunk_alloc_alignment_size: u64,
    /// Bytes of a trunk file.
    pub trunk_file_size: u64,
    /// Create trunk files before they are needed.
    pub trunk_create_file_advance: bool,
    /// First time of day for that.
    pub trunk_create_file_time_base: TimeOfDay,
    /// Interval of that.
    pub trunk_create_file_interval: Duration,
    /// Free bytes in trunk files below which new ones are made in advance.
    pub trunk_create_file_space_threshold: u64,
    /// Check at start that slots do not overlap.
    pub trunk_init_check_occupying: bool,
    /// Rebuild the free slots from the trunk binlog at start.
    pub trunk_init_reload_from_binlog: bool,
    /// Merge neighbouring free slots.
    pub trunk_free_space_merge: bool,
    /// Delete trunk files without content.
    pub delete_unused_trunk_files: bool,
    /// Least interval of compressing the trunk binlog; zero is off.
    pub trunk_compress_binlog_min_interval: Duration,
    /// Interval of that; zero is off.
    pub trunk_compress_binlog_interval: Duration,
    /// First time of day for that.
    pub trunk_compress_binlog_time_base: TimeOfDay,
    /// Old trunk binlogs that are kept.
    pub trunk_binlog_max_backups: u32,
}

impl TrunkConf {
    /// What a storage assumes of a tracker that says nothing.
    pub fn assumed() -> Self {
        Self {
            use_trunk_file: false,
            slot_min_size: 256,
            slot_max_size: DEFAULT_TRUNK_FILE_SIZE / 4,
            trunk_alloc_alignment_size: 0,
            trunk_file_size: DEFAULT_TRUNK_FILE_SIZE,
            trunk_create_file_advance: false,
            trunk_create_file_time_base: TimeOfDay::at(2, 0),
            trunk_create_file_interval: Duration::from_secs(86_400),
            trunk_create_file_space_threshold: 0,
            trunk_init_check_occupying: false,
            trunk_init_reload_from_binlog: false,
            trunk_free_space_merge: false,
            delete_unused_trunk_files: false,
            trunk_compress_binlog_min_interval: Duration::ZERO,
            trunk_compress_binlog_interval: Duration::ZERO,
            trunk_compress_binlog_time_base: TimeOfDay::at(3, 0),
            trunk_binlog_max_backups: 0,
        }
    }

    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let trunk_file_size = keys.bytes("trunk_file_size", DEFAULT_TRUNK_FILE_SIZE);
        let trunk_file_size = keys.clamp("trunk_file_size", trunk_file_size, MIN_TRUNK_FILE_SIZE, MAX_INT);
        let alignment = u64::from(keys.count("trunk_alloc_alignment_size", 0));
        let slot_min_size = read_slot_min_size(keys, alignment);
        Self {
            use_trunk_file: keys.flag("use_trunk_file", false),
            slot_min_size,
            slot_max_size: read_slot_max_size(keys, slot_min_size, trunk_file_size),
            trunk_alloc_alignment_size: alignment,
            trunk_file_size,
            trunk_create_file_advance: keys.flag("trunk_create_file_advance", false),
            trunk_create_file_time_base: keys.time("trunk_create_file_time_base", TimeOfDay::at(2, 0)),
            trunk_create_file_interval: keys.seconds("trunk_create_file_interval", 86_400),
            trunk_create_file_space_threshold: keys.bytes("trunk_create_file_space_threshold", 0),
            trunk_init_check_occupying: keys.flag("trunk_init_check_occupying", false),
            trunk_init_reload_from_binlog: keys.flag("trunk_init_reload_from_binlog", false),
            trunk_free_space_merge: keys.flag("trunk_free_space_merge", false),
            delete_unused_trunk_files: keys.flag("delete_unused_trunk_files", false),
            trunk_compress_binlog_min_interval: keys.seconds_or_zero("trunk_compress_binlog_min_interval", 0),
            trunk_compress_binlog_interval: keys.seconds_or_zero("trunk_compress_binlog_interval", 0),
            trunk_compress_binlog_time_base: keys
                .time("trunk_compress_binlog_time_base", TimeOfDay::at(3, 0)),
            trunk_binlog_max_backups: keys.count("trunk_binlog_max_backups", 0),
        }
    }
}

fn read_slot_min_size(keys: &mut KeyReader<'_>, alignment: u64) -> u64 {
    let written = keys.bytes("slot_min_size", 256);
    if written == 0 {
        keys.refuse("slot_min_size", "must be above 0; the default is 256");
    }
    let size = keys.clamp("slot_min_size", written, 0, MAX_SLOT_MIN_SIZE);
    if size < alignment {
        let why = format!("{size} is below trunk_alloc_alignment_size; read as {alignment}");
        keys.warn("slot_min_size", why);
    }
    size.max(alignment)
}

fn read_slot_max_size(keys: &mut KeyReader<'_>, slot_min_size: u64, trunk_file_size: u64) -> u64 {
    let written = keys.bytes("slot_max_size", trunk_file_size / 8);
    if written <= slot_min_size {
        keys.refuse("slot_max_size", format_args!("{written} is not above slot_min_size, {slot_min_size}"));
    }
    keys.clamp("slot_max_size", written, 0, trunk_file_size / 2)
}
