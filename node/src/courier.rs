//! Brings writes to a member that takes none by HTTP, as those of FastDFS, by the native protocol.
//!
//! The protocol knows no conditions, so a file is looked at first and changed then. Whoever goes through this node takes turns
//! with a file; others can come between. What FastDFS loses or refuses for no reason is made good here: metadata of a file
//! that gets another name, changes without content.

mod change;
mod content;
mod failure;
mod upload;

use std::net::SocketAddr;

use bytes::Bytes;
use gateway::files::{Committed, Current, Start, UploadSpec, WriteError, Writes};
use protocol::client::{ClientLimits, Pool, StorageClient};
use protocol::metadata::Metadata;
use protocol::storage::{MetadataMode, Truncate};
use protocol::{FileId, GroupName, Status};

use crate::remote::{NO_CHECKSUM, times};
use crate::store::Store;
use crate::store::locks::Locks;
use failure::failed;

pub(crate) use change::Change;
pub(crate) use upload::Upload;

/// What all errands share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Couriers {
    pool: Pool,
    storages: StorageClient,
    /// One change of a file at a time.
    locks: Locks<FileId>,
    /// Where content waits whose length nobody announced.
    store: Store,
}

impl Couriers {
    pub(crate) fn new(store: Store, limits: ClientLimits) -> Self {
        // Not the connections of those who ask: members take what comes on them for a member's own.
        let pool = Pool::new(limits);
        let storages = StorageClient::new(pool.clone());
        Self { pool, storages, locks: Locks::default(), store }
    }

    /// One to a member of a group.
    pub(crate) fn to(&self, at: SocketAddr, group: GroupName) -> Courier {
        Courier { shared: self.clone(), at, group }
    }
}

/// Brings writes to one member.
#[derive(Clone)]
pub(crate) struct Courier {
    shared: Couriers,
    /// Its native service.
    at: SocketAddr,
    group: GroupName,
}

impl Courier {
    fn storages(&self) -> &StorageClient {
        &self.shared.storages
    }

    /// The file as it is there.
    async fn current(&self, id: &FileId) -> Result<Current, WriteError> {
        let info = self.storages().file_info(self.at, id, NO_CHECKSUM).await.map_err(failed(self.at))?;
        Ok(Current { len: info.size, modified: times(id, &info).0 })
    }

    /// Its metadata; members answer alike whether there is none or no file.
    async fn metadata(&self, id: &FileId) -> Result<Metadata, WriteError> {
        match self.storages().metadata(self.at, id).await {
            Ok(text) => Ok(Metadata::parse(&text)),
            Err(error) if error.status() == Some(Status::ENOENT) => Ok(Metadata::default()),
            Err(error) => Err(failed(self.at)(error)),
        }
    }

    async fn set_metadata(
        &self,
        id: &FileId,
        mode: MetadataMode,
        metadata: &Metadata,
    ) -> Result<(), WriteError> {
        let set = self.storages().set_metadata(self.at, id, mode, metadata.to_text());
        set.await.map_err(failed(self.at))
    }
}

impl Writes for Courier {
    type Upload = Upload;
    type Change = Change;

    async fn begin(&self, spec: UploadSpec) -> Result<Upload, WriteError> {
        Upload::begin(self, spec).await
    }

    async fn put(&self, mut spec: UploadSpec, content: Vec<Bytes>) -> Result<Committed, WriteError> {
        spec.len = Some(content.iter().map(|piece| piece.len() as u64).sum());
        let mut upload = Upload::begin(self, spec).await?;
        for piece in content {
            gateway::files::Upload::write(&mut upload, piece).await?;
        }
        gateway::files::Upload::commit(upload).await
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        self.storages().delete(self.at, id).await.map_err(failed(self.at))
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<Change, N>, WriteError> {
        let lock = self.shared.locks.lock(id).await;
        let current = self.current(id).await?;
        match decide(&current) {
            Ok(start) => Change::begin(self, id, (start, current.len), len, lock).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        let _lock = self.shared.locks.lock(id).await;
        let current = self.current(id).await?;
        let size = match decide(&current) {
            Ok(size) => size,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if size == current.len {
            return Ok(Ok(current));
        }
        let request = Truncate { name: id.name.clone(), size };
        let told: Result<Bytes, _> = self.storages().call(self.at, &request).await;
        told.map_err(failed(self.at))?;
        self.current(id).await.map(Ok)
    }

    /// FastDFS leaves the metadata behind under the old name.
    async fn finish(&self, id: &FileId) -> Result<Committed, WriteError> {
        let _lock = self.shared.locks.lock(id).await;
        let metadata = self.metadata(id).await?;
        let made = self.storages().regenerate(self.at, &id.name).await.map_err(failed(self.at))?;
        if !metadata.is_empty() {
            let set = self.set_metadata(&made, MetadataMode::Overwrite, &metadata).await;
            set.map_err(|error| {
                failure::half(self.at, &format!("the file is now {made}, without its metadata"), &error)
            })?;
            self.forget_metadata_of(id).await;
        }
        let code = made.name.code().map_err(|_| failure::nonsense(self.at))?;
        let len = code.size.size().unwrap_or_default();
        Ok(Committed { id: made, len, crc32: code.crc32, timestamp: code.timestamp })
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        let _lock = self.shared.locks.lock(id).await;
        let old = self.metadata(id).await?;
        if old.is_empty() {
            self.current(id).await?;
        }
        let new = match edit(&old) {
            Ok(new) => new,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (mode, told) = difference(&old, &new);
        if new != old {
            self.set_metadata(id, mode, &told).await?;
        }
        Ok(Ok(new))
    }
}

impl Courier {
    /// What is left of it belongs to nobody; FastDFS lets it be deleted as a file, and ours left nothing.
    async fn forget_metadata_of(&self, id: &FileId) {
        let Ok(name) = id.name.metadata_name() else { return };
        let left = FileId { group: id.group, name };
        match self.storages().delete(self.at, &left).await {
            Err(error) if error.status() != Some(Status::ENOENT) => {
                tracing::warn!(%left, %error, "metadata of a file that has another name stays at a member");
            }
            _ => {}
        }
    }
}

/// What is told to turn one into the other: only what differs if nothing is taken away, so that what others set meanwhile stays.
fn difference(old: &Metadata, new: &Metadata) -> (MetadataMode, Metadata) {
    if old.iter().any(|(name, _)| new.get(name).is_none()) {
        return (MetadataMode::Overwrite, new.clone());
    }
    let mut changed = new.clone();
    for (name, _) in old.iter().filter(|(name, value)| new.get(name) == Some(value)) {
        changed.remove(name);
    }
    (MetadataMode::Merge, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(pairs: &[(&str, &str)]) -> Metadata {
        let mut metadata = Metadata::default();
        for (name, value) in pairs {
            metadata.insert(name, value).unwrap();
        }
        metadata
    }

    #[test]
    fn only_what_differs_is_told_unless_something_goes() {
        use MetadataMode::{Merge, Overwrite};
        let old = items(&[("a", "1"), ("b", "2")]);
        for (new, mode, told) in [
            (items(&[("a", "1"), ("b", "3"), ("c", "")]), Merge, items(&[("b", "3"), ("c", "")])),
            (items(&[("a", "2")]), Overwrite, items(&[("a", "2")])),
            (items(&[]), Overwrite, items(&[])),
            (old.clone(), Merge, items(&[])),
        ] {
            assert_eq!(difference(&old, &new), (mode, told));
        }
    }
}
