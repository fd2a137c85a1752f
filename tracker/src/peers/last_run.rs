//! When this tracker was last seen running: `.tracker_status` below its data directory, as the reference keeps it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::daemon::replace_file;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::Shared;

const NAME: &str = ".tracker_status";
const PERIOD: Duration = Duration::from_secs(300);

/// What the run before this one left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LastRun {
    data: PathBuf,
    /// Unix seconds; 0 if there is no trace of one.
    last_check_time: i64,
}

impl LastRun {
    /// Reads it; what cannot be read is no trace.
    pub(crate) fn load(data: &Path) -> Self {
        let text = fs::read_to_string(data.join(NAME)).unwrap_or_default();
        let value = |line: &str| line.trim().strip_prefix("last_check_time=")?.trim().parse().ok();
        Self { data: data.to_owned(), last_check_time: text.lines().find_map(value).unwrap_or(0) }
    }

    /// Where the tracker's files are.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Seconds between the last run and a start at `up_time`; 0 if unknown.
    pub(crate) fn gap(&self, up_time: i64) -> i64 {
        if self.last_check_time > 0 { (up_time - self.last_check_time).max(0) } else { 0 }
    }

    /// Leaves a trace of this run.
    pub(crate) fn save(data: &Path, up_time: i64, now: i64) -> io::Result<()> {
        let text = format!("up_time={up_time}\nlast_check_time={now}\n");
        replace_file(&data.join(NAME), text.as_bytes())
    }
}

/// Notes that this tracker runs, now, every five minutes and at its stop.
pub(crate) async fn leave_traces(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let is_last = stop.is_cancelled();
        let (directory, up_time, now) =
            (shared.peers.last_run.data().to_owned(), shared.up_time(), shared.now());
        let saved = tokio::task::spawn_blocking(move || LastRun::save(&directory, up_time, now)).await;
        if let Err(error) = saved.map_err(io::Error::other).flatten() {
            error!(%error, "the time of this run is not saved");
        }
        if is_last {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
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
