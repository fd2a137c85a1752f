//! `<store path>/data/.recovery.flag`: the disk of this store path was replaced, and its files come from other members.
//!
//! It is written before the first directory is made anew, so that a crash at any moment leaves either no directories or
//! the flag.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::cluster::StorageStatus;
use protocol::daemon::replace_file;

use super::StoreError;
use super::state_text::{StateText, put};

const FILE_NAME: &str = ".recovery.flag";

/// How far the recovery of a store path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecoveryFlag {
    /// Where this node stood before.
    pub(crate) saved_status: StorageStatus,
    /// Number of files of records that are here as a whole, once they are.
    pub(crate) files: Option<u32>,
}

fn file(data: &Path) -> PathBuf {
    data.join(FILE_NAME)
}

impl RecoveryFlag {
    /// Nothing is done yet. A node that was a member and does not run is offline.
    pub(crate) const BEGUN: Self = Self { saved_status: StorageStatus::OFFLINE, files: None };

    /// Reads the flag of a store path; `None` if it has none.
    pub(crate) fn load(data: &Path) -> Result<Option<Self>, StoreError> {
        let path = file(data);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// What cannot be understood was not done.
    fn parse(text: &str) -> Self {
        let text = StateText::parse(text);
        let saved = text.number("saved_storage_status").and_then(|status| u8::try_from(status).ok());
        let done = text.text("fetch_binlog_done").is_some_and(|word| {
            word == "1" || ["true", "yes", "on"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
        });
        let files = text.number("recovery_threads").and_then(|count| u32::try_from(count).ok());
        Self {
            saved_status: saved.map_or(StorageStatus::OFFLINE, StorageStatus),
            files: files.filter(|count| done && *count > 0),
        }
    }

    fn serialize(&self) -> String {
        let mut text = String::new();
        put(&mut text, "saved_storage_status", self.saved_status.0);
        put(&mut text, "fetch_binlog_done", u8::from(self.files.is_some()));
        match self.files {
            Some(files) => put(&mut text, "recovery_threads", files),
            None => put(&mut text, "recovery_threads", -1),
        }
        text
    }

    /// Replaces the flag.
    pub(crate) fn save(&self, data: &Path) -> Result<(), StoreError> {
        let path = file(data);
        replace_file(&path, self.serialize().as_bytes()).map_err(StoreError::io("write", &path))
    }

    /// The recovery is over.
    pub(crate) fn remove(data: &Path) -> Result<(), StoreError> {
        let path = file(data);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_both_programs_are_understood() {
        let check = |text: &str, saved_status, files| {
            assert_eq!(RecoveryFlag::parse(text), RecoveryFlag { saved_status, files }, "{text}");
        };
        let (offline, active) = (StorageStatus::OFFLINE, StorageStatus::ACTIVE);
        check("saved_storage_status=7\nfetch_binlog_done=0\nrecovery_threads=-1\n", active, None);
        check("saved_storage_status=7\nfetch_binlog_done=1\nrecovery_threads=3\n", active, Some(3));
        check("saved_storage_status=5\nfetch_binlog_done=true\nrecovery_threads=1\n", offline, Some(1));
        check("saved_storage_status=-1\nfetch_binlog_done=1\n", offline, None);
        check("", offline, None);
        for files in [None, Some(1), Some(8)] {
            let flag = RecoveryFlag { saved_status: active, files };
            assert_eq!(RecoveryFlag::parse(&flag.serialize()), flag);
        }
    }
}
