//! Records for what comes back and has none here: files that were made while this node was away.
//!
//! Whoever made them sends them once more, later; until then only the disk knows of them, and a member that loses its own
//! disk meanwhile, or is filled with old files from here, would never hear of them. The records come before the files, as
//! for every change, and are those of a replica, which go to nobody but such members.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use protocol::LogicName;
use protocol::file_id::StorePathIndex;

use super::list;
use crate::store::{BinlogPosition, Entry, Op, Store, StoreError};

/// Names that are held at once, 9 bytes each; for each so many of a list, the own binlog is read once.
const NAMES: u64 = 4 << 20;
/// Records that are written at once.
const BATCH: usize = 1000;

/// Records what the lists of a store path tell and the own binlog does not. Done again, it finds nothing to do. Blocking.
/// The number of new records.
pub(super) fn record_unknown(
    store: &Store,
    index: StorePathIndex,
    data: &Path,
    lists: u32,
) -> Result<u64, StoreError> {
    record_in_passes(store, index, &list::texts(data, lists), NAMES)
}

fn record_in_passes(
    store: &Store,
    index: StorePathIndex,
    lists: &[PathBuf],
    names: u64,
) -> Result<u64, StoreError> {
    let failed = || StoreError::io("record the files of a list in", store.sync_dir());
    let mut all: u64 = 0;
    read_lists(lists, |_| {
        all += 1;
        Ok(())
    })
    .map_err(failed())?;
    let passes = all.div_ceil(names.max(1));
    let hasher = RandomState::new();
    let mut recorded = 0;
    for pass in 0..passes {
        let part = Part { hasher: &hasher, passes, pass };
        recorded += record_part(store, index, lists, &part).map_err(failed())?;
    }
    Ok(recorded)
}

/// The names of one pass, by their hash: with 64 keyed bits, that two of so few meet is out of the question.
struct Part<'a> {
    hasher: &'a RandomState,
    passes: u64,
    pass: u64,
}

impl Part<'_> {
    fn key(&self, name: &LogicName) -> Option<u64> {
        let hash = self.hasher.hash_one(name.as_str());
        (hash % self.passes == self.pass).then_some(hash)
    }
}

/// Names of a list, and which of them the own binlog knows.
struct Listed {
    keys: Vec<u64>,
    known: Vec<bool>,
}

impl Listed {
    fn of(mut keys: Vec<u64>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let known = vec![false; keys.len()];
        Self { keys, known }
    }

    /// Notes whether a name is known; whether it was before. A name that is not listed counts as known.
    fn note(&mut self, key: Option<u64>, known: bool) -> bool {
        let place = key.and_then(|key| self.keys.binary_search(&key).ok());
        place.is_none_or(|place| std::mem::replace(&mut self.known[place], known))
    }
}

fn record_part(store: &Store, index: StorePathIndex, lists: &[PathBuf], part: &Part<'_>) -> io::Result<u64> {
    let mut keys = Vec::new();
    read_lists(lists, |entry| {
        keys.extend(part.key(&entry.name));
        Ok(())
    })?;
    let mut listed = Listed::of(keys);
    note_known(store, part, &mut listed)?;
    let (mut recorded, mut batch) = (0, Vec::new());
    read_lists(lists, |entry| {
        let is_new = entry.name.store_path() == index
            && !listed.note(part.key(&entry.name), true)
            && !store.was_deleted(&entry.name);
        if is_new {
            recorded += 1;
            batch.push(entry);
            if batch.len() == BATCH {
                store.record_recovered(&batch)?;
                batch.clear();
            }
        }
        Ok(())
    })?;
    store.record_recovered(&batch)?;
    Ok(recorded)
}

/// Finds out which names the own binlog has, and has not seen off since.
fn note_known(store: &Store, part: &Part<'_>, listed: &mut Listed) -> io::Result<()> {
    let end = *store.binlog_watch().borrow();
    let mut reader = store.binlog_reader(BinlogPosition::default())?;
    while let Some(item) = reader.next(end)? {
        let Ok(Entry { op, name, .. }) = item.entry else { continue };
        if let Op::Rename(old) = &op {
            listed.note(part.key(old), false);
        }
        match op {
            Op::Create | Op::Update | Op::Link(_) | Op::Rename(_) => listed.note(part.key(&name), true),
            Op::Delete => listed.note(part.key(&name), false),
            Op::Append(..) | Op::Modify(..) | Op::Truncate(..) => false,
        };
    }
    Ok(())
}

fn read_lists(lists: &[PathBuf], mut take: impl FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    for path in lists {
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut reader, list::MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Some(entry) = Entry::parse(line.strip_suffix(b"\n").unwrap_or(&line)) {
                take(entry)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_pass() {
        let hasher = RandomState::new();
        for number in 10..60 {
            let name = format!("M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul09{number}.txt");
            let name = LogicName::parse(&name).unwrap();
            let in_pass = |pass: &u64| Part { hasher: &hasher, passes: 3, pass: *pass }.key(&name).is_some();
            assert_eq!((0..3).filter(in_pass).count(), 1);
        }
    }

    #[test]
    fn what_is_not_listed_needs_no_record() {
        let mut listed = Listed::of(vec![7, 5, 7]);
        assert!(listed.note(None, true), "of another pass");
        assert!(listed.note(Some(6), false), "not listed");
        assert!(!listed.note(Some(7), true), "not known before");
        assert!(listed.note(Some(7), false), "known, then deleted");
        assert!(!listed.note(Some(7), true));
    }
}
