//! `<store path>/data/.change<N>`: the name of a file that is being changed in place, for as long as that takes.
//!
//! A change in place can neither be announced in the binlog (readers would wait for a slow client) nor be undone after a
//! SIGKILL. So the next start finds the name here and records the whole file, as it is then, for the other members.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::LogicName;

const PREFIX: &str = ".change";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A name that is noted until this is dropped.
#[derive(Debug)]
pub(super) struct UnderChange {
    path: PathBuf,
}

impl UnderChange {
    /// Notes a name. Blocking.
    pub(super) fn note(data: &Path, name: &LogicName) -> io::Result<Self> {
        let path = data.join(format!("{PREFIX}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let noted = Self { path };
        fs::write(&noted.path, name.as_str())?;
        Ok(noted)
    }
}

impl Drop for UnderChange {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a note of a finished change cannot be removed");
        }
    }
}

/// Names that a crash left behind, with the notes that hold them: to be dropped when the files are recorded. Blocking.
pub(super) fn left_behind(data: &Path) -> io::Result<Vec<(LogicName, UnderChange)>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let Some(number) =
            entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok())
        else {
            continue;
        };
        NEXT.fetch_max(number, Ordering::Relaxed);
        NEXT.fetch_add(1, Ordering::Relaxed);
        let note = UnderChange { path: entry.path() };
        // A crash before the name was whole came before the change.
        if let Ok(name) = LogicName::parse(&fs::read_to_string(&note.path)?) {
            left.push((name, note));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_as_long_as_its_change() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let name = LogicName::parse("M00/00/00/file").unwrap();
        let note = UnderChange::note(data, &name).unwrap();
        let other = UnderChange::note(data, &name).unwrap();
        drop(note);
        std::mem::forget(other);
        let left = left_behind(data).unwrap();
        assert_eq!(left.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), [name]);
        drop(left);
        fs::write(data.join(".change7"), "M00/00").unwrap();
        assert!(left_behind(data).unwrap().is_empty());
        assert_eq!(fs::read_dir(data).unwrap().count(), 0);
    }
}
