//! Saving the state: soon after every change, and before the answer where a storage acts on the answer.
//!
//! Which old files a member still lacks is told to the tracker once. Were that lost by a kill, the member would wait for
//! ever, so such a change is on the disk before it is acknowledged (native-cluster.md 2.7).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::Shared;
use crate::files::{self, Snapshot};

/// Longest wait of an answer for its save; another tracker that reads the files may hold saves up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes the files below one directory, one save at a time.
#[derive(Debug)]
pub(crate) struct Saver {
    data: PathBuf,
    turn: Mutex<()>,
}

impl Saver {
    /// Saves below `data`.
    pub(crate) fn new(data: PathBuf) -> Self {
        Self { data, turn: Mutex::new(()) }
    }

    /// The directory above its files.
    pub(crate) fn base(&self) -> &Path {
        self.data.parent().unwrap_or(&self.data)
    }

    /// Saves what has changed. Whoever comes during a save waits for it, and then saves what it did not include.
    pub(crate) async fn save(&self, shared: &Shared) {
        let _turn = self.turn.lock().await;
        let snapshot = {
            let mut state = shared.state();
            if !state.is_dirty() {
                return;
            }
            state.snapshot_taken();
            Snapshot::of(&state)
        };
        let directory = self.data.clone();
        match tokio::task::spawn_blocking(move || files::save(&directory, &snapshot)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                error!(%error, cause = %error.source, "state is not saved, will be tried again")
            }
            Err(error) => error!(%error, "saving failed, will be tried again"),
        }
        shared.state().snapshot_failed();
    }

    /// Saves before an answer is given, if what was changed calls for it. A disk that refuses does not keep the cluster
    /// from working: the answer goes out, and the save is tried again.
    pub(crate) async fn before_answer(&self, shared: &Shared) {
        if shared.state().is_urgent() && tokio::time::timeout(PATIENCE, self.save(shared)).await.is_err() {
            error!("state is not saved yet, answering all the same");
        }
    }

    /// Saves changes, at most once a second, until `stop`.
    pub(crate) async fn run(&self, shared: &Shared, stop: &CancellationToken) {
        let mut timer = tokio::time::interval(Duration::from_secs(1));
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = timer.tick() => {}
            }
            self.save(shared).await;
        }
    }

    /// The last save of a run: whatever the state is now, changed or not.
    pub(crate) async fn finish(&self, shared: &Shared) {
        shared.state().snapshot_failed();
        self.save(shared).await;
    }
}
