//! Asking storages: every client command, content streaming both ways.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::AsyncRead;

use super::connection::MAX_ANSWER;
use super::{ClientError, Connection, Pool};
use crate::file_id::LogicName;
use crate::storage::{
    CreateLink, Delete, Download, FileCreated, FileInfo, FileInfoFlags, GetMetadata, MetadataMode,
    QueryFileInfo, Regenerate, SetMetadata, Truncate,
};
use crate::trunk::{ConfirmSpace, SpaceUse};
use crate::wire::{Empty, Request, Response, StreamRequest};
use crate::{Command, FileId};

/// Calls to storages, by address.
#[derive(Debug, Clone)]
pub struct StorageClient {
    pool: Pool,
}

impl StorageClient {
    /// Uses the connections of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Sends a request whose whole body is in memory.
    pub async fn call<Q: Request, A: Response>(&self, at: SocketAddr, request: &Q) -> Result<A, ClientError> {
        self.call_frame(at, Q::COMMAND, &request.to_frame()).await
    }

    /// Tells the trunk server how a slot was used, which the header says.
    pub async fn confirm_space(
        &self,
        at: SocketAddr,
        request: &ConfirmSpace,
        used: SpaceUse,
    ) -> Result<Empty, ClientError> {
        self.call_frame(at, ConfirmSpace::COMMAND, &request.to_frame_with(used)).await
    }

    async fn call_frame<A: Response>(
        &self,
        at: SocketAddr,
        command: Command,
        frame: &[u8],
    ) -> Result<A, ClientError> {
        let mut connection = self.pool.take(at).await?;
        connection.send(command, frame).await?;
        self.finish(connection, command).await
    }

    async fn finish<A: Response>(
        &self,
        mut connection: Connection,
        command: Command,
    ) -> Result<A, ClientError> {
        let address = connection.address();
        let body = connection.answer(command, MAX_ANSWER).await;
        self.pool.give_back(connection);
        A::decode_body(&body?).map_err(|source| ClientError::Answer { address, command, source })
    }

    /// Sends a request with content: uploads, appends, modifies. `sent` hears the bytes sent so far.
    pub async fn send<Q: StreamRequest, A: Response>(
        &self,
        at: SocketAddr,
        request: &Q,
        content: &mut (impl AsyncRead + Unpin + Send),
        sent: impl FnMut(u64),
    ) -> Result<A, ClientError> {
        let mut connection = self.pool.take(at).await?;
        let head = request.to_frame_head();
        connection.send_content(Q::COMMAND, head, content, request.content_len(), sent).await?;
        self.finish(connection, Q::COMMAND).await
    }

    /// Downloads into `take`, piece by piece; gives the length. `len` 0 means to the end.
    pub async fn download<F, R>(
        &self,
        at: SocketAddr,
        file: &FileId,
        offset: u64,
        len: u64,
        take: F,
    ) -> Result<u64, ClientError>
    where
        F: FnMut(Bytes) -> R,
        R: Future<Output = io::Result<()>>,
    {
        let request = Download { offset, len, file: file.clone() };
        let mut connection = self.pool.take(at).await?;
        connection.send(Command::DOWNLOAD_FILE, &request.to_frame()).await?;
        let header = connection.answer_header(Command::DOWNLOAD_FILE, i64::MAX.unsigned_abs()).await;
        let outcome = match header {
            Ok(header) => connection
                .stream_body(Command::DOWNLOAD_FILE, header.body_len, take)
                .await
                .map(|()| header.body_len),
            Err(error) => Err(error),
        };
        self.pool.give_back(connection);
        outcome
    }

    /// Downloads into memory, at most `max` bytes.
    pub async fn download_bytes(
        &self,
        at: SocketAddr,
        file: &FileId,
        max: u64,
    ) -> Result<Bytes, ClientError> {
        let request = Download { offset: 0, len: 0, file: file.clone() };
        let mut connection = self.pool.take(at).await?;
        connection.send(Command::DOWNLOAD_FILE, &request.to_frame()).await?;
        let body = connection.answer(Command::DOWNLOAD_FILE, max).await;
        self.pool.give_back(connection);
        body
    }

    /// Deletes a file and its metadata.
    pub async fn delete(&self, at: SocketAddr, file: &FileId) -> Result<(), ClientError> {
        self.call(at, &Delete(file.clone())).await.map(|Empty| ())
    }

    /// Size, time, CRC32 and source.
    pub async fn file_info(
        &self,
        at: SocketAddr,
        file: &FileId,
        flags: FileInfoFlags,
    ) -> Result<FileInfo, ClientError> {
        let request = QueryFileInfo(file.clone());
        self.call_frame(at, Command::QUERY_FILE_INFO, &request.to_frame_with(flags)).await
    }

    /// Sets metadata from its text form.
    pub async fn set_metadata(
        &self,
        at: SocketAddr,
        file: &FileId,
        mode: MetadataMode,
        text: Bytes,
    ) -> Result<(), ClientError> {
        self.call(at, &SetMetadata { file: file.clone(), mode, text }).await.map(|Empty| ())
    }

    /// The stored metadata text.
    pub async fn metadata(&self, at: SocketAddr, file: &FileId) -> Result<Bytes, ClientError> {
        self.call(at, &GetMetadata(file.clone())).await
    }

    /// Cuts or extends an appender file.
    pub async fn truncate(&self, at: SocketAddr, name: &LogicName, size: u64) -> Result<(), ClientError> {
        self.call(at, &Truncate { name: name.clone(), size }).await.map(|Empty| ())
    }

    /// Gives an appender file a normal name.
    pub async fn regenerate(&self, at: SocketAddr, name: &LogicName) -> Result<FileId, ClientError> {
        self.call(at, &Regenerate { name: name.clone() }).await.map(|FileCreated(id)| id)
    }

    /// Creates a link.
    pub async fn create_link(&self, at: SocketAddr, request: &CreateLink) -> Result<FileId, ClientError> {
        self.call(at, request).await.map(|FileCreated(id)| id)
    }
}
