//! `<base_path>/data/sync/<peer>.dead`: records that the peer refused for good, one line each, for the operator:
//! unix second when it was set aside, the peer's status, and the binlog's line. They are tried again from time to time;
//! a line goes when its record has arrived.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::Status;
use protocol::daemon::replace_file;

use crate::store::Entry;

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Unix seconds.
    pub(crate) since: i64,
    /// What the peer said last.
    pub(crate) status: Status,
    pub(crate) entry: Entry,
}

/// The list of one peer. It changes in memory, and is written before the mark moves past what it holds.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    /// Oldest first.
    letters: BTreeMap<u64, Letter>,
    numbers: HashMap<Entry, u64>,
    next: u64,
    has_changed: bool,
}

impl DeadLetters {
    /// Reads the list; lines that are none are dropped at its next change. Blocking.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut list = Self {
            path: path.to_owned(),
            letters: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            has_changed: false,
        };
        text.lines().filter_map(parse).for_each(|letter| list.add(letter));
        list.has_changed = false;
        Ok(list)
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    /// All of them, oldest first.
    pub(crate) fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.values()
    }

    /// Adds a record, or renews what is said of it.
    pub(crate) fn add(&mut self, letter: Letter) {
        self.has_changed = true;
        if let Some(known) = self.numbers.get(&letter.entry).and_then(|number| self.letters.get_mut(number)) {
            known.status = letter.status;
            return;
        }
        self.numbers.insert(letter.entry.clone(), self.next);
        self.letters.insert(self.next, letter);
        self.next += 1;
    }

    /// Forgets a record that has arrived; whether it was there.
    pub(crate) fn remove(&mut self, entry: &Entry) -> bool {
        let Some(number) = self.numbers.remove(entry) else { return false };
        self.letters.remove(&number);
        self.has_changed = true;
        true
    }

    /// The file's new content and its place, if it has changed since it was last written: to be given to [`write`].
    pub(crate) fn to_write(&self) -> Option<(PathBuf, String)> {
        let line = |letter: &Letter| format!("{} {} {}\n", letter.since, letter.status.0, letter.entry);
        self.has_changed.then(|| (self.path.clone(), self.letters().map(line).collect()))
    }

    /// Whether the file is older than the list.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// The file is as the list.
    pub(crate) fn written(&mut self) {
        self.has_changed = false;
    }
}

/// Replaces the file; an empty list has none. Blocking.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    if !text.is_empty() {
        return replace_file(path, text.as_bytes());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse(line: &str) -> Option<Letter> {
    let mut parts = line.splitn(3, ' ');
    let since = parts.next()?.parse().ok()?;
    let status = Status(parts.next()?.parse().ok()?);
    Some(Letter { since, status, entry: Entry::parse(parts.next()?.as_bytes())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_survive_restarts_and_go_when_they_arrive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.dead");
        let lines = ["7 C M00/00/00/file", "8 A M00/00/00/file 0 5", "9 r M00/00/00/new M00/00/00/old"];
        let entries: Vec<Entry> = lines.iter().map(|line| Entry::parse(line.as_bytes()).unwrap()).collect();
        let save = |letters: &mut DeadLetters| {
            let (path, text) = letters.to_write().unwrap();
            write(&path, &text).unwrap();
            letters.written();
            assert_eq!(letters.to_write(), None);
        };
        let mut letters = DeadLetters::load(&path).unwrap();
        for entry in &entries {
            letters.add(Letter { since: 100, status: Status::EINVAL, entry: entry.clone() });
        }
        letters.add(Letter { since: 200, status: Status::EIO, entry: entries[0].clone() });
        save(&mut letters);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("100 5 {}\n100 22 {}\n100 22 {}\n", lines[0], lines[1], lines[2]));
        let mut again = DeadLetters::load(&path).unwrap();
        assert_eq!(again.to_write(), None);
        assert!(again.letters().eq(letters.letters()));
        assert!(again.remove(&entries[1]));
        assert!(!again.remove(&entries[1]));
        assert!(again.remove(&entries[0]) && again.remove(&entries[2]));
        assert_eq!(again.len(), 0);
        save(&mut again);
        assert!(!path.exists());
    }
}
