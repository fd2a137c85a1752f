//! Connections to the members that have the files, and one file over them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::client::{ClientError, ClientLimits, Connection};
use protocol::frame::Header;
use protocol::storage::{Download, FileInfo, FileInfoFlags, QueryFileInfo, ReportServerId};
use protocol::sync::{FetchPathBinlog, HELLO, STREAMED};
use protocol::wire::{Request, Response};
use protocol::{Command, FileId, LogicName, Status, StorageId};
use tokio::sync::Mutex;

use crate::store::{Recovered, Store};

use super::RecoveryError;

/// How long a member may search before it says anything.
const SEARCH: Duration = Duration::from_secs(600);

/// Longest answer about a file.
const MAX_INFO: u64 = 256;

/// What became of a download.
pub(super) enum Fetched {
    /// Something has the name here.
    There,
    /// The content, not in place yet.
    Content(Recovered),
    /// The member does not have the file.
    Missing,
}

/// One worker's connections, one a member.
pub(super) struct Sources {
    limits: ClientLimits,
    own: Option<StorageId>,
    open: HashMap<SocketAddr, Connection>,
}

impl Sources {
    pub(super) fn new(limits: ClientLimits, own: Option<StorageId>) -> Self {
        Self { limits, own, open: HashMap::new() }
    }

    async fn take(&mut self, at: SocketAddr) -> Result<Connection, ClientError> {
        if let Some(connection) = self.open.remove(&at).filter(|connection| !connection.is_stale()) {
            return Ok(connection);
        }
        let mut connection = Connection::open(at, &self.limits).await?;
        if let Some(own) = self.own {
            say_hello(&mut connection, own).await?;
        }
        Ok(connection)
    }

    /// Downloads a file.
    pub(super) async fn fetch(
        &mut self,
        store: &Store,
        at: SocketAddr,
        file: &FileId,
    ) -> Result<Fetched, RecoveryError> {
        let Some(recovered) = store.begin_recovered(&file.name).await? else { return Ok(Fetched::There) };
        let mut connection = self.take(at).await?;
        let request = Download { offset: 0, len: 0, file: file.clone() };
        connection.send(Command::DOWNLOAD_FILE, &request.to_frame()).await?;
        let header = connection.answer_header(Command::DOWNLOAD_FILE, i64::MAX.unsigned_abs()).await;
        let Header { body_len, .. } = match header {
            Ok(header) => header,
            Err(error) => {
                if connection.is_reusable() {
                    self.open.insert(at, connection);
                }
                return match error.status() {
                    Some(Status::ENOENT) => Ok(Fetched::Missing),
                    // FastDFS refuses to send nothing: of an empty file there is no first byte.
                    Some(Status::EINVAL) if self.is_empty(at, file).await? => Ok(Fetched::Content(recovered)),
                    _ => Err(error.into()),
                };
            }
        };
        let place = Arc::new(Mutex::new(Some(recovered)));
        let take = |piece| {
            let place = Arc::clone(&place);
            async move {
                let mut place = place.lock().await;
                let Some(recovered) = place.take() else { return Ok(()) };
                *place = Some(recovered.write(piece).await.map_err(std::io::Error::other)?);
                Ok(())
            }
        };
        connection.stream_body(Command::DOWNLOAD_FILE, body_len, take).await?;
        self.open.insert(at, connection);
        let Some(recovered) = place.lock().await.take() else { return Ok(Fetched::Missing) };
        Ok(Fetched::Content(recovered.finish().await?))
    }
}

impl Sources {
    /// Whether a member's file has no content.
    async fn is_empty(&mut self, at: SocketAddr, file: &FileId) -> Result<bool, ClientError> {
        let mut connection = self.take(at).await?;
        let flags = FileInfoFlags(FileInfoFlags::NO_CRC32.0 | FileInfoFlags::QUIET.0);
        let frame = QueryFileInfo(file.clone()).to_frame_with(flags);
        connection.send(Command::QUERY_FILE_INFO, &frame).await?;
        let body = connection.answer(Command::QUERY_FILE_INFO, MAX_INFO).await?;
        self.open.insert(at, connection);
        let info = FileInfo::decode_body(&body);
        let command = Command::QUERY_FILE_INFO;
        let info = info.map_err(|source| ClientError::Answer { address: at, command, source })?;
        Ok(info.size == 0)
    }
}

async fn say_hello(connection: &mut Connection, own: StorageId) -> Result<(), ClientError> {
    const MAX_HELLO: u64 = 64;
    let mut frame = ReportServerId(own).to_frame();
    if let Some(status) = frame.get_mut(9) {
        *status = HELLO.0;
    }
    connection.send(Command::REPORT_SERVER_ID, &frame).await?;
    connection.answer(Command::REPORT_SERVER_ID, MAX_HELLO).await?;
    Ok(())
}

/// Asks a member for the records of a store path; the connection whose rest is the answer.
pub(super) async fn ask_records(
    limits: &ClientLimits,
    at: SocketAddr,
    request: FetchPathBinlog,
) -> Result<Connection, ClientError> {
    let limits = ClientLimits { network_timeout: limits.network_timeout.max(SEARCH), ..limits.clone() };
    let mut connection = Connection::open(at, &limits).await?;
    connection.send(Command::FETCH_ONE_PATH_BINLOG, &request.to_frame()).await?;
    connection.answer_header(Command::FETCH_ONE_PATH_BINLOG, STREAMED).await?;
    Ok(connection)
}

/// Takes the records of a store path off such a connection.
pub(super) async fn stream_records<F, R>(
    limits: &ClientLimits,
    connection: Connection,
    take: F,
) -> Result<(), ClientError>
where
    F: FnMut(bytes::Bytes) -> R,
    R: Future<Output = std::io::Result<()>>,
{
    let patience = limits.network_timeout.max(SEARCH);
    connection.stream_to_end(Command::FETCH_ONE_PATH_BINLOG, patience, take).await
}

/// The name under which a member gives the trunk file as a whole that holds a file.
pub(super) fn container(name: &LogicName) -> Option<LogicName> {
    let Ok(protocol::file_id::FileKind::Trunk(slot)) = name.kind() else { return None };
    let path = name.store_path();
    LogicName::parse(&format!("{path}/{}/{:06}", name.sub_dir().to_path(), slot.file_id)).ok()
}
