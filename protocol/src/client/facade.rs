//! The client that knows whom to ask: a tracker first, then the storage it names.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::AsyncRead;

use super::pool::ClientLimits;
use super::{ClientError, Pool, StorageClient, TrackerClient};
use crate::file_id::{FileExt, SlavePrefix};
use crate::storage::{
    Append, FileCreated, FileInfo, FileInfoFlags, MetadataMode, Modify, Upload, UploadAppender, UploadHead,
    UploadSlave,
};
use crate::tracker::Server;
use crate::wire::Empty;
use crate::{FileId, GroupName, HostPort};

/// A client of one cluster; clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its trackers.
    pub trackers: TrackerClient,
    /// Its storages.
    pub storages: StorageClient,
}

fn address(server: Server) -> SocketAddr {
    SocketAddr::new(server.ip, server.port)
}

impl Client {
    /// A client of the cluster behind these trackers.
    pub fn new(trackers: Vec<HostPort>, limits: ClientLimits) -> Self {
        let pool = Pool::new(limits);
        Self { trackers: TrackerClient::new(trackers, pool.clone()), storages: StorageClient::new(pool) }
    }

    /// Uploads `len` bytes as a file that never changes.
    pub async fn upload(
        &self,
        group: Option<GroupName>,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
        ext: FileExt,
        sent: impl FnMut(u64),
    ) -> Result<FileId, ClientError> {
        let place = self.trackers.query_store(group).await?;
        let request = Upload(UploadHead { store_path: Some(place.store_path), size: len, ext });
        let FileCreated(id) = self.storages.send(address(place.server), &request, content, sent).await?;
        Ok(id)
    }

    /// Uploads `len` bytes as an appender file.
    pub async fn upload_appender(
        &self,
        group: Option<GroupName>,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
        ext: FileExt,
        sent: impl FnMut(u64),
    ) -> Result<FileId, ClientError> {
        let place = self.trackers.query_store(group).await?;
        let request = UploadAppender(UploadHead { store_path: Some(place.store_path), size: len, ext });
        let FileCreated(id) = self.storages.send(address(place.server), &request, content, sent).await?;
        Ok(id)
    }

    /// Uploads `len` bytes as a slave of `master`.
    pub async fn upload_slave(
        &self,
        master: &FileId,
        prefix: SlavePrefix,
        ext: FileExt,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
    ) -> Result<FileId, ClientError> {
        let at = self.update_address(master).await?;
        let request = UploadSlave { master: master.name.clone(), size: len, prefix, ext };
        let FileCreated(id) = self.storages.send(at, &request, content, |_| {}).await?;
        Ok(id)
    }

    /// Appends `len` bytes to an appender file.
    pub async fn append(
        &self,
        file: &FileId,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
        sent: impl FnMut(u64),
    ) -> Result<(), ClientError> {
        let at = self.update_address(file).await?;
        let request = Append { name: file.name.clone(), size: len };
        self.storages.send(at, &request, content, sent).await.map(|Empty| ())
    }

    /// Overwrites `len` bytes of an appender file from `offset` on.
    pub async fn modify(
        &self,
        file: &FileId,
        offset: u64,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
    ) -> Result<(), ClientError> {
        let at = self.update_address(file).await?;
        let request = Modify { name: file.name.clone(), offset, size: len };
        self.storages.send(at, &request, content, |_| {}).await.map(|Empty| ())
    }

    /// Cuts or extends an appender file.
    pub async fn truncate(&self, file: &FileId, size: u64) -> Result<(), ClientError> {
        let at = self.update_address(file).await?;
        self.storages.truncate(at, &file.name, size).await
    }

    /// Gives an appender file a normal name.
    pub async fn regenerate(&self, file: &FileId) -> Result<FileId, ClientError> {
        let at = self.update_address(file).await?;
        self.storages.regenerate(at, &file.name).await
    }

    /// Downloads into `take`, piece by piece; gives the length. `len` 0 means to the end.
    pub async fn download<F, R>(
        &self,
        file: &FileId,
        offset: u64,
        len: u64,
        take: F,
    ) -> Result<u64, ClientError>
    where
        F: FnMut(Bytes) -> R,
        R: Future<Output = io::Result<()>>,
    {
        let at = self.fetch_address(file).await?;
        self.storages.download(at, file, offset, len, take).await
    }

    /// Deletes a file and its metadata.
    pub async fn delete(&self, file: &FileId) -> Result<(), ClientError> {
        let at = self.update_address(file).await?;
        self.storages.delete(at, file).await
    }

    /// Size, time, CRC32 and source.
    pub async fn file_info(&self, file: &FileId, flags: FileInfoFlags) -> Result<FileInfo, ClientError> {
        let at = self.fetch_address(file).await?;
        self.storages.file_info(at, file, flags).await
    }

    /// Sets metadata from its text form.
    pub async fn set_metadata(
        &self,
        file: &FileId,
        mode: MetadataMode,
        text: Bytes,
    ) -> Result<(), ClientError> {
        let at = self.update_address(file).await?;
        self.storages.set_metadata(at, file, mode, text).await
    }

    /// The stored metadata text, asked of the source as the official client does.
    pub async fn metadata(&self, file: &FileId) -> Result<Bytes, ClientError> {
        let at = self.update_address(file).await?;
        self.storages.metadata(at, file).await
    }

    async fn fetch_address(&self, file: &FileId) -> Result<SocketAddr, ClientError> {
        Ok(address(self.trackers.query_fetch(file).await?.server))
    }

    async fn update_address(&self, file: &FileId) -> Result<SocketAddr, ClientError> {
        Ok(address(self.trackers.query_update(file).await?.server))
    }
}
