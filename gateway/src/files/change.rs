//! Changes of files that may change, in place.

use std::future::Future;
use std::time::SystemTime;

use bytes::Bytes;
use protocol::LogicName;
use protocol::file_id::{FileExt, SlavePrefix};

use super::WriteError;

/// An appender file at the moment at which a change of it begins or ends: nothing else changes it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// Bytes of content.
    pub len: u64,
    /// As [`OpenFile::modified`](super::OpenFile::modified).
    pub modified: SystemTime,
}

/// Where a change begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the end. An append that is not committed leaves nothing behind.
    End,
    /// At an offset, at most the file's length. What was overwritten before a change broke off stays so.
    At(u64),
}

/// A change under way; the file is locked against others. Dropped before [`Change::commit`], see [`Start`].
pub trait Change: Send + 'static {
    /// First byte of the change.
    fn offset(&self) -> u64;

    /// Writes the next piece; slow disks make the caller wait here.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Records the change, and gives the file as it now is.
    fn commit(self) -> impl Future<Output = Result<Current, WriteError>> + Send;
}

/// What a new link is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkName {
    /// A slave of this file; `None` for a name of its own.
    pub master: Option<(LogicName, SlavePrefix)>,
    /// Extension of the name.
    pub ext: FileExt,
}
