//! `<base_path>/data/sync/<peer>.mark`: how far a peer has got, in the reference's format and at its place.
//!
//! Operators edit it, with the node stopped, to send again from an earlier position.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::StorageId;
use protocol::daemon::replace_file;
use tracing::warn;

use crate::store::BinlogPosition;
use crate::store::state_text::{StateText, put};

/// What a mark file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// Everything before has arrived.
    pub(crate) position: BinlogPosition,
    /// Whether this node feeds the peer old files.
    pub(crate) need_sync_old: bool,
    /// Whether it has fed them all.
    pub(crate) sync_old_done: bool,
    /// Old files are those up to this time, unix seconds.
    pub(crate) until: i64,
    /// Records read.
    pub(crate) scanned: i64,
    /// Records sent.
    pub(crate) sent: i64,
}

impl Mark {
    /// Reads a mark; `None` if there is none. One that is not whole is said to be damaged: the caller starts anew.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Self::parse(&text).map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the mark file lacks a key or a number is none")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let text = StateText::parse(text);
        let number = |key: &str| -> Option<i64> { text.text(key)?.parse().ok() };
        Some(Self {
            position: BinlogPosition {
                index: u32::try_from(number("binlog_index")?).ok()?,
                offset: u64::try_from(number("binlog_offset")?).ok()?,
            },
            need_sync_old: number("need_sync_old")? != 0,
            sync_old_done: number("sync_old_done")? != 0,
            until: number("until_timestamp")?,
            scanned: number("scan_row_count")?,
            sent: number("sync_row_count")?,
        })
    }

    fn serialize(&self) -> String {
        let mut out = String::new();
        put(&mut out, "binlog_index", self.position.index);
        put(&mut out, "binlog_offset", self.position.offset);
        put(&mut out, "need_sync_old", u8::from(self.need_sync_old));
        put(&mut out, "sync_old_done", u8::from(self.sync_old_done));
        put(&mut out, "until_timestamp", self.until);
        put(&mut out, "scan_row_count", self.scanned);
        put(&mut out, "sync_row_count", self.sent);
        out
    }

    /// Replaces the file. Blocking.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        replace_file(path, self.serialize().as_bytes())
    }
}

/// Where a peer's state lies: `<id>` where the cluster uses ids, else `<address>_<own port>`, below the binlog's
/// directory.
pub(crate) fn stem(sync_dir: &Path, peer: &StorageId, own_port: u16, uses_ids: bool) -> PathBuf {
    sync_dir.join(if uses_ids { peer.to_string() } else { format!("{peer}_{own_port}") })
}

/// The mark file of a stem. (Not `with_extension`: addresses have dots.)
pub(crate) fn path_of(stem: &Path) -> PathBuf {
    with_suffix(stem, ".mark")
}

/// The list of records that the peer refused.
pub(crate) fn dead_letters_of(stem: &Path) -> PathBuf {
    with_suffix(stem, ".dead")
}

/// Pulls marks behind `end`, where the binlog ends at the node's start, back there: a disk that failed or an operator made
/// them, and records to come would be passed over. Blocking.
pub(crate) fn pull_back(sync_dir: &Path, end: BinlogPosition) -> io::Result<()> {
    for entry in fs::read_dir(sync_dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "mark") {
            continue;
        }
        // A damaged one is its sender's to report.
        if let Ok(Some(mark)) = Mark::load(&path)
            && mark.position > end
        {
            warn!(path = %path.display(), ?end, "the mark is behind the end of the binlog, pulling it back");
            Mark { position: end, ..mark }.save(&path)?;
        }
    }
    Ok(())
}

/// Puts the file of a peer that has left aside, as the reference does: its name gets the time. Blocking.
pub(crate) fn retire(path: &Path) -> io::Result<()> {
    let now = chrono::Local::now().format(".%Y%m%d%H%M%S").to_string();
    match fs::rename(path, with_suffix(path, &now)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THE_REFERENCE: &str = "binlog_index=0\nbinlog_offset=232\nneed_sync_old=1\nsync_old_done=0\n\
        until_timestamp=1795382760\nscan_row_count=4\nsync_row_count=2\n";

    #[test]
    fn the_reference_s_file_is_read_and_written_byte_equal() {
        let directory = tempfile::tempdir().unwrap();
        let id = StorageId::parse("10.0.0.1").unwrap();
        let path = path_of(&stem(directory.path(), &id, 23000, false));
        assert_eq!(path.file_name().unwrap(), "10.0.0.1_23000.mark");
        assert_eq!(Mark::load(&path).unwrap(), None);
        fs::write(&path, OF_THE_REFERENCE).unwrap();
        let mark = Mark::load(&path).unwrap().unwrap();
        assert_eq!((mark.position, mark.until), (BinlogPosition { index: 0, offset: 232 }, 1_795_382_760));
        assert!(mark.need_sync_old && !mark.sync_old_done);
        mark.save(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), OF_THE_REFERENCE);
        let with_ids = path_of(&stem(directory.path(), &StorageId::parse("100001").unwrap(), 23000, true));
        assert_eq!(with_ids.file_name().unwrap(), "100001.mark");
    }

    #[test]
    fn a_damaged_mark_is_an_error() {
        for text in ["", "binlog_index=0\n", &OF_THE_REFERENCE.replace("232", "-1")] {
            assert_eq!(Mark::parse(text), None);
        }
    }
}
