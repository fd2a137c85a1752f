//! One user at a time: of each file that can change (appends, modifies, metadata, deletes), of each upload that is
//! continued.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::LogicName;
use tokio::sync::OwnedMutexGuard;

type Map<K> = HashMap<K, Arc<tokio::sync::Mutex<()>>>;

/// Locks by key; keys that nobody uses take no room.
pub(crate) struct Locks<K>(Arc<Mutex<Map<K>>>);

/// Locks by the name of a file.
pub(crate) type FileLocks = Locks<LogicName>;

/// The right to use what has a key.
pub(crate) struct Lock<K: Eq + Hash> {
    locks: Locks<K>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

/// The right to change one file.
pub(crate) type FileLock = Lock<LogicName>;

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Clone for Locks<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Locks<K> {
    fn map(&self) -> MutexGuard<'_, Map<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the right to use it.
    pub(crate) async fn lock(&self, key: &K) -> Lock<K> {
        let (lock, mut held) = self.entry(key);
        held.guard = Some(lock.lock_owned().await);
        held
    }

    /// The right to use it, if nobody has it.
    pub(crate) fn try_lock(&self, key: &K) -> Option<Lock<K>> {
        let (lock, mut held) = self.entry(key);
        held.guard = Some(lock.try_lock_owned().ok()?);
        Some(held)
    }

    fn entry(&self, key: &K) -> (Arc<tokio::sync::Mutex<()>>, Lock<K>) {
        let lock = Arc::clone(self.map().entry(key.clone()).or_default());
        (lock, Lock { locks: self.clone(), key: key.clone(), guard: None })
    }
}

impl<K: Eq + Hash> Drop for Lock<K> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut map = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own reference is the last one when nobody holds or awaits the lock.
        if map.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.key);
        }
    }
}
