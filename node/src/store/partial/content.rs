//! The content of an upload as it lies on the disk. Everything here blocks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use crc32fast::Hasher;
use gateway::files::Committed;
use gateway::partials::{PartialId, PartialState};
use protocol::{FileId, GroupName, LogicName};
use rustix::fs::copy_file_range;
use rustix::io::Errno;

use super::super::data_dir::DataDir;
use super::note::Note;
use super::{DIR, PartialLock};

/// Pieces that content is read in.
const BUFFER: usize = 256 * 1024;
/// Bytes that one call of the kernel copies, at most.
const COPY: usize = 64 << 20;

/// Name of the content.
pub(super) fn name(id: PartialId) -> String {
    format!("{DIR}/{id}.part")
}

/// Content that is open, and the right to it.
pub(super) struct Content {
    pub(super) file: File,
    /// Of the first `len` bytes.
    pub(super) crc: Hasher,
    pub(super) len: u64,
    /// Where content begins that does not count yet, and the checksum up to there.
    pub(super) hold: Option<(u64, Hasher)>,
    _lock: PartialLock,
}

/// What was found of an upload.
pub(super) enum Found {
    /// Content.
    Unfinished(PartialState, Content),
    /// The file that it has become.
    Stored(PartialState),
}

impl Content {
    /// Makes an empty one.
    pub(super) fn create(dir: &DataDir, id: PartialId, lock: PartialLock) -> io::Result<Self> {
        let name = name(id);
        let file = match dir.create(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                dir.make_dir(DIR)?;
                dir.create(&name)?
            }
            made => made?,
        };
        Ok(Self { file, crc: Hasher::new(), len: 0, hold: None, _lock: lock })
    }

    /// Opens what is there. What was held is gone; the checksum of what a killed process did not note is made up for.
    fn open(dir: &DataDir, id: PartialId, note: &Note, lock: PartialLock) -> io::Result<Self> {
        let mut file = dir.open_write(&name(id))?;
        let mut len = file.metadata()?.len();
        let bounds = [note.hold, note.state.spec.upload.len];
        if let Some(bound) = bounds.into_iter().flatten().min().filter(|bound| *bound < len) {
            file.set_len(bound)?;
            len = bound;
        }
        let covered = note.state.offset;
        let (mut crc, start) = if covered <= len {
            (Hasher::new_with_initial_len(note.crc32, covered), covered)
        } else {
            (Hasher::new(), 0)
        };
        add(&mut crc, &mut file, start)?;
        Ok(Self { file, crc, len, hold: None, _lock: lock })
    }

    pub(super) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all_at(chunk, self.len)?;
        self.crc.update(chunk);
        self.len += chunk.len() as u64;
        Ok(())
    }

    /// Takes back what is held.
    pub(super) fn drop_held(&mut self) -> io::Result<()> {
        let Some((len, crc)) = self.hold.take() else { return Ok(()) };
        self.file.set_len(len)?;
        (self.len, self.crc) = (len, crc);
        Ok(())
    }

    /// Appends a piece of another one's content from `at` on, and gives its length: 0 at the end.
    pub(super) fn copy(&mut self, part: &File, at: u64, end: u64) -> io::Result<u64> {
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(COPY).min(COPY);
        let (mut from, mut to) = (at, self.len);
        let copied = match copy_file_range(part, Some(&mut from), &self.file, Some(&mut to), most) {
            Ok(copied) => copied,
            // Not between these file systems.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let mut buffer = vec![0; most.min(BUFFER)];
                let read = part.read_at(&mut buffer, at)?;
                self.file.write_all_at(buffer.get(..read).unwrap_or_default(), self.len)?;
                read
            }
            Err(error) => return Err(error.into()),
        };
        self.len += copied as u64;
        Ok(copied as u64)
    }
}

/// Adds what a file holds from `start` on.
fn add(crc: &mut Hasher, file: &mut File, start: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    let mut buffer = Vec::new();
    loop {
        if buffer.is_empty() {
            buffer.resize(BUFFER, 0);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => crc.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What there is of an upload; repairs what a kill broke off. `NotFound` if there is nothing any more.
pub(super) fn find(
    dir: &DataDir,
    group: GroupName,
    id: PartialId,
    now: i64,
    lock: PartialLock,
) -> io::Result<Found> {
    let mut note = Note::load(dir, id)?;
    if note.state.expires <= now {
        return Err(io::ErrorKind::NotFound.into());
    }
    if note.state.stored.is_some() {
        return Ok(Found::Stored(note.state));
    }
    match Content::open(dir, id, &note, lock) {
        Ok(content) => {
            note.state.offset = content.len;
            Ok(Found::Unfinished(note.state, content))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let stored = note.naming.as_deref().and_then(|name| named(dir, group, name));
            note.state.stored = Some(stored.ok_or(error)?);
            note.save(dir, id, false)?;
            Ok(Found::Stored(note.state))
        }
        Err(error) => Err(error),
    }
}

/// What others see of an upload that somebody has.
pub(super) fn look(dir: &DataDir, group: GroupName, id: PartialId, now: i64) -> io::Result<PartialState> {
    let Note { mut state, hold, naming, .. } = Note::load(dir, id)?;
    if state.expires <= now {
        return Err(io::ErrorKind::NotFound.into());
    }
    if state.stored.is_some() {
        return Ok(state);
    }
    match dir.stat(&name(id)) {
        Ok(stat) => {
            let len = u64::try_from(stat.st_size).unwrap_or(0);
            state.offset = hold.map_or(len, |hold| hold.min(len));
        }
        Err(error) => state.stored = Some(naming.and_then(|name| named(dir, group, &name)).ok_or(error)?),
    }
    Ok(state)
}

/// The file that a kill left with its name, before that was noted.
fn named(dir: &DataDir, group: GroupName, name: &str) -> Option<Committed> {
    let name = LogicName::parse(name).ok()?;
    let stat = dir.stat(name.true_name()).ok()?;
    let code = name.code().ok()?;
    Some(Committed {
        len: u64::try_from(stat.st_size).ok()?,
        crc32: code.crc32,
        timestamp: code.timestamp,
        id: FileId { group, name },
    })
}
