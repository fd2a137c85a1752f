//! Names that are known to be gone: deleted by a client or by a peer, or renamed.
//!
//! A member that lacks a file asks the others for it. One that lags may still have what was deleted here; this memory
//! keeps it from coming back. It is bounded, and filled from the binlog's end at start.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::LogicName;

use super::binlog::{Op, Record};

/// Names that are remembered; the oldest goes first. Some 3 MB when full.
const MAX_NAMES: usize = 64 * 1024;
/// What is read of the binlog at start: some hundred thousand records.
const TAIL: u64 = 8 << 20;

/// Names by their hash: with 64 keyed bits, that two of so few meet is out of the question.
#[derive(Default)]
struct Gone {
    /// Turn and time of the last delete.
    by_name: HashMap<u64, (u64, i64)>,
    order: VecDeque<(u64, u64)>,
    newest: u64,
}

/// The memory.
#[derive(Default)]
pub(super) struct RecentDeletes {
    hasher: RandomState,
    gone: Mutex<Gone>,
}

impl RecentDeletes {
    fn lock(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file is gone, also one that never came here.
    pub(super) fn note(&self, name: &LogicName, time: i64) {
        self.remember(name.as_str(), time);
    }

    fn remember(&self, name: &str, time: i64) {
        let key = self.hasher.hash_one(name);
        let mut gone = self.lock();
        gone.newest += 1;
        let turn = gone.newest;
        gone.by_name.insert(key, (turn, time));
        gone.order.push_back((key, turn));
        if gone.order.len() > MAX_NAMES
            && let Some((oldest, turn)) = gone.order.pop_front()
            && gone.by_name.get(&oldest).is_some_and(|(last, _)| *last == turn)
        {
            gone.by_name.remove(&oldest);
        }
    }

    /// The name has a file again: slaves are named after their master, so one can come back.
    fn forget(&self, name: &str) {
        let key = self.hasher.hash_one(name);
        self.lock().by_name.remove(&key);
    }

    /// Whether the name is known to be gone.
    pub(super) fn contains(&self, name: &LogicName) -> bool {
        self.time_of(name).is_some()
    }

    /// When the name's file was deleted, if it is known to be gone: unix seconds, by the clock of whoever deleted it.
    pub(super) fn time_of(&self, name: &LogicName) -> Option<i64> {
        self.time(name.as_str())
    }

    fn time(&self, name: &str) -> Option<i64> {
        let key = self.hasher.hash_one(name);
        self.lock().by_name.get(&key).map(|(_, time)| *time)
    }

    /// Follows what happens to files.
    pub(super) fn follow(&self, record: &Record<'_>) {
        match record.op {
            Op::Delete => self.remember(record.name, record.time),
            Op::Rename(old) => {
                self.remember(old, record.time);
                self.forget(record.name);
            }
            Op::Create | Op::Update | Op::Link(_) => self.forget(record.name),
            Op::Append(..) | Op::Modify(..) | Op::Truncate(..) => {}
        }
    }

    /// Learns from the end of a binlog file. Lines that make no sense are passed over.
    pub(super) fn read_tail(&self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            outcome => outcome?,
        };
        let start = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(SeekFrom::Start(start))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        if start > 0 {
            lines.read_until(b'\n', &mut line)?;
        }
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Ok(text) = std::str::from_utf8(&line) else { continue };
            let mut words = text.split_ascii_whitespace();
            let (Some(time), Some(op), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(time) = time.parse() else { continue };
            match op {
                "D" | "d" => self.remember(name, time),
                "R" | "r" => {
                    words.next().into_iter().for_each(|old| self.remember(old, time));
                    self.forget(name);
                }
                "C" | "c" | "U" | "u" | "L" | "l" => self.forget(name),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::binlog::Side;
    use super::*;

    #[test]
    fn the_last_thing_that_happened_to_a_name_counts() {
        let names = RecentDeletes::default();
        let happens = |op, name| names.follow(&Record { time: 1, side: Side::Source, op, name });
        happens(Op::Create, "a");
        assert!(names.time("a").is_none());
        happens(Op::Delete, "a");
        assert!(names.time("a").is_some());
        happens(Op::Create, "a");
        assert!(names.time("a").is_none());
        happens(Op::Rename("b"), "c");
        assert!(names.time("b").is_some());
        assert!(names.time("c").is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_go_first() {
        let names = RecentDeletes::default();
        names.remember("first", 1);
        names.remember("again", 1);
        names.forget("again");
        names.remember("again", 1);
        for number in 0..MAX_NAMES - 2 {
            names.remember(&number.to_string(), 1);
        }
        assert!(names.time("first").is_none());
        assert!(names.time("again").is_some(), "its first turn is over, its second is not");
        names.remember("more", 1);
        assert!(names.time("again").is_some());
        names.remember("still more", 1);
        assert!(names.time("again").is_none());
        assert_eq!(names.lock().order.len(), MAX_NAMES);
    }

    #[test]
    fn a_binlog_tells_what_was_deleted_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("binlog.000");
        let names = RecentDeletes::default();
        names.read_tail(&path).unwrap();
        let text = "1 C a\n2 D a\n3 c b\n4 d b\n5 D e\n6 C e\n7 R new old\nnonsense\n\n8 A a 1 2\n";
        std::fs::write(&path, text).unwrap();
        names.read_tail(&path).unwrap();
        for (name, is_gone) in [("a", true), ("b", true), ("e", false), ("old", true), ("new", false)] {
            assert_eq!(names.time(name).is_some(), is_gone, "{name}");
        }
        assert_eq!((names.time("a"), names.time("old")), (Some(2), Some(7)));
    }
}
