//! Places in trunk files, and what the trackers' parameters say of their sizes.

use protocol::config::trunk_conf::TrunkConf;
use protocol::file_id::{StorePathIndex, SubDir, TrunkSlot};

/// Bytes before the content.
pub(super) const HEADER_LEN: u32 = 24;

/// A stretch of a trunk file: room for one member, or free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Store path of the trunk file.
    pub path: StorePathIndex,
    /// Directory of the trunk file.
    pub dir: SubDir,
    /// The trunk file, and the part of it.
    pub at: TrunkSlot,
}

impl Slot {
    /// Name of the trunk file, below `data`.
    pub(super) fn container(&self) -> String {
        container(self.dir, self.at.file_id)
    }

    /// First byte behind it.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.at.offset) + u64::from(self.at.size)
    }

    /// Bytes of content that it takes.
    pub(super) fn room(&self) -> u32 {
        self.at.size.saturating_sub(HEADER_LEN)
    }
}

/// Name of a trunk file, below `data`.
pub(super) fn container(dir: SubDir, file_id: u32) -> String {
    format!("{:02X}/{:02X}/{file_id:06}", dir.high, dir.low)
}

/// How small files are put into trunk files: the part of [`TrunkConf`] that storages carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRules {
    /// Whether they are.
    pub is_on: bool,
    /// Smallest slot, bytes.
    min: u32,
    /// Largest slot, bytes.
    max: u32,
    /// Slots are multiples of this; 0 is off.
    alignment: u32,
    /// Bytes of a trunk file.
    pub(super) file_size: u32,
    /// Neighbours that are free become one.
    pub(super) merges: bool,
    /// At start, free space is looked at for files that are in it.
    pub(super) checks_at_start: bool,
    /// At start, the log counts, not what was saved of it.
    pub(super) reloads: bool,
    /// Old logs that are kept.
    pub(super) max_backups: u32,
}

/// Largest number that trunk files are described with: the reference keeps these in a C `int`.
const MAX: u64 = (1 << 31) - 1;

impl SlotRules {
    /// Of the trackers' parameters; sizes that cannot be are cut.
    pub fn of(conf: &TrunkConf) -> Self {
        let number = |number: u64| u32::try_from(number.min(MAX)).unwrap_or(u32::MAX);
        let file_size = number(conf.trunk_file_size).max(HEADER_LEN + 1);
        Self {
            is_on: conf.use_trunk_file,
            min: number(conf.slot_min_size).clamp(HEADER_LEN + 1, file_size),
            max: number(conf.slot_max_size).min(file_size),
            alignment: number(conf.trunk_alloc_alignment_size),
            file_size,
            merges: conf.trunk_free_space_merge,
            checks_at_start: conf.trunk_init_check_occupying,
            reloads: conf.trunk_init_reload_from_binlog,
            max_backups: conf.trunk_binlog_max_backups,
        }
    }

    /// Bytes that content needs in a trunk file, header included; none if it is a file of its own.
    pub(in super::super) fn need(&self, content: u64) -> Option<u32> {
        let need = content.checked_add(HEADER_LEN.into())?;
        (self.is_on && need <= u64::from(self.max)).then(|| u32::try_from(need).ok()).flatten()
    }

    /// Bytes of the slot for so many; none if no slot is so large.
    pub(super) fn slot_size(&self, need: u32) -> Option<u32> {
        let size = match self.alignment {
            _ if need <= self.min => self.min,
            0 => need,
            alignment => need.checked_next_multiple_of(alignment)?,
        };
        (size <= self.file_size).then_some(size)
    }

    /// Whether a stretch of this size is worth keeping as free.
    pub(super) fn is_worth_keeping(&self, size: u32) -> bool {
        size >= self.min
    }

    /// Whether requests for so many bytes are valid.
    pub(super) fn admits(&self, need: u32) -> bool {
        need >= HEADER_LEN && need <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_reference_s_rule() {
        let conf = TrunkConf { use_trunk_file: true, slot_max_size: 1 << 20, ..TrunkConf::assumed() };
        let rules = SlotRules::of(&conf);
        assert_eq!(rules.need(0), Some(24));
        assert_eq!(rules.need((1 << 20) - 24), Some(1 << 20));
        assert_eq!(rules.need((1 << 20) - 23), None);
        assert_eq!(rules.need(u64::MAX), None);
        let size = |alignment, need| {
            SlotRules::of(&TrunkConf { trunk_alloc_alignment_size: alignment, ..conf.clone() })
                .slot_size(need)
        };
        assert_eq!(size(0, 36), Some(256));
        assert_eq!(size(0, 257), Some(257));
        assert_eq!(size(256, 324), Some(512));
        assert_eq!(size(256, 512), Some(512));
        assert_eq!(SlotRules::of(&TrunkConf::assumed()).need(1), None);
    }

    #[test]
    fn containers_have_six_digits_or_more() {
        let dir = SubDir { high: 0, low: 0xAB };
        assert_eq!(container(dir, 1), "00/AB/000001");
        assert_eq!(container(dir, 1_000_000), "00/AB/1000000");
    }
}
