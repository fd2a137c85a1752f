//! What is known of files besides their content.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use protocol::cluster::StorageStatus;
use protocol::{FileId, GroupName};
use thiserror::Error;

/// Why nothing is known of a file.
#[derive(Debug, Error)]
pub enum LookError {
    /// No such file, here and elsewhere.
    #[error("no such file")]
    NotFound,
    /// It is not here, and some who may have it do not answer.
    #[error("the members that may have the file do not answer")]
    Unreachable,
    /// The disk said no.
    #[error("reading failed")]
    Io(#[source] io::Error),
}

/// Whether the checksum is wanted of a file whose name does not hold it: all of the file is read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Compute it.
    Computed,
    /// Only if the name holds it.
    IfKnown,
}

/// A file, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes of content.
    pub len: u64,
    /// As [`OpenFile::modified`](super::OpenFile::modified).
    pub modified: SystemTime,
    /// As [`OpenFile::mutable`](super::OpenFile::mutable).
    pub mutable: bool,
    /// CRC32 of the content.
    pub crc32: Option<u32>,
    /// Whether the name leads to another file. Of files of other members that is not known.
    pub is_link: bool,
    /// Address of the member that made the file, if it is known.
    pub source: Option<IpAddr>,
}

/// Whether a member has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It has one of this length.
    Yes(u64),
    /// It has none.
    No,
    /// It did not say so in time.
    Unknown,
}

/// A member of a file's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id in the cluster.
    pub id: String,
    /// Its native service.
    pub address: SocketAddr,
    /// Where it stands, as the trackers say.
    pub status: StorageStatus,
    /// Where browsers reach it, if it said so.
    pub url: Option<String>,
    /// Whether the file is there.
    pub holds: Holds,
}

/// A write, as far as it matters who carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand<'a> {
    /// An upload into a group.
    Upload(GroupName),
    /// A change of a file or its metadata: by the member that made it while that is there, so that two changes meet at one
    /// place.
    Change(&'a FileId),
    /// What any member that has the file can do.
    Any(&'a FileId),
}

impl Errand<'_> {
    /// The group of the file or the upload.
    pub fn group(&self) -> GroupName {
        match self {
            Self::Upload(group) => *group,
            Self::Change(id) | Self::Any(id) => id.group,
        }
    }
}

/// Who carries out a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// This node.
    Here,
    /// Another one, as a tracker says.
    Member {
        /// Its native service.
        native: SocketAddr,
        /// `None` if it takes no writes by HTTP.
        http: Option<HttpMember>,
    },
}

/// A member as it is called on by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpMember {
    /// Its id in the cluster.
    pub id: String,
    /// Scheme, host and port.
    pub url: String,
}

/// Why nobody can carry out a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoCarrier {
    /// The trackers know no such group, or no member of it that takes writes.
    #[error("the trackers name nobody")]
    Nobody,
    /// No tracker answers.
    #[error("no tracker answers")]
    NoTracker,
}
