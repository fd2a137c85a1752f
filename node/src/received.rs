//! How far this node is with the changes of every other member: the newest record time of each source.
//!
//! Trackers learn it from the link and send readers of younger files elsewhere. It is not kept over a restart, as on
//! FastDFS: a source's next record says it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::StorageId;

/// Newest record times by source. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Shared>);

#[derive(Default)]
struct Shared {
    times: Mutex<BTreeMap<StorageId, i32>>,
    generation: AtomicU64,
}

impl Received {
    fn times(&self) -> MutexGuard<'_, BTreeMap<StorageId, i32>> {
        self.0.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record of this source has taken effect here. Older ones may follow: the order is the sender's.
    pub(crate) fn note(&self, source: &StorageId, time: i32) {
        let mut times = self.times();
        let newest = times.entry(*source).or_default();
        if time > *newest {
            *newest = time;
            self.0.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// Every source that was heard, by id.
    pub(crate) fn report(&self) -> Vec<(StorageId, i32)> {
        self.times().iter().map(|(id, time)| (*id, *time)).collect()
    }

    /// Another number whenever a report differs from the last one.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_time_of_each_source_counts() {
        let received = Received::default();
        let (a, b) = (StorageId::parse("127.0.0.2").unwrap(), StorageId::parse("127.0.0.3").unwrap());
        assert_eq!((received.report(), received.generation()), (vec![], 0));
        received.note(&b, 7);
        received.note(&a, 5);
        let before = received.generation();
        received.note(&b, 6);
        received.note(&b, 7);
        assert_eq!(received.generation(), before);
        assert_eq!(received.clone().report(), [(a, 5), (b, 7)]);
        received.note(&a, 9);
        assert!(received.generation() > before);
        assert_eq!(received.report(), [(a, 9), (b, 7)]);
    }
}
