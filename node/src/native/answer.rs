//! Requests without content: one body in, one answer out. Also where errors of the store become statuses.

use bytes::{Bytes, BytesMut};
use gateway::files::WriteError;
use protocol::frame::HEADER_LEN;
use protocol::service::{Connection, ConnectionError};
use protocol::storage::{
    CreateLink, Delete, FileCreated, FileInfo, FileInfoFlags, GetMetadata, QueryFileInfo, Regenerate,
    SetMetadata, Truncate,
};
use protocol::wire::{Request, Response};
use protocol::{Command, FileId, Header, Status};

use super::{Native, Next, Session, read_body};
use crate::remote::Miss;
use crate::store::{CrcWanted, LinkSpec, ReadError};

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
    let mut out = BytesMut::zeroed(HEADER_LEN);
    let may_ask = may_ask(native, connection, header, session);
    let status = match answer(native, header, &body, &mut out, may_ask).await {
        Ok(()) => Status::OK,
        Err(status) => {
            out.truncate(HEADER_LEN);
            status
        }
    };
    let body_len = (out.len() - HEADER_LEN) as u64;
    let head = Header { body_len, command: Command::RESPONSE, status }.to_bytes();
    out[..HEADER_LEN].copy_from_slice(&head);
    connection.send(&out).await?;
    Ok(Next::Request)
}

/// Whether other members may be asked for what is not here. A C member that sends files on asks on a connection without a
/// hello whether this node has one: it must hear of the own disk only, or it would not send it.
fn may_ask(native: &Native, connection: &Connection, header: &Header, session: &Session) -> bool {
    let is_sender = header.command == Command::QUERY_FILE_INFO
        && FileInfoFlags::of(header) == FileInfoFlags::NO_CRC32
        && native.peers.may_be_at(connection.peer().ip());
    session.member.is_none() && !is_sender
}

async fn answer(
    native: &Native,
    header: &Header,
    body: &[u8],
    out: &mut BytesMut,
    may_ask: bool,
) -> Result<(), Status> {
    let store = &native.store;
    match header.command {
        Command::ACTIVE_TEST => {
            if body.is_empty() {
                Ok(())
            } else {
                Err(Status::EINVAL)
            }
        }
        Command::DELETE_FILE => {
            let Delete(file) = decode(body)?;
            store.delete(&own(native, &file)?.name).await.map_err(write_status)
        }
        Command::SET_METADATA => {
            let SetMetadata { file, mode, text } = decode(body)?;
            store.set_metadata(&own(native, &file)?.name, mode, text).await.map_err(write_status)
        }
        Command::GET_METADATA => {
            let GetMetadata(file) = decode(body)?;
            let counter = &store.counters().get_metas;
            counter.asked(1);
            let text = metadata(native, own(native, &file)?, may_ask).await?;
            counter.done(1);
            out.extend_from_slice(&text);
            Ok(())
        }
        Command::QUERY_FILE_INFO => {
            let QueryFileInfo(file) = decode(body)?;
            let flags = FileInfoFlags::of(header);
            file_info(native, own(native, &file)?, flags, may_ask).await?.encode_body(out);
            Ok(())
        }
        Command::TRUNCATE_FILE => {
            let Truncate { name, size } = decode(body)?;
            store.truncate(&name, size).await.map_err(write_status)
        }
        Command::REGENERATE_APPENDER_FILENAME => {
            let Regenerate { name } = decode(body)?;
            let made = store.regenerate(&name).await.map_err(write_status)?;
            FileCreated(made.id).encode_body(out);
            Ok(())
        }
        Command::CREATE_LINK => {
            let CreateLink { group, master, ext, source, .. } = decode(body)?;
            if group != store.group() {
                return Err(Status::EINVAL);
            }
            let made = store.create_link(LinkSpec { master, ext, source }).await.map_err(write_status)?;
            FileCreated(made.id).encode_body(out);
            Ok(())
        }
        _ => Err(Status::EINVAL),
    }
}

async fn metadata(native: &Native, file: &FileId, may_ask: bool) -> Result<Bytes, Status> {
    match native.store.metadata(&file.name).await {
        // A file that is here without metadata has none.
        Err(ReadError::NotFound) if may_ask && is_missing(native, file).await => {
            native.remote.metadata(file).await.map_err(miss_status)
        }
        outcome => outcome.map_err(read_status),
    }
}

async fn is_missing(native: &Native, file: &FileId) -> bool {
    matches!(native.store.reader().info(&file.name, CrcWanted::No).await, Err(ReadError::NotFound))
}

async fn file_info(
    native: &Native,
    file: &FileId,
    flags: FileInfoFlags,
    may_ask: bool,
) -> Result<FileInfo, Status> {
    let crc = if flags.has(FileInfoFlags::NO_CRC32) { CrcWanted::No } else { CrcWanted::Yes };
    let (size, time, crc32) = match native.store.reader().info(&file.name, crc).await {
        Ok(info) => (info.size, info.mtime, info.crc32),
        Err(ReadError::NotFound) if may_ask => {
            let info = native.remote.info(file, flags).await.map_err(miss_status)?;
            (info.size, info.time, info.crc32)
        }
        Err(error) => return Err(read_status(error)),
    };
    Ok(FileInfo { size, time, crc32, source: native.view.source_ip(file), width: native.view.width() })
}

pub(super) fn decode<Q: Request>(body: &[u8]) -> Result<Q, Status> {
    Q::decode_body(body).map_err(|_| Status::EINVAL)
}

/// The file, if it is of this node's group.
pub(super) fn own<'a>(native: &Native, file: &'a FileId) -> Result<&'a FileId, Status> {
    if file.group == native.store.group() { Ok(file) } else { Err(Status::EINVAL) }
}

/// A failed write as native clients hear it.
pub(super) fn write_status(error: WriteError) -> Status {
    match error {
        WriteError::NoSpace => Status::ENOSPC,
        WriteError::NotFound => Status::ENOENT,
        WriteError::Exists => Status::EEXIST,
        WriteError::Invalid(_) => Status::EINVAL,
        WriteError::Busy => Status::EBUSY,
        WriteError::Member { .. } => Status::EAGAIN,
        WriteError::Io { doing, source } => {
            tracing::error!(doing, error = %source, "a write failed");
            Status::from_io(&source)
        }
    }
}

/// A file that cannot be had from elsewhere either, as native clients hear it.
pub(super) fn miss_status(miss: Miss) -> Status {
    match miss {
        Miss::Nowhere => Status::ENOENT,
        Miss::Unreachable => Status::EAGAIN,
        Miss::Refused(status) => status,
    }
}

/// A failed read as native clients hear it.
pub(super) fn read_status(error: ReadError) -> Status {
    match error {
        ReadError::NotFound => Status::ENOENT,
        ReadError::NotRegular => Status::EISDIR,
        ReadError::Invalid(_) => Status::EINVAL,
        ReadError::Io(source) => {
            tracing::error!(error = %source, "a read failed");
            Status::from_io(&source)
        }
    }
}
