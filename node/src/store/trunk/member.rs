//! Reading members of trunk files, which FastDFS made. A slot is a 24-byte header, then the content.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | `F` file, `L` link, 0 free |
//! | 1 | 4 | bytes of the slot |
//! | 5 | 4 | bytes of content |
//! | 9 | 4 | CRC32 |
//! | 13 | 4 | time |
//! | 17 | 7 | last seven characters of the name |
//!
//! All but the type must be what the name says, else the slot holds another file by now.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use gateway::files::{OpenFile, WriteError};
use protocol::LogicName;
use protocol::file_id::TrunkSlot;

use super::super::shelves::Shelves;
use super::super::{Inner, ReadError, io_failed, read_failed};
use super::slot::container;

const HEADER_LEN: usize = super::slot::HEADER_LEN as usize;

/// What a slot holds.
pub(in super::super) enum Member {
    /// Content of a file.
    File(OpenFile),
    /// The name of another file.
    Link(LogicName),
}

/// Opens the slot that a name describes. Blocking.
pub(in super::super) fn open(
    store: &Shelves,
    name: &LogicName,
    slot: TrunkSlot,
) -> Result<Member, ReadError> {
    let file = store.read_path(name)?.dir.open_read(&container(name.sub_dir(), slot.file_id))?;
    member(file, name, slot)
}

/// Frees the slot that a name describes, which another member deleted; false if it holds another file by now.
/// Blocking.
pub(in super::super) fn erase(store: &Inner, name: &LogicName, slot: TrunkSlot) -> Result<bool, WriteError> {
    let path = store.read_path(name).map_err(read_failed)?;
    let erasing = |error| io_failed("erasing a slot of a trunk file", error);
    let file = match path.dir.open_write(&container(name.sub_dir(), slot.file_id)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        outcome => outcome.map_err(erasing)?,
    };
    match file.try_clone().map_err(ReadError::from).and_then(|file| member(file, name, slot)) {
        Err(ReadError::NotFound) => return Ok(false),
        outcome => outcome.map_err(read_failed)?,
    };
    zero(&file, slot).map_err(erasing)?;
    store.sync_content(&file)?;
    Ok(true)
}

/// Fills a slot with zeros, from its header on: it is free as soon as that is gone. Blocking.
pub(super) fn zero(file: &File, slot: TrunkSlot) -> io::Result<()> {
    let zeros = [0; 16 * 1024];
    let mut done = 0;
    while done < u64::from(slot.size) {
        let left = usize::try_from(u64::from(slot.size) - done).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(&zeros[..left], u64::from(slot.offset) + done)?;
        done += left as u64;
    }
    Ok(())
}

/// Size of the slot, if these bytes can be a file's header.
pub(super) fn looks_like_file(header: &[u8; HEADER_LEN]) -> Option<u32> {
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let (size, len) = (number(1)?, number(5)?);
    let is_text = header[17..].iter().all(u8::is_ascii_graphic);
    let fits = len.checked_add(super::slot::HEADER_LEN).is_some_and(|need| need <= size);
    (matches!(header[0], b'F' | b'L') && is_text && fits).then_some(size)
}

fn member(file: File, name: &LogicName, slot: TrunkSlot) -> Result<Member, ReadError> {
    let code = name.code().map_err(|_| ReadError::NotFound)?;
    let tail = name.tail().ok_or(ReadError::NotFound)?;
    let size = code.size.size().and_then(|size| u32::try_from(size).ok()).ok_or(ReadError::NotFound)?;
    let mut header = [0; HEADER_LEN];
    match file.read_exact_at(&mut header, slot.offset.into()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::NotFound),
        outcome => outcome?,
    }
    let mut expected = [0; HEADER_LEN];
    expected[1..5].copy_from_slice(&slot.size.to_be_bytes());
    expected[5..9].copy_from_slice(&size.to_be_bytes());
    expected[9..13].copy_from_slice(&code.crc32.to_be_bytes());
    expected[13..17].copy_from_slice(&code.timestamp.to_be_bytes());
    expected[17..].copy_from_slice(tail.as_bytes());
    if header[1..] != expected[1..] {
        return Err(ReadError::NotFound);
    }
    let offset = u64::from(slot.offset) + HEADER_LEN as u64;
    match header[0] {
        b'F' => Ok(Member::File(OpenFile {
            file: Arc::new(file),
            offset,
            len: size.into(),
            modified: UNIX_EPOCH + Duration::from_secs(code.timestamp.into()),
            mutable: false,
            version: None,
        })),
        b'L' if size <= 255 => {
            let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
            file.read_exact_at(&mut text, offset)?;
            LogicName::from_bytes(&text).map(Member::Link).map_err(|_| ReadError::NotFound)
        }
        _ => Err(ReadError::NotFound),
    }
}
