//! What lies in the trunk files of a storage's disk, read as FastDFS describes it: a slot is 24 bytes of header, then content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use protocol::file_id::{FileKind, TrunkSlot};
use protocol::{FileId, LogicName};

use super::disk::Print;

/// For the trackers' configurations: slots of 256 bytes and more, in trunk files of 4 MiB.
pub(crate) const TRUNK_LINES: &str = "use_trunk_file = true\nslot_min_size = 256\nslot_max_size = 1MB\n\
                                      trunk_file_size = 4MB\ntrunk_alloc_alignment_size = 256\n\
                                      trunk_free_space_merge = true\n";
/// Slots begin at multiples of this.
const STEP: usize = 256;
const HEADER: usize = 24;

/// The slot that a file's name has, if it has one.
pub(crate) fn slot_of(id: &str) -> Option<TrunkSlot> {
    match FileId::parse(id).expect("a file ID").name.kind() {
        Ok(FileKind::Trunk(slot)) => Some(slot),
        _ => None,
    }
}

/// `HH/LL/000001` of a name and its slot.
pub(crate) fn container(id: &str, slot: TrunkSlot) -> String {
    let name: LogicName = FileId::parse(id).expect("a file ID").name;
    format!("{}/{:06}", name.sub_dir().to_path(), slot.file_id)
}

/// Content of the slot of a file, if it is in use; its header has to have the length and the checksum that are there.
pub(crate) fn print(base: &Path, id: &str, slot: TrunkSlot) -> Result<Print, String> {
    let path = base.join("data").join(container(id, slot));
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let start = usize::try_from(slot.offset).expect("fits");
    used(&bytes)?.remove(&start).ok_or_else(|| format!("nothing at {start} of {}", path.display()))
}

/// What is in use in a trunk file, by offset. While content is written whose header is not there yet, it may look like
/// anything.
fn used(bytes: &[u8]) -> Result<BTreeMap<usize, Print>, String> {
    let number = |at: usize| {
        let field = bytes[at..at + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_be_bytes(field)).expect("fits")
    };
    let mut found = BTreeMap::new();
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        if !matches!(bytes[at], b'F' | b'L') {
            at += STEP;
            continue;
        }
        let (slot, len) = (number(at + 1), number(at + 5));
        let content = bytes.get(at + HEADER..at + HEADER + len).filter(|_| len + HEADER <= slot);
        let print = Print::of(content.ok_or_else(|| format!("no header at {at}"))?);
        if number(at + 9) != usize::try_from(print.crc32).expect("fits") {
            return Err(format!("another checksum than that of the slot at {at}"));
        }
        found.insert(at, print);
        at += slot.next_multiple_of(STEP);
    }
    Ok(found)
}

/// Slots in use on a disk.
pub(crate) fn count(base: &Path, disk: &BTreeMap<String, Option<Print>>) -> Result<usize, String> {
    let containers = disk.keys().filter(|name| is_container(name));
    let read = |name: &String| fs::read(base.join("data").join(name)).unwrap_or_default();
    containers.map(|name| used(&read(name)).map(|used| used.len())).sum()
}

/// Bytes of the slots in use on a disk.
pub(crate) fn bytes(base: &Path, disk: &BTreeMap<String, Option<Print>>) -> Result<i64, String> {
    let mut sum = 0;
    for name in disk.keys().filter(|name| is_container(name)) {
        let bytes = fs::read(base.join("data").join(name)).unwrap_or_default();
        for at in used(&bytes)?.keys() {
            let field = bytes[at + 1..at + 5].try_into().expect("four bytes");
            sum += i64::from(u32::from_be_bytes(field));
        }
    }
    Ok(sum)
}

/// Whether a file is a trunk file.
pub(crate) fn is_container(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.len() >= 6 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The trunk binlog of a storage.
pub(crate) fn trunk_binlog(base: &Path) -> String {
    fs::read_to_string(base.join("data/trunk/binlog")).unwrap_or_default()
}
