//! What carries out writes: a node on its own files, or another member that is asked by the native protocol.

use std::future::Future;

use bytes::Bytes;
use protocol::FileId;
use protocol::metadata::Metadata;

use super::{Change, Committed, Current, Start, Upload, UploadSpec, WriteError};

/// Files that can be written. Of a node's own files nothing changes between what a closure sees and what it decides; of a
/// member's it can, by others than this node.
pub trait Writes: Send + Sync + 'static {
    /// An upload under way.
    type Upload: Upload;
    /// A change under way.
    type Change: Change;

    /// Opens an upload.
    fn begin(&self, spec: UploadSpec) -> impl Future<Output = Result<Self::Upload, WriteError>> + Send;

    /// A whole small upload, its content in pieces in order: one trip to the disk. Nothing remains of a failed one.
    fn put(
        &self,
        spec: UploadSpec,
        content: Vec<Bytes>,
    ) -> impl Future<Output = Result<Committed, WriteError>> + Send;

    /// Deletes a file and its metadata.
    fn delete(&self, id: &FileId) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Opens a change of an appender file. With the file locked, `decide` sees it and says where the change
    /// begins, or refuses. `len` is the length of the change, if it was announced.
    fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> impl Future<Output = Result<Result<Self::Change, N>, WriteError>> + Send;

    /// Cuts an appender file, or extends it by zeros, to the length that `decide` gives; gives the file as it then is.
    fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> impl Future<Output = Result<Result<Current, N>, WriteError>> + Send;

    /// Gives an appender file the name of a normal file, and its metadata with it.
    fn finish(&self, id: &FileId) -> impl Future<Output = Result<Committed, WriteError>> + Send;

    /// Replaces the metadata of a file by what `edit` makes of it; nothing changes it meanwhile. `edit` may
    /// refuse.
    fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> impl Future<Output = Result<Result<Metadata, N>, WriteError>> + Send;
}
