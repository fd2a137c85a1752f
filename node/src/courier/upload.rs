//! Uploads to a member: the file first, its metadata then. If that fails, the file goes again.

use bytes::Bytes;
use crc32fast::Hasher;
use gateway::files::{Committed, UploadKind, UploadSpec, WriteError};
use protocol::FileId;
use protocol::file_id::slave_name;
use protocol::metadata::Metadata;
use protocol::storage::{self, FileCreated, MetadataMode, UploadAppender, UploadHead, UploadSlave};
use protocol::wire::Response;

use super::content::{Content, Head};
use super::failure::nonsense;
use super::{Courier, failure};

/// An upload under way. Dropped before its commit, it leaves nothing behind.
pub(crate) struct Upload {
    courier: Courier,
    spec: UploadSpec,
    content: Content,
    crc: Hasher,
    /// Bytes so far.
    len: u64,
}

impl Upload {
    pub(super) async fn begin(courier: &Courier, spec: UploadSpec) -> Result<Self, WriteError> {
        check_slave(courier, &spec).await?;
        let content = Content::begin(courier, spec.len, |len| head(&spec, len)).await?;
        Ok(Self { courier: courier.clone(), spec, content, crc: Hasher::new(), len: 0 })
    }
}

/// Gives the new file its metadata.
async fn describe(courier: &Courier, id: &FileId, metadata: &Metadata) -> Result<(), WriteError> {
    if metadata.is_empty() {
        return Ok(());
    }
    let set = courier.set_metadata(id, MetadataMode::Overwrite, metadata).await;
    let Err(error) = set else { return Ok(()) };
    let deleted = courier.storages().delete(courier.at, id).await;
    deleted
        .map_err(|_| failure::half(courier.at, &format!("{id} is there, without its metadata"), &error))?;
    Err(error)
}

impl gateway::files::Upload for Upload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        self.crc.update(&chunk);
        self.len += chunk.len() as u64;
        self.content.write(chunk).await
    }

    fn set_metadata(&mut self, metadata: Metadata) {
        self.spec.metadata = metadata;
    }

    async fn commit(self) -> Result<Committed, WriteError> {
        let Self { courier, spec, content, crc, len } = self;
        let answer = content.finish(&courier, |len| head(&spec, len)).await?;
        let FileCreated(id) = FileCreated::decode_body(&answer).map_err(|_| nonsense(courier.at))?;
        let code = id.name.code().ok().filter(|_| id.group == courier.group);
        let timestamp = code.ok_or_else(|| nonsense(courier.at))?.timestamp;
        describe(&courier, &id, &spec.metadata).await?;
        Ok(Committed { id, len, crc32: crc.finalize(), timestamp })
    }
}

/// Finds out before the content is sent what the member would say without reading it.
async fn check_slave(courier: &Courier, spec: &UploadSpec) -> Result<(), WriteError> {
    let UploadKind::Slave { master, prefix } = &spec.kind else { return Ok(()) };
    let id = |name| FileId { group: courier.group, name };
    let name = slave_name(master, *prefix, spec.ext)
        .map_err(|_| WriteError::Invalid("no slave of this name can be made of this master"))?;
    courier.current(&id(master.clone())).await?;
    match courier.current(&id(name)).await {
        Ok(_) => Err(WriteError::Exists),
        Err(WriteError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

fn head(spec: &UploadSpec, size: u64) -> Head {
    let plain = UploadHead { store_path: spec.store_path, size, ext: spec.ext };
    match &spec.kind {
        UploadKind::Normal => Head::of(&storage::Upload(plain)),
        UploadKind::Appender => Head::of(&UploadAppender(plain)),
        UploadKind::Slave { master, prefix } => {
            Head::of(&UploadSlave { master: master.clone(), size, prefix: *prefix, ext: spec.ext })
        }
    }
}
