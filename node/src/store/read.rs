//! Reading: where a name's content lies, and bytes of it.
//!
//! Links lead to files of the store only. A name's own text says whether it is the ID's time or the file's that counts.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gateway::files::{OpenFile, Version};
use protocol::LogicName;
use protocol::file_id::{FileKind, StorePathIndex};
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::pool::PoolGone;
use super::shelves::{Reader, Shelves};
use super::{ReadError, Store, StorePath, trunk};

/// Pieces that a checksum is computed in.
const PIECE: usize = 256 * 1024;

/// Whether the checksum of a file whose name does not hold it is wanted: the whole file is read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcWanted {
    /// Compute it.
    Yes,
    /// Leave it 0.
    No,
}

/// What a query for a file is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredInfo {
    /// Bytes of content.
    pub size: u64,
    /// Last change, unix seconds; of a trunk member the time in its name.
    pub mtime: i64,
    /// CRC32 of the content: from the name, computed, or 0.
    pub crc32: u32,
    /// Whether the name is a symbolic link.
    pub is_link: bool,
    /// Time for `Last-Modified`.
    pub modified: SystemTime,
    /// Whether the content can change under this name.
    pub mutable: bool,
}

/// A read of a part of a file that may be small.
#[derive(Debug)]
pub enum SmallRead {
    /// The part, in memory.
    Content {
        /// Bytes of the whole file.
        len: u64,
        /// Time for `Last-Modified`.
        modified: SystemTime,
        /// Whether the content can change under this name.
        mutable: bool,
        /// As [`OpenFile::version`].
        version: Option<Version>,
        /// The part, cut at the end of the file.
        content: Bytes,
    },
    /// More than the caller wants in memory: read it piece by piece.
    Large(OpenFile),
}

impl Reader {
    /// Opens a file: a plain one, a member of a trunk file, a link's target, or a trunk file itself by its number.
    pub async fn open_file(&self, name: &LogicName) -> Result<OpenFile, ReadError> {
        match self.open_cached(name) {
            Err(error) if would_block(&error) => {}
            outcome => return outcome,
        }
        let (shelves, wanted) = (Arc::clone(&self.0), name.clone());
        self.pool_of(name)?.pool.run(move || shelves.open(&wanted)).await?
    }

    /// What has the name now, links not followed. Blocks if the kernel has forgotten the name, so it is for those that
    /// were read a short while ago.
    pub fn version(&self, name: &LogicName) -> Option<Version> {
        let path = self.0.path(name.store_path())?;
        Version::of(&path.dir.stat(name.true_name()).ok()?)
    }

    /// A number that changes when the file of this name loses it through this process.
    pub fn names_taken(&self, name: &LogicName) -> Option<u64> {
        Some(self.0.path(name.store_path())?.dir.names_taken(name.true_name()))
    }

    /// Reads a part of an open file. Blocking work is done on the store path's threads.
    pub async fn read_at(
        &self,
        name: &LogicName,
        file: &OpenFile,
        offset: u64,
        len: usize,
    ) -> io::Result<Bytes> {
        let len = usize::try_from(file.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(len);
        let at = file.offset + offset;
        self.0.counters.file_reads.asked(1);
        let content = match read_cached(&file.file, at, len)? {
            Some(content) => content,
            None => {
                let path = self.0.path(name.store_path()).ok_or(io::ErrorKind::NotFound)?;
                let file = Arc::clone(&file.file);
                let read = path.pool.run(move || read_whole(&file, at, len)).await;
                read.map_err(|PoolGone| io::Error::other("the store's threads have ended"))??
            }
        };
        self.0.counters.file_reads.done(1);
        Ok(content)
    }

    /// Reads `len` bytes from `offset` on (0 means to the end), if that is at most `max` bytes: in one go, without
    /// leaving the thread when the kernel has all in memory.
    pub async fn read_small(
        &self,
        name: &LogicName,
        offset: u64,
        len: u64,
        max: usize,
    ) -> Result<SmallRead, ReadError> {
        let file = self.open_file(name).await?;
        self.read_part(name, file, offset, len, max).await
    }

    /// The same for names of metadata, which members that lost a disk download like any other file.
    pub(crate) async fn read_small_metadata(
        &self,
        name: &LogicName,
        offset: u64,
        len: u64,
        max: usize,
    ) -> Result<SmallRead, ReadError> {
        let (shelves, wanted) = (Arc::clone(&self.0), name.clone());
        let open = move || shelves.open_plain(&wanted, wanted.kind().ok());
        match self.pool_of(name)?.pool.run(open).await? {
            Ok(file) => self.read_part(name, file, offset, len, max).await,
            // Slaves may have such names; a link among them has to be followed.
            Err(_) => self.read_small(name, offset, len, max).await,
        }
    }

    async fn read_part(
        &self,
        name: &LogicName,
        file: OpenFile,
        offset: u64,
        len: u64,
        max: usize,
    ) -> Result<SmallRead, ReadError> {
        let left = file.len.saturating_sub(offset);
        let part = if len == 0 { left } else { left.min(len) };
        match usize::try_from(part) {
            Ok(part) if part <= max => {
                let content = self.read_at(name, &file, offset, part).await?;
                Ok(SmallRead::Content {
                    len: file.len,
                    modified: file.modified,
                    mutable: file.mutable,
                    version: file.version,
                    content,
                })
            }
            _ => Ok(SmallRead::Large(file)),
        }
    }

    /// Size, time and checksum.
    pub async fn info(&self, name: &LogicName, crc: CrcWanted) -> Result<StoredInfo, ReadError> {
        const MIN_TRUE_NAME: usize = 33;
        if name.true_name().len() < MIN_TRUE_NAME {
            return Err(ReadError::Invalid("the name is too short to be a file's"));
        }
        let (shelves, wanted) = (Arc::clone(&self.0), name.clone());
        self.pool_of(name)?.pool.run(move || shelves.info(&wanted, crc)).await?
    }

    fn pool_of(&self, name: &LogicName) -> Result<&Arc<StorePath>, ReadError> {
        self.0.path(name.store_path()).ok_or(ReadError::Invalid("no such store path"))
    }

    /// The plain case, if the kernel needs no disk for it; `WouldBlock` for all others.
    fn open_cached(&self, name: &LogicName) -> Result<OpenFile, ReadError> {
        let path = self.pool_of(name)?;
        let kind = name.kind();
        let counters = &self.0.counters;
        if let Ok(FileKind::Trunk(slot)) = kind {
            let file = trunk::open_cached(&self.0, name, slot).ok_or_else(would_block_error)?;
            counters.file_opens.asked(1);
            counters.file_opens.done(1);
            return Ok(file);
        }
        if name.as_str().ends_with("-m") {
            return Err(would_block_error());
        }
        counters.file_opens.asked(1);
        let file = match path.dir.open_read_cached(name.true_name()) {
            Ok(file) => file,
            Err(error) => {
                let errno = Errno::from_io_error(&error);
                // A link, or a kernel or file system that cannot tell: the slow way knows.
                return Err(match errno {
                    Some(Errno::NOENT) => ReadError::NotFound,
                    _ => would_block_error(),
                });
            }
        };
        let file = opened(file, name, kind.ok())?;
        counters.file_opens.done(1);
        Ok(file)
    }
}

impl Store {
    /// Whether something has this name, links followed as far as reads follow them.
    pub(super) async fn exists(&self, name: &LogicName) -> Result<bool, gateway::files::WriteError> {
        match self.reader().open_file(name).await {
            Ok(_) => Ok(true),
            Err(ReadError::NotFound | ReadError::NotRegular) => Ok(false),
            Err(ReadError::Invalid(reason)) => Err(gateway::files::WriteError::Invalid(reason)),
            Err(ReadError::Io(source)) => Err(super::io_failed("looking for a file", source)),
        }
    }
}

fn would_block_error() -> ReadError {
    ReadError::Io(io::ErrorKind::WouldBlock.into())
}

fn would_block(error: &ReadError) -> bool {
    matches!(error, ReadError::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A plain file that was opened: its size and times.
pub(super) fn opened(file: File, name: &LogicName, kind: Option<FileKind>) -> Result<OpenFile, ReadError> {
    let stat = fstat(&file).map_err(io::Error::from)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::NotRegular);
    }
    let code_time = match kind {
        Some(FileKind::Normal) => name.code().ok().map(|code| code.timestamp),
        _ => None,
    };
    let (modified, mutable) = match code_time {
        Some(seconds) => (UNIX_EPOCH + Duration::from_secs(seconds.into()), false),
        None => (mtime(&stat), true),
    };
    let len = u64::try_from(stat.st_size).unwrap_or(0);
    let version = Version::of(&stat);
    Ok(OpenFile { file: Arc::new(file), offset: 0, len, modified, mutable, version })
}

/// Time of a file's last change.
pub(super) fn mtime(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

impl Shelves {
    /// Blocking.
    pub(super) fn open(&self, name: &LogicName) -> Result<OpenFile, ReadError> {
        self.counters.file_opens.asked(1);
        self.refuse_metadata(name)?;
        let file = match name.kind() {
            Ok(FileKind::Trunk(slot)) => match trunk::open(self, name, slot) {
                Ok(trunk::Member::File(file)) => file,
                Ok(trunk::Member::Link(target)) => OpenFile { version: None, ..self.open_target(&target)? },
                // What members with trunk files send is a file of its own here.
                Err(ReadError::NotFound) => self.open_following(name)?,
                Err(error) => return Err(error),
            },
            _ => self.open_following(name)?,
        };
        self.counters.file_opens.done(1);
        Ok(file)
    }

    /// A file of its own, or what a link leads to.
    fn open_following(&self, name: &LogicName) -> Result<OpenFile, ReadError> {
        match self.open_plain(name, name.kind().ok()) {
            Err(ReadError::Io(error)) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
                let target = self.link_target(name)?;
                let file = self.open_target(&target)?;
                // A link's own name says nothing about its target, nor the target's version about the link.
                Ok(OpenFile { mutable: true, version: None, ..file })
            }
            outcome => outcome,
        }
    }

    /// What a link leads to, which is no link itself.
    fn open_target(&self, name: &LogicName) -> Result<OpenFile, ReadError> {
        let kind = name.kind().ok();
        if let Some(FileKind::Trunk(slot)) = kind {
            match trunk::open(self, name, slot) {
                Ok(trunk::Member::File(file)) => return Ok(file),
                Ok(trunk::Member::Link(_)) | Err(ReadError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.open_plain(name, kind)
    }

    pub(super) fn read_path(&self, name: &LogicName) -> Result<&Arc<StorePath>, ReadError> {
        self.path(name.store_path()).ok_or(ReadError::Invalid("no such store path"))
    }

    fn open_plain(&self, name: &LogicName, kind: Option<FileKind>) -> Result<OpenFile, ReadError> {
        opened(self.read_path(name)?.dir.open_read(name.true_name())?, name, kind)
    }

    /// The file of this store that a symbolic link leads to.
    pub(super) fn link_target(&self, name: &LogicName) -> Result<LogicName, ReadError> {
        let dir = &self.read_path(name)?.dir;
        let target = dir.read_link(name.true_name())?;
        // By components: the reference writes `//` where the configured path ends in a slash.
        let as_written = self.name_below(Path::new(&target), |path| Some(path.dir.path().to_owned()));
        // The same place may have other paths: links on the way to it, a disk that was moved.
        let by_place = || {
            let target = dir.path().join(name.true_name()).canonicalize().ok()?;
            self.name_below(&target, |path| path.dir.path().canonicalize().ok())
        };
        as_written.or_else(by_place).ok_or(ReadError::NotFound)
    }

    /// The name of a file below one of the store paths, which are where `place` says.
    fn name_below(&self, file: &Path, place: impl Fn(&StorePath) -> Option<PathBuf>) -> Option<LogicName> {
        (0..=u8::MAX).map(StorePathIndex).zip(&self.paths).find_map(|(index, path)| {
            let below = file.strip_prefix(place(path)?).ok()?.to_str()?;
            LogicName::parse(&format!("{index}/{below}")).ok()
        })
    }

    /// Metadata has commands of its own; as a file, nobody is to see it.
    pub(super) fn refuse_metadata(&self, name: &LogicName) -> Result<(), ReadError> {
        let Some(owner) = name.metadata_owner() else { return Ok(()) };
        let is_there = match owner.kind() {
            Ok(FileKind::Trunk(_)) => self.open(&owner).is_ok(),
            _ => self.read_path(&owner)?.dir.stat(owner.true_name()).is_ok(),
        };
        if is_there { Err(ReadError::NotFound) } else { Ok(()) }
    }

    fn info(&self, name: &LogicName, crc: CrcWanted) -> Result<StoredInfo, ReadError> {
        let file = self.open(name)?;
        let kind = name.kind().ok();
        let (mtime, is_link) = match kind {
            Some(FileKind::Trunk(_)) => {
                (i64::from(name.code().map(|code| code.timestamp).unwrap_or(0)), false)
            }
            // Of a link its own time, not its target's.
            _ => {
                let stat = self.read_path(name)?.dir.stat(name.true_name())?;
                (stat.st_mtime, FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
            }
        };
        let crc32 = match (kind, crc) {
            (Some(FileKind::Normal | FileKind::Trunk(_)), _) => {
                name.code().map(|code| code.crc32).unwrap_or(0)
            }
            (Some(FileKind::Appender | FileKind::Slave), CrcWanted::Yes) => {
                crc_of(&file.file, file.offset, file.len)?
            }
            _ => 0,
        };
        let OpenFile { len: size, modified, mutable, .. } = file;
        Ok(StoredInfo { size, mtime, crc32, is_link, modified, mutable })
    }
}

/// CRC32 of a part of a file. Blocking.
pub(super) fn crc_of(file: &File, mut offset: u64, mut len: u64) -> io::Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    let mut piece = vec![0; PIECE];
    while len > 0 {
        let want = usize::try_from(len).unwrap_or(PIECE).min(PIECE);
        let read = file.read_at(&mut piece[..want], offset)?;
        if read == 0 {
            break;
        }
        crc.update(&piece[..read]);
        offset += read as u64;
        len -= read as u64;
    }
    Ok(crc.finalize())
}

/// The bytes if all are in memory; `None` if the disk has to be asked.
fn read_cached(file: &File, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
    if len == 0 {
        return Ok(Some(Bytes::new()));
    }
    let mut content = vec![0; len];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut content)], offset, ReadWriteFlags::NOWAIT);
    match read {
        Ok(read) if read == len => Ok(Some(content.into())),
        // Less than asked for: the file shrank, or only its beginning is in memory.
        Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All bytes, fewer only if the file ends before. Blocking.
fn read_whole(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut content = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut content[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content.into())
}

/// A whole small file, such as metadata. Blocking.
pub(super) fn read_all(mut file: File, max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    Read::by_ref(&mut file).take(max).read_to_end(&mut content)?;
    Ok(content)
}
