//! When this tracker was last seen running: `.tracker_status` below its data directory, as the reference keeps it.

use std::fs;
use std::io;
use std::path::Path;

use protocol::daemon::replace_file;

const NAME: &str = ".tracker_status";

/// What the run before this one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LastRun {
    /// Unix seconds; 0 if there is no trace of one.
    pub(crate) last_check_time: i64,
}

impl LastRun {
    /// Reads it; what cannot be read is no trace.
    pub(crate) fn load(data: &Path) -> Self {
        let text = fs::read_to_string(data.join(NAME)).unwrap_or_default();
        let value = |line: &str| line.trim().strip_prefix("last_check_time=")?.trim().parse().ok();
        Self { last_check_time: text.lines().find_map(value).unwrap_or(0) }
    }

    /// Seconds between the last run and a start at `up_time`; 0 if unknown.
    pub(crate) fn gap(self, up_time: i64) -> i64 {
        if self.last_check_time > 0 { (up_time - self.last_check_time).max(0) } else { 0 }
    }

    /// Leaves a trace of this run.
    pub(crate) fn save(data: &Path, up_time: i64, now: i64) -> io::Result<()> {
        let text = format!("up_time={up_time}\nlast_check_time={now}\n");
        replace_file(&data.join(NAME), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LastRun::load(dir.path()).gap(5_000), 0);
        LastRun::save(dir.path(), 1_000, 4_000).unwrap();
        assert_eq!(LastRun::load(dir.path()).gap(5_000), 1_000);
        assert_eq!(LastRun::load(dir.path()).gap(3_000), 0, "clocks can go back");
    }
}
