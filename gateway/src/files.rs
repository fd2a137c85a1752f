//! How the gateway sees files: a few traits that a storage node (or a gateway in front of one) implements.
//!
//! The gateway knows no disk layout and no replication. It asks where a file is, opens uploads, and hands over bytes.

mod change;
mod info;
mod witness;
mod writes;

pub use change::{Change, Current, LinkName, Start};
pub use info::{Carrier, Checksum, Errand, FileInfo, Holder, Holds, HttpMember, LookError, NoCarrier};
pub use witness::{Alone, Confirmed, Witness};
pub use writes::Writes;

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use protocol::config::storage_conf::Durability;
use protocol::file_id::{FileExt, SlavePrefix, StorePathIndex};
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName, LogicName};
use rustix::fs::{FileType, Stat};
use rustix::io::{ReadWriteFlags, preadv2};
use thiserror::Error;

use crate::idempotency::Keys;
use crate::partials::Partials;

/// Where a file is: every outcome of looking for it. `T` is what was asked of it if it is here.
#[derive(Debug)]
pub enum Located<T = OpenFile> {
    /// On this node.
    Here(T),
    /// Not here; others may have it, see [`Files::find`].
    Missing,
    /// Nowhere: no file has this name, or it is known to be deleted.
    NotFound,
}

/// An open file, or the slice of a trunk file that is one.
#[derive(Debug, Clone)]
pub struct OpenFile {
    /// Open for reading; shared, so read with positioned reads only.
    pub file: Arc<File>,
    /// First byte of the content in `file`.
    pub offset: u64,
    /// Bytes of content.
    pub len: u64,
    /// Time for `Last-Modified`: the ID's timestamp of a normal file, else the file's mtime.
    pub modified: SystemTime,
    /// Whether the content can change under this name (appenders, slaves): then the ID makes no strong ETag.
    pub mutable: bool,
    /// Of a file of its own under its own name: those of a version that [`Files::version`] still has need not be opened again.
    /// Members of trunk files and what links lead to have none.
    pub version: Option<Version>,
}

impl OpenFile {
    /// Whether a part of the content can most likely be had without the disk: one byte in each stretch of it is.
    pub fn is_in_memory(&self, offset: u64, len: u64) -> bool {
        const STRETCH: usize = 256 * 1024;
        let (first, end) = (self.offset + offset, self.offset + offset + len);
        let probe = |at: u64| {
            let mut byte = [0];
            preadv2(&self.file, &mut [io::IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT).is_ok()
        };
        // Of a little, the end will do: what comes before it was read with it or before it.
        let is_little = len <= 64 * 1024;
        len == 0 || probe(end - 1) && (is_little || (first..end).step_by(STRETCH).all(probe))
    }
}

impl OpenFile {
    /// Fills `buffer` with a part of the content, if it can be had without the disk.
    pub(crate) fn read_now(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        let (len, mut slices) = (buffer.len(), [io::IoSliceMut::new(buffer)]);
        let read = preadv2(&self.file, &mut slices, self.offset + offset, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|read| read == len).then_some(())
    }
}

/// Tells one file under a name from the next one, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    device: u64,
    inode: u64,
    len: i64,
    changed: i64,
    changed_ns: u64,
    is_marked: bool,
}

/// Bit of a file's mode (sticky, which means nothing for a file) that says: its metadata has to do with reading it. So
/// files without such metadata cost nothing more, and every change of it is another [`Version`].
pub const MARK: u32 = 0o1000;

impl Version {
    /// Whether [`Files::described`] has to be asked.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// The version of a regular file; others have none.
    pub fn of(stat: &Stat) -> Option<Self> {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file.then_some(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            len: stat.st_size,
            changed: stat.st_ctime,
            changed_ns: stat.st_ctime_nsec,
            is_marked: stat.st_mode & MARK != 0,
        })
    }
}

/// A file that may be small enough to be read in one go.
#[derive(Debug, Clone)]
pub enum SmallRead {
    /// All of it, in memory.
    Content {
        /// The whole content.
        content: Bytes,
        /// As [`OpenFile::modified`].
        modified: SystemTime,
        /// As [`OpenFile::mutable`].
        mutable: bool,
        /// As [`OpenFile::version`].
        version: Option<Version>,
    },
    /// More than the caller wants in memory: read it piece by piece.
    Large(OpenFile),
}

impl SmallRead {
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Content { version, .. } => *version,
            Self::Large(file) => file.version,
        }
    }

    /// Whether [`Files::described`] has to be asked: what has no version has no mark, so only the metadata itself tells.
    pub(crate) fn may_be_described(&self) -> bool {
        self.version().is_none_or(|version| version.is_marked())
    }
}

/// Why a node does not serve yet, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Stable name of the reason, such as `no_tracker`.
    pub code: &'static str,
    /// A sentence for people: what is missing and what to do.
    pub detail: String,
}

/// Why a file that is not here cannot be had from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindError {
    /// All who could have it were asked, and none has it.
    NotFound,
    /// Some who may have it do not answer.
    Unreachable,
}

/// A file that another member has.
pub trait RemoteFile: Send + Sync + 'static {
    /// Its content, as it comes.
    type Content: RemoteContent;

    /// Bytes of content.
    fn len(&self) -> u64;

    /// Whether it has no content.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`OpenFile::modified`].
    fn modified(&self) -> SystemTime;

    /// As [`OpenFile::mutable`].
    fn is_mutable(&self) -> bool;

    /// Scheme, host and port under which browsers reach the member.
    fn base_url(&self) -> String;

    /// Its metadata; none if the member does not tell it soon.
    fn described(&self) -> impl Future<Output = Metadata> + Send;

    /// Asks for a part of the content; done when it begins to come.
    fn open(&self, part: Range<u64>) -> impl Future<Output = io::Result<Self::Content>> + Send;
}

/// Content that comes from another member. Dropped, it stops coming.
pub trait RemoteContent: Send + 'static {
    /// The next bytes; `None` after the last that was asked for.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}

/// What kind of file an upload makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadKind {
    /// A file that never changes.
    Normal,
    /// A file that may be appended to, modified and truncated.
    Appender,
    /// A file named after its master.
    Slave {
        /// The master, on this node.
        master: LogicName,
        /// What comes between the master's stem and the extension.
        prefix: SlavePrefix,
    },
}

/// What is known before an upload's first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSpec {
    /// Kind of file.
    pub kind: UploadKind,
    /// Extension of the name.
    pub ext: FileExt,
    /// Store path to use, or `None` to let the node choose. Slaves lie beside their master.
    pub store_path: Option<StorePathIndex>,
    /// Length of the content, if it was announced: the space test uses it.
    pub len: Option<u64>,
    /// Metadata that the file has from its first moment on.
    pub metadata: Metadata,
    /// What is on the disk when the upload is committed: the stronger of this and the configuration's choice.
    pub durability: Option<Durability>,
}

impl UploadSpec {
    /// What most uploads are: the node chooses the place.
    pub fn new(kind: UploadKind, ext: FileExt) -> Self {
        Self { kind, ext, store_path: None, len: None, metadata: Metadata::default(), durability: None }
    }
}

/// A file that now has a name, is visible and is in the binlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its ID.
    pub id: FileId,
    /// Bytes of content.
    pub len: u64,
    /// CRC32 of the content.
    pub crc32: u32,
    /// Unix seconds: the time in the ID.
    pub timestamp: u32,
}

/// Why a write did not happen. Nothing of it is visible.
#[derive(Debug, Error)]
pub enum WriteError {
    /// No room above the reserved space, on this path or on all.
    #[error("not enough free space on the store path")]
    NoSpace,
    /// No such file, or no such master.
    #[error("no such file")]
    NotFound,
    /// The slave exists already.
    #[error("a file of that name exists")]
    Exists,
    /// The request cannot be carried out as asked.
    #[error("{0}")]
    Invalid(&'static str),
    /// The node takes no more work for now.
    #[error("too much work under way")]
    Busy,
    /// Another member was to carry it out. If it did not answer, it may have done so all the same.
    #[error("the member {member} {why}")]
    Member {
        /// Its native service.
        member: SocketAddr,
        /// Whether it answered.
        answered: bool,
        /// What it did instead, such as `answered with status 13`.
        why: String,
    },
    /// The disk said no.
    #[error("{doing}")]
    Io {
        /// What was being done, such as `writing a file`.
        doing: &'static str,
        /// The disk's answer.
        source: io::Error,
    },
}

/// An upload under way. Dropped before [`Upload::commit`], it leaves nothing behind.
pub trait Upload: Send + 'static {
    /// Appends content; slow disks make the caller wait here, so memory stays flat.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Replaces the metadata that the file will have: some of it may come after the content.
    fn set_metadata(&mut self, metadata: Metadata);

    /// Gives the file its name and metadata, logs it and makes it visible.
    fn commit(self) -> impl Future<Output = Result<Committed, WriteError>> + Send;
}

/// A node's files.
pub trait Files: Writes {
    /// Whether all writes are refused, as by a gateway in front of another program's files.
    const READ_ONLY: bool = false;

    /// Another member that carries out writes.
    type Member: Writes;
    /// A file of another member.
    type Remote: RemoteFile;
    /// Uploads that are continued.
    type Partials: Partials;

    /// The group of URLs that name none.
    fn group(&self) -> GroupName;

    /// Looks for a file and opens it. The ID may name any group and any store path: those of others, and paths that
    /// this node does not have, are never [`Located::Here`].
    fn locate(&self, id: &FileId) -> impl Future<Output = io::Result<Located>> + Send;

    /// Looks for a file and reads it if it has `max` bytes or fewer: one trip to the disk for a small file.
    fn read_small(
        &self,
        id: &FileId,
        max: usize,
    ) -> impl Future<Output = io::Result<Located<SmallRead>>> + Send;

    /// What lies under the name now, if that can be told at once. Those who tell may have their files kept ready for
    /// the next request.
    fn version(&self, _id: &FileId) -> Option<Version> {
        None
    }

    /// A number that changes when a name like this one loses its file, before anybody is told so; none if others than this
    /// process do that every day. Those who have it may keep what [`Files::version`] said for `http.open_file_cache_valid`.
    fn names_taken(&self, _id: &FileId) -> Option<u64> {
        None
    }

    /// The metadata of a file that is here, as far as it has to do with reading; none if it cannot be read.
    fn described(&self, _id: &FileId) -> impl Future<Output = Metadata> + Send {
        async { Metadata::default() }
    }

    /// A file was sent without being read again.
    fn sent_again(&self, _len: u64) {}

    /// Asks the members that may have a file that is [`Located::Missing`] here.
    fn find(&self, id: &FileId) -> impl Future<Output = Result<Self::Remote, FindError>> + Send;

    /// Reads a piece of an open file without blocking the async threads. `offset` counts from the content's first
    /// byte. Fewer bytes than asked for mean that the file ends there.
    fn read_at(
        &self,
        id: &FileId,
        file: &OpenFile,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send;

    /// The keys of uploads that are carried out once; none if no keys are remembered.
    fn keys(&self) -> Option<&Keys> {
        None
    }

    /// Where the log of what is stored is now, for [`Files::uploaded`].
    fn log_position(&self) -> String {
        String::new()
    }

    /// The files, with the names that they had, whose upload since a position of the log had this token in its metadata.
    fn uploaded(
        &self,
        _token: &str,
        _since: &str,
    ) -> impl Future<Output = io::Result<Vec<(Committed, Option<String>)>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Other members that the configuration wants to have an upload before it is answered.
    fn replicas(&self) -> u8 {
        0
    }

    /// Other members that are sent what is stored here: no more can confirm it.
    fn members_in_service(&self) -> u8 {
        0
    }

    /// Begins to hear what they confirm.
    fn witness(&self) -> Box<dyn Witness> {
        Box::new(Alone)
    }

    /// The same of files that were stored earlier: members that have them are asked for first.
    fn witness_again(&self, _files: &[FileId]) -> impl Future<Output = Box<dyn Witness>> + Send {
        async { self.witness() }
    }

    /// Makes a link to a file.
    fn create_link(
        &self,
        to: &FileId,
        name: LinkName,
    ) -> impl Future<Output = Result<Committed, WriteError>> + Send;

    /// A file's metadata, asked of other members if the file is not here.
    fn metadata(&self, id: &FileId) -> impl Future<Output = Result<Metadata, LookError>> + Send;

    /// What is known of a file, asked of other members if it is not here.
    fn info(
        &self,
        id: &FileId,
        checksum: Checksum,
    ) -> impl Future<Output = Result<FileInfo, LookError>> + Send;

    /// The members of a file's group and whether they have it; within a few seconds.
    fn holders(&self, id: &FileId) -> impl Future<Output = Vec<Holder>> + Send;

    /// Who carries out a write.
    fn carrier(&self, errand: Errand<'_>) -> impl Future<Output = Result<Carrier, NoCarrier>> + Send;

    /// A member of a group that carries out writes by the native protocol; `None` if this node asks nobody for that.
    fn member(&self, native: SocketAddr, group: GroupName) -> Option<Self::Member>;

    /// Uploads that are continued.
    fn partials(&self) -> &Self::Partials;

    /// Whether the node serves: a tracker accepted it and its disks answer.
    fn ready(&self) -> Result<(), NotReady>;
}
