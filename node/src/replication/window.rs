//! The hours of the day in which replication runs: `sync_start_time` and `sync_end_time`.

use chrono::{Local, Timelike};
use protocol::config::StorageConf;

/// Minutes of the day; from and to the same, or the whole day, means always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    from: u32,
    to: u32,
}

const MINUTES: u32 = 24 * 60;

impl Window {
    pub(super) fn of(conf: &StorageConf) -> Self {
        let minutes =
            |time: protocol::config::TimeOfDay| u32::from(time.hour()) * 60 + u32::from(time.minute());
        Self { from: minutes(conf.sync_start_time), to: minutes(conf.sync_end_time) }
    }

    pub(super) fn is_open(&self) -> bool {
        let all_day = self.from == 0 && self.to >= MINUTES - 1 || self.from == self.to;
        all_day || {
            let now = Local::now();
            self.contains(now.hour() * 60 + now.minute())
        }
    }

    /// A window may lie over midnight.
    fn contains(&self, minute: u32) -> bool {
        if self.from <= self.to {
            (self.from..=self.to).contains(&minute)
        } else {
            minute >= self.from || minute <= self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_over_midnight_count() {
        let check = |from, to, minute, expected| {
            assert_eq!(Window { from, to }.contains(minute), expected, "{from} {to} {minute}");
        };
        check(60, 120, 59, false);
        check(60, 120, 60, true);
        check(60, 120, 121, false);
        check(1380, 60, 1400, true);
        check(1380, 60, 30, true);
        check(1380, 60, 600, false);
        assert!(Window { from: 0, to: 1439 }.is_open());
    }
}
