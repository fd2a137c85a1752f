//! Downloads: small parts leave with their header in one write, larger ones by `sendfile`.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use gateway::files::OpenFile;
use protocol::client::ClientError;
use protocol::service::{Connection, ConnectionError};
use protocol::storage::Download;
use protocol::wire::Request;
use protocol::{Command, Header, LogicName, Status};
use rustix::net::SendFlags;
use thiserror::Error;
use tokio::io::Interest;

use super::answer::{miss_status, own, read_status};
use super::{Native, Next, Session, read_body};
use crate::remote::RemoteContent;
use crate::store::{ReadError, SmallRead};

/// Parts up to this length are read into memory.
const SMALL: usize = 64 * 1024;
/// Bytes that one call of `sendfile` may send, and that are looked for in memory before.
const STEP: u64 = 256 * 1024;

/// Answers one request.
pub(super) async fn serve(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
    session: &Session,
) -> Result<Next, ConnectionError> {
    let body = match read_body(connection, header).await? {
        Ok(body) => body,
        Err(next) => return Ok(next),
    };
    let counters = native.store.counters();
    counters.downloads.asked(1);
    let found = match Download::decode_body(&body) {
        Ok(request) => find(native, request, session, connection.peer().ip()).await,
        Err(_) => Err(Status::EINVAL),
    };
    let sent = match found {
        Err(status) => {
            connection.send_status(status).await?;
            return Ok(Next::Request);
        }
        Ok(Found::Content(content)) => {
            connection.send_two(&head(content.len() as u64), &content).await?;
            content.len() as u64
        }
        Ok(Found::Elsewhere(content)) => {
            let len = content.len();
            if let Err(error) = pass_on(connection, content).await {
                tracing::warn!(%error, "a download from another member broke off");
                return Ok(Next::Close);
            }
            len
        }
        Ok(Found::Part { name, file, offset, len }) => {
            send_head(connection, &head(len)).await?;
            if let Err(error) = send_part(native, connection, &name, &file, offset, len).await {
                // The header is out: only closing tells the client that the rest will not come.
                tracing::warn!(%name, %error, "a download broke off");
                return Ok(Next::Close);
            }
            len
        }
    };
    counters.downloads.done(1);
    counters.download_bytes.asked(sent);
    counters.download_bytes.done(sent);
    Ok(Next::Request)
}

fn head(body_len: u64) -> [u8; protocol::frame::HEADER_LEN] {
    Header { body_len, command: Command::RESPONSE, status: Status::OK }.to_bytes()
}

enum Found {
    Content(bytes::Bytes),
    Part { name: LogicName, file: OpenFile, offset: u64, len: u64 },
    Elsewhere(RemoteContent),
}

async fn find(native: &Native, request: Download, session: &Session, peer: IpAddr) -> Result<Found, Status> {
    let Download { offset, len, file } = request;
    let name = &own(native, &file)?.name;
    let is_metadata = name.metadata_owner().is_some();
    let read = if is_metadata && native.may_fetch_metadata(session, peer) {
        native.store.reader().read_small_metadata(name, offset, len, SMALL).await
    } else {
        native.store.reader().read_small(name, offset, len, SMALL).await
    };
    let read = match read {
        Err(ReadError::NotFound) if session.member.is_none() => {
            return native
                .remote
                .download(&file, offset, len)
                .await
                .map(Found::Elsewhere)
                .map_err(miss_status);
        }
        read => read.map_err(read_status)?,
    };
    // Nothing of an empty file can be had from its beginning; anything else from the end on is a mistake.
    let check = |file_len: u64| {
        if offset < file_len || offset == 0 && file_len == 0 { Ok(()) } else { Err(Status::EINVAL) }
    };
    match read {
        SmallRead::Content { len, content, .. } => check(len).map(|()| Found::Content(content)),
        SmallRead::Large(file) => {
            check(file.len)?;
            let left = file.len - offset;
            let len = if len == 0 { left } else { left.min(len) };
            Ok(Found::Part { name: name.clone(), file, offset, len })
        }
    }
}

/// Sends what another member sends.
async fn pass_on(connection: &mut Connection, mut content: RemoteContent) -> Result<(), PassError> {
    let head = head(content.len());
    match content.next().await? {
        Some(first) => connection.send_two(&head, &first).await?,
        None => connection.send(&head).await?,
    }
    while let Some(piece) = content.next().await? {
        connection.send(&piece).await?;
    }
    Ok(())
}

/// Which side ended the passing.
#[derive(Debug, Error)]
enum PassError {
    #[error(transparent)]
    Client(#[from] ConnectionError),
    #[error(transparent)]
    Member(#[from] ClientError),
}

/// Sends a part of a file. What the disk has to be asked for is read by the store's threads first.
async fn send_part(
    native: &Native,
    connection: &Connection,
    name: &LogicName,
    file: &OpenFile,
    offset: u64,
    len: u64,
) -> Result<(), ConnectionError> {
    let (mut at, end) = (offset, offset + len);
    while at < end {
        let step = (end - at).min(STEP);
        if !file.is_in_memory(at, step) {
            let room = usize::try_from(step).unwrap_or(0);
            native.store.reader().read_at(name, file, at, room).await?;
        }
        let step_end = at + step;
        while at < step_end {
            let sent = send_some(connection, &file.file, file.offset + at, step_end - at).await?;
            if sent == 0 {
                return Err(ConnectionError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            at += sent;
        }
    }
    Ok(())
}

/// Sends the header so that it leaves with the first bytes of content.
async fn send_head(connection: &Connection, head: &[u8]) -> Result<(), ConnectionError> {
    let stream = connection.stream();
    let mut left = head;
    while !left.is_empty() {
        let send = || Ok(rustix::net::send(stream, left, SendFlags::MORE | SendFlags::NOSIGNAL)?);
        let sent =
            tokio::time::timeout(connection.network_timeout(), stream.async_io(Interest::WRITABLE, send));
        let sent = sent.await.map_err(|_| ConnectionError::Timeout)??;
        left = left.get(sent..).unwrap_or_default();
    }
    Ok(())
}

async fn send_some(
    connection: &Connection,
    file: &File,
    offset: u64,
    len: u64,
) -> Result<u64, ConnectionError> {
    let stream = connection.stream();
    let send = || {
        let mut from = offset;
        let room = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(rustix::fs::sendfile(stream.as_fd(), file, Some(&mut from), room)?)
    };
    match tokio::time::timeout(connection.network_timeout(), stream.async_io(Interest::WRITABLE, send)).await
    {
        Ok(sent) => Ok(sent? as u64),
        Err(_) => Err(ConnectionError::Timeout),
    }
}
