//! Changes of an appender file at a member. An append that breaks off is cut off again there; of an overwrite, what was
//! overwritten stays so.

use bytes::Bytes;
use gateway::files::{Current, Start, WriteError};
use protocol::FileId;
use protocol::storage::{Append, Modify};

use super::Courier;
use super::content::{Content, Head};
use crate::store::locks::Lock;

/// A change under way. Nobody else who goes through this node changes the file meanwhile.
pub(crate) struct Change {
    courier: Courier,
    id: FileId,
    start: Start,
    /// First byte, as far as was known when it began.
    offset: u64,
    /// `None` if it is known to have none: FastDFS does not bear that.
    content: Option<Content>,
    _lock: Lock<FileId>,
}

impl Change {
    /// `start` where it was decided to begin in a file of so many bytes.
    pub(super) async fn begin(
        courier: &Courier,
        id: &FileId,
        (start, file_len): (Start, u64),
        len: Option<u64>,
        lock: Lock<FileId>,
    ) -> Result<Self, WriteError> {
        let offset = match start {
            Start::End => file_len,
            Start::At(offset) => offset,
        };
        let content = match len {
            Some(0) => None,
            len => Some(Content::begin(courier, len, |len| head(id, start, len)).await?),
        };
        Ok(Self { courier: courier.clone(), id: id.clone(), start, offset, content, _lock: lock })
    }
}

impl gateway::files::Change for Change {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        match &mut self.content {
            Some(content) => content.write(chunk).await,
            None => Err(WriteError::Invalid("the content is longer than was announced")),
        }
    }

    async fn commit(self) -> Result<Current, WriteError> {
        let Self { courier, id, start, content, _lock, .. } = self;
        if let Some(content) = content.filter(|content| !content.is_empty()) {
            content.finish(&courier, |len| head(&id, start, len)).await?;
        }
        courier.current(&id).await
    }
}

fn head(id: &FileId, start: Start, size: u64) -> Head {
    let name = id.name.clone();
    match start {
        Start::End => Head::of(&Append { name, size }),
        Start::At(offset) => Head::of(&Modify { name, offset, size }),
    }
}
