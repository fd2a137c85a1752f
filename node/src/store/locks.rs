//! One writer at a time for each file that can change: appends, modifies, metadata, deletes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::LogicName;
use tokio::sync::OwnedMutexGuard;

type Map = HashMap<LogicName, Arc<tokio::sync::Mutex<()>>>;

/// Locks by name; names that nobody uses take no room.
#[derive(Default, Clone)]
pub(super) struct FileLocks(Arc<Mutex<Map>>);

/// The right to change one file.
pub(super) struct FileLock {
    locks: FileLocks,
    name: LogicName,
    guard: Option<OwnedMutexGuard<()>>,
}

impl FileLocks {
    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the right to change a file.
    pub(super) async fn lock(&self, name: &LogicName) -> FileLock {
        let lock = Arc::clone(self.map().entry(name.clone()).or_default());
        let mut held = FileLock { locks: self.clone(), name: name.clone(), guard: None };
        held.guard = Some(lock.lock_owned().await);
        held
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut map = self.locks.map();
        // The map's own reference is the last one when nobody holds or awaits the lock.
        if map.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.name);
        }
    }
}
