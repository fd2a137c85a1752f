//! Space tests: all strict, all against the reserve.

use super::{Cluster, Group, Member, TrunkMode};

fn mb(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Cluster {
    /// Whether the group's fullest member has room for `need_mb` more.
    pub(super) fn group_has_room(&self, group: &Group, need_mb: i64) -> bool {
        let free = group.free_mb.saturating_sub(need_mb);
        self.rules.reserved.group_has_room(mb(free), mb(group.total_mb))
    }

    /// Whether it has room counting free slots of trunk files.
    pub(super) fn group_has_trunk_room(&self, group: &Group, need_mb: i64) -> bool {
        let free = (group.free_mb + group.trunk_free_mb).saturating_sub(need_mb);
        self.rules.use_trunk_file == TrunkMode::On
            && self.rules.reserved.group_has_room(mb(free), mb(group.total_mb))
    }

    /// The store path for the next upload: the current one, or the next that has room for `need_mb` more.
    pub(super) fn path_with_room(&self, group: &Group, member: &Member, need_mb: i64) -> Option<usize> {
        let count = member.paths.len();
        let start = if member.current_write_path < count { member.current_write_path } else { 0 };
        let cyclic = || (start..count).chain(0..start);
        let has_room = |extra: i64| {
            move |at: &usize| {
                member.paths.get(*at).is_some_and(|path| {
                    let (free, total) =
                        (mb((path.free_mb + extra).saturating_sub(need_mb)), mb(path.total_mb));
                    self.rules.reserved.path_has_room(free, total, count)
                })
            }
        };
        let plain = cyclic().find(has_room(0));
        match self.rules.use_trunk_file {
            TrunkMode::On => plain.or_else(|| cyclic().find(has_room(group.trunk_free_mb))),
            TrunkMode::Off => plain,
        }
    }
}
