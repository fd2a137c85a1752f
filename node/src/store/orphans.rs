//! Metadata whose file never got its name, since a crash came between the two: removed at start.
//!
//! An upload with metadata writes both records at once, the file's first, and then publishes the metadata before the file.
//! So what a crash left stands at the binlog's end: no more uploads were under way than a store path's threads take.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use protocol::LogicName;
use protocol::file_id::FileKind;
use tracing::warn;

use super::StoreError;
use super::alter::is_there;
use super::binlog::{Binlog, Entry, Op, Record, Side};
use super::shelves::Shelves;
use super::trunk;

/// What is read of the binlog: the records of some thousand uploads with metadata.
const TAIL: u64 = 1 << 20;

/// Removes them, blocking. Their records lead to nothing then, which senders pass over; members that have the metadata
/// nevertheless are told.
pub(super) fn remove(shelves: &Shelves, binlog: &Binlog, time: i64) -> Result<(), StoreError> {
    for file in binlog.newest_files() {
        let tail = read_tail(&file, TAIL).map_err(StoreError::io("read", &file))?;
        for metadata in pairs(&tail) {
            remove_one(shelves, binlog, time, &metadata)?;
        }
    }
    Ok(())
}

fn remove_one(shelves: &Shelves, binlog: &Binlog, time: i64, metadata: &LogicName) -> Result<(), StoreError> {
    let Some(path) = shelves.path(metadata.store_path()) else { return Ok(()) };
    let Some(owner) = metadata.metadata_owner() else { return Ok(()) };
    let failed = |_| StoreError::io("look into", path.dir.path())(io::ErrorKind::Other.into());
    let is_member =
        matches!(owner.kind(), Ok(FileKind::Trunk(slot)) if trunk::open(shelves, &owner, slot).is_ok());
    if is_member || is_there(path, &owner).map_err(failed)? || !is_there(path, metadata).map_err(failed)? {
        return Ok(());
    }
    warn!(name = %owner, "an upload with metadata was broken off by a crash; its metadata is removed");
    let record = Record { time, side: Side::Source, op: Op::Delete, name: metadata.as_str() };
    binlog.append(&record).map_err(StoreError::io("write the binlog for", path.dir.path()))?;
    path.dir.unlink(metadata.true_name()).map_err(StoreError::io("remove metadata in", path.dir.path()))
}

/// The metadata of files that were created together with it.
fn pairs(lines: &[u8]) -> Vec<LogicName> {
    let mut found = Vec::new();
    let mut before: Option<LogicName> = None;
    for line in lines.split(|byte| *byte == b'\n') {
        let entry = Entry::parse(line);
        let created = entry.filter(|entry| entry.op == Op::Create && entry.side == Side::Source);
        let name = created.map(|entry| entry.name);
        if let (Some(file), Some(metadata)) = (&before, &name)
            && metadata.metadata_owner().as_ref() == Some(file)
        {
            found.push(metadata.clone());
        }
        before = name;
    }
    found
}

/// The last lines of a file, `max` bytes of it; the first may be a part of one. The older of two may be compressed or gone.
pub(super) fn read_tail(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let start = file.metadata()?.len().saturating_sub(max);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(max).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_created_together_is_a_pair() {
        let check = |lines: &str, expected: &[&str]| {
            let found: Vec<String> = pairs(lines.as_bytes()).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{lines}");
        };
        check("", &[]);
        check("1 C M00/00/00/a\n1 C M00/00/00/a-m\n", &["M00/00/00/a-m"]);
        check("1 c M00/00/00/a\n1 c M00/00/00/a-m\n", &[]);
        check("1 C M00/00/00/a\n1 C M00/00/00/b-m\n", &[]);
        check("1 C M00/00/00/a\n1 U M00/00/00/a-m\n", &[]);
        check("torn 0/a\n1 C M00/00/00/a-m\n1 C M00/00/00/a\n", &[]);
        check(
            "C M00/00/00/x\n1 C M00/00/00/a\n2 C M00/00/00/a-m\n3 C M00/00/00/b\n3 C M00/00/00/b-m\n",
            &["M00/00/00/a-m", "M00/00/00/b-m"],
        );
    }
}
