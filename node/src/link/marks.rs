//! Mark files follow what becomes of a peer: another address, an id instead of an address, or its deletion.
//!
//! `<base>/data/sync/<peer id>.mark` where the cluster has storage ids, else `<peer's address>_<own port>.mark`. All of
//! it is blocking, and may be done again: what is not there needs no change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protocol::StorageId;

/// Where the marks are, and how they are named.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// `<base>/data/sync`.
    pub(crate) dir: PathBuf,
    /// Own port; `None` where the cluster has storage ids.
    pub(crate) port: Option<u16>,
}

impl Marks {
    /// The mark of a peer.
    pub(crate) fn path(&self, peer: &StorageId) -> PathBuf {
        self.dir.join(match self.port {
            Some(port) => format!("{peer}_{port}.mark"),
            None => format!("{peer}.mark"),
        })
    }

    /// Puts a deleted peer's mark aside, with the time appended as FastDFS does: `<name>.20261125081600`.
    pub(crate) fn retire(&self, peer: &StorageId, now: SystemTime) -> io::Result<bool> {
        let from = self.path(peer);
        let mut name = from.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", compact_time(now)));
        rename(&from, &self.dir.join(name))
    }

    /// Carries a peer's mark over to its new address, unless that has one already.
    pub(crate) fn follow(&self, old: &StorageId, new: &StorageId) -> io::Result<bool> {
        rename_new(&self.path(old), &self.path(new))
    }

    /// Carries the mark that a peer had by address and port over to its id, once the cluster has ids.
    pub(crate) fn adopt(&self, peer: &StorageId, address: &str, own_port: u16) -> io::Result<bool> {
        rename_new(&self.dir.join(format!("{address}_{own_port}.mark")), &self.path(peer))
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    if to.try_exists()? {
        return Ok(false);
    }
    rename(from, to)
}

fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `YYYYMMDDhhmmss`, UTC.
fn compact_time(now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// The date of a day counted from 1970-01-01, by the rule of 400-year cycles that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(text: &str) -> StorageId {
        StorageId::parse(text).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
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
        let by_address = Marks { dir: dir.path().to_owned(), port: Some(23000) };
        assert!(!by_address.retire(&id("10.0.0.2"), at(0)).unwrap());
        fs::write(by_address.path(&id("10.0.0.2")), "of 2").unwrap();
        assert!(by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap());
        assert!(!by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap());
        assert_eq!(names(dir.path()), ["10.0.0.3_23000.mark"]);
        fs::write(by_address.path(&id("10.0.0.2")), "older").unwrap();
        assert!(!by_address.follow(&id("10.0.0.2"), &id("10.0.0.3")).unwrap(), "a mark is not replaced");
        assert_eq!(fs::read_to_string(by_address.path(&id("10.0.0.3"))).unwrap(), "of 2");

        let by_id = Marks { port: None, ..by_address };
        assert!(by_id.adopt(&id("100003"), "10.0.0.3", 23000).unwrap());
        assert!(by_id.retire(&id("100003"), at(1_795_594_560)).unwrap());
        assert_eq!(names(dir.path()), ["10.0.0.2_23000.mark", "100003.mark.20261125081600"]);
    }

    #[test]
    fn times_are_dates() {
        for (seconds, expected) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_709_251_199, "20240229235959"),
            (1_709_251_200, "20240301000000"),
            (4_102_444_799, "20991231235959"),
        ] {
            assert_eq!(compact_time(at(seconds)), expected);
        }
    }
}
