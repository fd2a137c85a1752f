//! Members of trunk files: what a slot holds. A slot is a 24-byte header, then the content.
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

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use gateway::files::{OpenFile, WriteError};
use protocol::LogicName;
use protocol::file_id::{NameTail, TrunkSlot};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::super::shelves::Shelves;
use super::super::{Inner, ReadError, io_failed, read_failed};
use super::container::Container;
use super::slot::Slot;

pub(super) const HEADER_LEN: usize = super::slot::HEADER_LEN as usize;
/// Longest text of a link: a name.
const MAX_LINK: u32 = 255;
/// Pause between two looks at a slot that somebody has a claim to.
const GIVEN_UP: Duration = Duration::from_millis(1);

/// What a slot holds.
pub(in super::super) enum Member {
    /// Content of a file.
    File(OpenFile),
    /// The name of another file.
    Link(LogicName),
}

/// What a header says besides its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the slot.
    pub(super) slot: u32,
    /// Bytes of content.
    pub(super) len: u32,
    pub(super) crc32: u32,
    pub(super) timestamp: u32,
    pub(super) tail: NameTail,
}

impl Header {
    /// Of the file of this name.
    pub(super) fn of(name: &LogicName, slot: TrunkSlot) -> Option<Self> {
        let (code, tail) = (name.code().ok()?, name.tail()?);
        let len = u32::try_from(code.size.size()?).ok()?;
        Some(Self { slot: slot.size, len, crc32: code.crc32, timestamp: code.timestamp, tail })
    }

    /// Of a file.
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut header = [b'F'; HEADER_LEN];
        header[1..5].copy_from_slice(&self.slot.to_be_bytes());
        header[5..9].copy_from_slice(&self.len.to_be_bytes());
        header[9..13].copy_from_slice(&self.crc32.to_be_bytes());
        header[13..17].copy_from_slice(&self.timestamp.to_be_bytes());
        header[17..].copy_from_slice(self.tail.as_bytes());
        header
    }
}

/// Opens the slot that a name describes. Blocking.
pub(in super::super) fn open(
    store: &Shelves,
    name: &LogicName,
    slot: TrunkSlot,
) -> Result<Member, ReadError> {
    let path = store.read_path(name)?;
    member(&*path.containers.open(&path.dir, name.sub_dir(), slot.file_id)?, name, slot)
}

/// The same of a file whose trunk file is open and whose header is in memory; none if it is to be looked for otherwise.
pub(in super::super) fn open_cached(store: &Shelves, name: &LogicName, slot: TrunkSlot) -> Option<OpenFile> {
    let path = store.read_path(name).ok()?;
    let container = path.containers.find((name.sub_dir(), slot.file_id))?;
    let (expected, mut header) = (Header::of(name, slot)?, [0; HEADER_LEN]);
    let mut slices = [io::IoSliceMut::new(&mut header)];
    let read = loop {
        match preadv2(&container.file, &mut slices, slot.offset.into(), ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            outcome => break outcome.ok()?,
        }
    };
    (read == HEADER_LEN && header == expected.encode()).then(|| opened(&container, slot, &expected))
}

/// Frees the slot that a name describes, whose file was deleted; false if it holds another file by now. Blocking.
pub(in super::super) fn erase(store: &Inner, name: &LogicName, slot: TrunkSlot) -> Result<bool, WriteError> {
    let path = store.read_path(name).map_err(read_failed)?;
    let erasing = |error| io_failed("erasing a slot of a trunk file", error);
    let container = match path.containers.open(&path.dir, name.sub_dir(), slot.file_id) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        outcome => outcome.map_err(erasing)?,
    };
    let place = Slot { path: name.store_path(), dir: name.sub_dir(), at: slot };
    let _claim = loop {
        let claim = store.trunk.claims.claim(&place);
        match member(&container, name, slot) {
            Err(ReadError::NotFound) => return Ok(false),
            outcome => outcome.map_err(read_failed)?,
        };
        match claim {
            Some(claim) => break claim,
            // Somebody who has a claim and finds this file gives it up at once.
            None => std::thread::sleep(GIVEN_UP),
        }
    };
    container.zero(slot).map_err(erasing)?;
    container.sync(store.durability).map_err(erasing)?;
    Ok(true)
}

/// Size of the slot, if these bytes can be a file's header.
pub(super) fn looks_like_file(header: &[u8; HEADER_LEN]) -> Option<u32> {
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let (size, len) = (number(1)?, number(5)?);
    let is_text = header[17..].iter().all(u8::is_ascii_graphic);
    let fits = len.checked_add(super::slot::HEADER_LEN).is_some_and(|need| need <= size);
    (matches!(header[0], b'F' | b'L') && is_text && fits).then_some(size)
}

fn member(container: &Container, name: &LogicName, slot: TrunkSlot) -> Result<Member, ReadError> {
    let expected = Header::of(name, slot).ok_or(ReadError::NotFound)?;
    let mut header = [0; HEADER_LEN];
    match container.file.read_exact_at(&mut header, slot.offset.into()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::NotFound),
        outcome => outcome?,
    }
    if header[1..] != expected.encode()[1..] {
        return Err(ReadError::NotFound);
    }
    match header[0] {
        b'F' => Ok(Member::File(opened(container, slot, &expected))),
        b'L' if expected.len <= MAX_LINK => {
            let mut text = vec![0; usize::try_from(expected.len).unwrap_or(0)];
            container.file.read_exact_at(&mut text, content_offset(slot))?;
            LogicName::from_bytes(&text).map(Member::Link).map_err(|_| ReadError::NotFound)
        }
        _ => Err(ReadError::NotFound),
    }
}

fn opened(container: &Container, slot: TrunkSlot, header: &Header) -> OpenFile {
    OpenFile {
        file: Arc::clone(&container.file),
        offset: content_offset(slot),
        len: header.len.into(),
        modified: UNIX_EPOCH + Duration::from_secs(header.timestamp.into()),
        mutable: false,
        version: None,
    }
}

/// First byte of the content.
pub(super) fn content_offset(slot: TrunkSlot) -> u64 {
    u64::from(slot.offset) + HEADER_LEN as u64
}
