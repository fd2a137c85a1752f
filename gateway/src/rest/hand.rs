//! By whose hand a write is done: the node's own, or that of a member which takes no HTTP and is asked natively. What a
//! member does is boxed: writes by the node's own hand, which are many, need no room for it.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName};

use crate::files::{Change, Committed, Current, Files, Start, Upload, UploadSpec, WriteError, Writes};

/// Who does it.
pub(super) enum Hand<F: Files> {
    /// This node.
    Own(Arc<F>),
    /// A member of that group.
    Member(GroupName, F::Member),
}

impl<F: Files> Hand<F> {
    /// Group of the files.
    pub(super) fn group(&self) -> GroupName {
        match self {
            Self::Own(files) => files.group(),
            Self::Member(group, _) => *group,
        }
    }

    /// Whether it is done natively: then durability and idempotency are what FastDFS knows of them.
    pub(super) fn is_member(&self) -> bool {
        matches!(self, Self::Member(..))
    }
}

/// What is under way by either hand.
pub(super) enum Under<O, M> {
    Own(O),
    Member(Box<M>),
}

impl<O, M> Under<O, M> {
    fn member(under: M) -> Self {
        Self::Member(Box::new(under))
    }
}

impl<O: Upload, M: Upload> Upload for Under<O, M> {
    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        match self {
            Self::Own(upload) => upload.write(chunk).await,
            Self::Member(upload) => Box::pin(upload.write(chunk)).await,
        }
    }

    fn set_metadata(&mut self, metadata: Metadata) {
        match self {
            Self::Own(upload) => upload.set_metadata(metadata),
            Self::Member(upload) => upload.set_metadata(metadata),
        }
    }

    async fn commit(self) -> Result<Committed, WriteError> {
        match self {
            Self::Own(upload) => upload.commit().await,
            Self::Member(upload) => Box::pin((*upload).commit()).await,
        }
    }
}

impl<O: Change, M: Change> Change for Under<O, M> {
    fn offset(&self) -> u64 {
        match self {
            Self::Own(change) => change.offset(),
            Self::Member(change) => change.offset(),
        }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        match self {
            Self::Own(change) => change.write(chunk).await,
            Self::Member(change) => Box::pin(change.write(chunk)).await,
        }
    }

    async fn commit(self) -> Result<Current, WriteError> {
        match self {
            Self::Own(change) => change.commit().await,
            Self::Member(change) => Box::pin((*change).commit()).await,
        }
    }
}

impl<F: Files> Writes for Hand<F> {
    type Upload = Under<F::Upload, <F::Member as Writes>::Upload>;
    type Change = Under<F::Change, <F::Member as Writes>::Change>;

    async fn begin(&self, spec: UploadSpec) -> Result<Self::Upload, WriteError> {
        match self {
            Self::Own(files) => files.begin(spec).await.map(Under::Own),
            Self::Member(_, member) => Box::pin(member.begin(spec)).await.map(Under::member),
        }
    }

    fn put(
        &self,
        spec: UploadSpec,
        content: Vec<Bytes>,
    ) -> impl Future<Output = Result<Committed, WriteError>> + Send {
        match self {
            Self::Own(files) => files.put(spec, content).left_future(),
            Self::Member(_, member) => member.put(spec, content).boxed().right_future(),
        }
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        match self {
            Self::Own(files) => files.delete(id).await,
            Self::Member(_, member) => Box::pin(member.delete(id)).await,
        }
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<Self::Change, N>, WriteError> {
        Ok(match self {
            Self::Own(files) => files.begin_change(id, len, decide).await?.map(Under::Own),
            Self::Member(_, member) => {
                Box::pin(member.begin_change(id, len, decide)).await?.map(Under::member)
            }
        })
    }

    async fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        match self {
            Self::Own(files) => files.truncate(id, decide).await,
            Self::Member(_, member) => Box::pin(member.truncate(id, decide)).await,
        }
    }

    async fn finish(&self, id: &FileId) -> Result<Committed, WriteError> {
        match self {
            Self::Own(files) => files.finish(id).await,
            Self::Member(_, member) => Box::pin(member.finish(id)).await,
        }
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        match self {
            Self::Own(files) => files.edit_metadata(id, edit).await,
            Self::Member(_, member) => Box::pin(member.edit_metadata(id, edit)).await,
        }
    }
}
