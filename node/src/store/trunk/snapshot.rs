//! `<base_path>/data/storage_trunk.dat`: the free space at some offset of the trunk binlog. Line 1 is the offset, the others
//! are records of what is free, in the first versions without time and letter. FastDFS leaves one at a stop if it does not
//! compress the log. fdfs reads it and writes none: the log says all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record;
use super::slot::Slot;

/// Free space, and the offset of the log from which on its records count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) offset: u64,
    pub(super) free: Vec<Slot>,
}

/// Where it is.
pub(super) fn path(base_data: &Path) -> PathBuf {
    base_data.join("storage_trunk.dat")
}

/// Reads it; `InvalidData` if it is not whole.
pub(super) fn load(base_data: &Path) -> io::Result<Option<Snapshot>> {
    match fs::read(path(base_data)) {
        Ok(text) => parse(&text).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes it; a log that begins anew has nothing to do with it.
pub(super) fn remove(base_data: &Path) -> io::Result<()> {
    match fs::remove_file(path(base_data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse(text: &[u8]) -> Option<Snapshot> {
    let mut lines = text.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    let offset = std::str::from_utf8(lines.next()?).ok()?.trim().parse().ok()?;
    let slot = |line: &[u8]| {
        let new = record::parse(line).filter(|(turn, _)| *turn == record::Turn::Free);
        new.map(|(_, slot)| slot).or_else(|| record::parse_old(line))
    };
    Some(Snapshot { offset, free: lines.map(slot).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let new = parse(b"1217\n1795383219 A 0 0 0 1 512 256\n1795383219 A 1 0 0 2 0 4194304\n").unwrap();
        let old = parse(b"1217\n0 0 0 1 512 256\n1 0 0 2 0 4194304\n").unwrap();
        assert_eq!(new, old);
        assert_eq!((new.offset, new.free.len()), (1217, 2));
        assert_eq!(parse(b"0\n"), Some(Snapshot { offset: 0, free: Vec::new() }));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for text in [
            "",
            "1217",
            "x\n",
            "1217\n1795383219 A 0 0 0 1 512 256",
            "1217\n0 0 0 1\n",
            "1\n1 D 0 0 0 1 0 256\n",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
