//! Marks and dead letters follow what becomes of a peer: another address, an id instead of an address, or its deletion.
//!
//! All of it is blocking, and may be done again: what is not there needs no change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::StorageId;

use crate::replication::mark;

/// Where the marks are, and how they are named.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    pub(super) sync_dir: PathBuf,
    pub(super) own_port: u16,
    pub(super) uses_ids: bool,
}

impl Marks {
    fn stem(&self, peer: &StorageId) -> PathBuf {
        mark::stem(&self.sync_dir, peer, self.own_port, self.uses_ids)
    }

    /// A peer's mark.
    pub(super) fn path(&self, peer: &StorageId) -> PathBuf {
        mark::path_of(&self.stem(peer))
    }

    /// Puts a deleted peer's files aside. Its sender does so too when it ends; after a restart there is none.
    pub(super) fn retire(&self, peer: &StorageId) -> io::Result<()> {
        mark::retire(&self.path(peer))?;
        mark::retire(&mark::dead_letters_of(&self.stem(peer)))
    }

    /// Carries a peer's files over to its new address, unless that has some already; true if there was a mark.
    pub(super) fn follow(&self, old: &StorageId, new: &StorageId) -> io::Result<bool> {
        rename_new(&self.stem(old), &self.stem(new))
    }

    /// Carries the files that a peer had by address over to its id, once the cluster has ids.
    pub(super) fn adopt(&self, peer: &StorageId, address: &StorageId) -> io::Result<bool> {
        rename_new(&mark::stem(&self.sync_dir, address, self.own_port, false), &self.stem(peer))
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    if mark::path_of(to).try_exists()? {
        return Ok(false);
    }
    rename(&mark::dead_letters_of(from), &mark::dead_letters_of(to))?;
    rename(&mark::path_of(from), &mark::path_of(to))
}

fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StorageId {
        StorageId::parse(text).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn marks_follow_their_peers() {
        let dir = tempfile::tempdir().unwrap();
        let by_address = Marks { sync_dir: dir.path().to_owned(), own_port: 23000, uses_ids: false };
        by_address.retire(&id("10.0.0.2")).unwrap();
        fs::write(by_address.path(&id("10.0.0.2")), "of 2").unwrap();
        fs::write(dir.path().join("10.0.0.2_23000.dead"), "refused").unwrap();
        assert!(by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap());
        assert!(!by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap());
        assert_eq!(names(dir.path()), ["10.0.0.3_23000.dead", "10.0.0.3_23000.mark"]);
        fs::write(by_address.path(&id("10.0.0.2")), "older").unwrap();
        assert!(!by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap(), "a mark is not replaced");
        assert_eq!(fs::read_to_string(by_address.path(&id("10.0.0.3"))).unwrap(), "of 2");

        let by_id = Marks { uses_ids: true, ..by_address };
        assert!(by_id.adopt(&id("100003"), &id("10.0.0.3")).unwrap());
        assert_eq!(names(dir.path()), ["10.0.0.2_23000.mark", "100003.dead", "100003.mark"]);
        by_id.retire(&id("100003")).unwrap();
        assert!(!by_id.path(&id("100003")).exists());
        assert_eq!(names(dir.path()).len(), 3);
    }
}
