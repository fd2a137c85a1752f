//! `<base_path>/data/sync/<peer>.dead`: records that the peer refused for good, one line each, for the operator:
//! unix second when it was set aside, the peer's status, and the binlog's line. They are tried again from time to time;
//! a line goes when its record has arrived.

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

/// The list of one peer.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    letters: Vec<Letter>,
}

impl DeadLetters {
    /// Reads the list; lines that are none are dropped at its next change. Blocking.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let letters = text.lines().filter_map(parse).collect();
        Ok(Self { path: path.to_owned(), letters })
    }

    /// All of them, oldest first.
    pub(crate) fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Adds a record, or renews what is said of it. Blocking.
    pub(crate) fn add(&mut self, letter: Letter) -> io::Result<()> {
        match self.letters.iter_mut().find(|known| known.entry == letter.entry) {
            Some(known) => known.status = letter.status,
            None => self.letters.push(letter),
        }
        self.save()
    }

    /// Forgets a record that has arrived; whether it was there. Blocking.
    pub(crate) fn remove(&mut self, entry: &Entry) -> io::Result<bool> {
        let before = self.letters.len();
        self.letters.retain(|letter| letter.entry != *entry);
        if self.letters.len() == before {
            return Ok(false);
        }
        self.save()?;
        Ok(true)
    }

    fn save(&self) -> io::Result<()> {
        if self.letters.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let line = |letter: &Letter| format!("{} {} {}\n", letter.since, letter.status.0, letter.entry);
        replace_file(&self.path, self.letters.iter().map(line).collect::<String>().as_bytes())
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
        let mut letters = DeadLetters::load(&path).unwrap();
        for entry in &entries {
            letters.add(Letter { since: 100, status: Status::EINVAL, entry: entry.clone() }).unwrap();
        }
        letters.add(Letter { since: 200, status: Status::EIO, entry: entries[0].clone() }).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("100 5 {}\n100 22 {}\n100 22 {}\n", lines[0], lines[1], lines[2]));
        let mut again = DeadLetters::load(&path).unwrap();
        assert_eq!(again.letters(), letters.letters());
        assert!(again.remove(&entries[1]).unwrap());
        assert!(!again.remove(&entries[1]).unwrap());
        assert!(again.remove(&entries[0]).unwrap() && again.remove(&entries[2]).unwrap());
        assert!(!path.exists());
    }
}
