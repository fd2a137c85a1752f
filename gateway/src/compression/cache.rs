//! Compressed content that is kept, so that a file which is asked for again costs no processor time: compressing 4 KiB
//! takes several times as long as all the rest of a request. Only files that never change are kept, by their name.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protocol::FileId;

use super::negotiate::Coding;

/// What an entry takes beside its content.
const OVERHEAD: u64 = 256;

type Key = (FileId, Coding);

/// Bounded by its bytes; what was not asked for since its last turn goes first.
#[derive(Debug)]
pub(super) struct Cache {
    limit: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Turns, the next first.
    turns: VecDeque<Key>,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    content: Bytes,
    was_asked: bool,
}

impl Cache {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// The compressed content of a file.
    pub(super) fn get(&self, id: &FileId, coding: Coding) -> Option<Bytes> {
        if self.limit == 0 {
            return None;
        }
        let mut kept = self.kept();
        let entry = kept.entries.get_mut(&(id.clone(), coding))?;
        entry.was_asked = true;
        Some(entry.content.clone())
    }

    /// Keeps it, if it takes no large part of the room.
    pub(super) fn put(&self, id: FileId, coding: Coding, content: Bytes) {
        let len = size(&content);
        if len > self.limit / 8 {
            return;
        }
        let mut kept = self.kept();
        let key = (id, coding);
        // Two requests may have compressed the same.
        if kept.entries.contains_key(&key) {
            return;
        }
        while kept.bytes + len > self.limit && kept.evict() {}
        kept.bytes += len;
        kept.turns.push_back(key.clone());
        kept.entries.insert(key, Entry { content, was_asked: false });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Gives the next one its turn: it goes, or stays for another if it was asked for. Whether there was one.
    fn evict(&mut self) -> bool {
        let Some(key) = self.turns.pop_front() else { return false };
        let asked = self.entries.get_mut(&key).is_some_and(|entry| std::mem::take(&mut entry.was_asked));
        if asked {
            self.turns.push_back(key);
        } else if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= size(&entry.content);
        }
        true
    }
}

fn size(content: &Bytes) -> u64 {
    content.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> FileId {
        let name = format!("group1/M00/00/00/wKgBaFv9Ad-{number:04}AAAAAAAAPAwe2bM123.txt");
        FileId::parse(&name).unwrap()
    }

    #[test]
    fn bytes_are_bounded_and_what_is_asked_for_stays() {
        let cache = Cache::new(10 * (1000 + OVERHEAD));
        let content = Bytes::from(vec![0; 1000]);
        for number in 0..100 {
            cache.put(id(number), Coding::Gzip, content.clone());
            cache.put(id(number), Coding::Gzip, content.clone());
            assert!(cache.kept().bytes <= cache.limit);
            assert_eq!(cache.get(&id(0), Coding::Gzip), Some(content.clone()), "after {number}");
        }
        assert_eq!(cache.kept().entries.len(), 10);
        assert_eq!(cache.kept().turns.len(), 10);
        assert_eq!(cache.get(&id(50), Coding::Gzip), None);
        assert_eq!(cache.get(&id(0), Coding::Brotli), None);
        cache.put(id(200), Coding::Gzip, vec![0; 5000].into());
        assert_eq!(cache.get(&id(200), Coding::Gzip), None, "too large a part");
    }

    #[test]
    fn a_cache_without_room_keeps_nothing() {
        let cache = Cache::new(0);
        cache.put(id(1), Coding::Gzip, Bytes::from_static(b"x"));
        assert_eq!(cache.get(&id(1), Coding::Gzip), None);
    }
}
