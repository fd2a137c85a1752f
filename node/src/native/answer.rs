//! Requests without content: one body in, one answer out. Also where errors of the store become statuses.

use bytes::BytesMut;
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
use crate::store::{CrcWanted, LinkSpec, ReadError};

/// Answers one request.
pub(super) async fn serve(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
    _session: &Session,
) -> Result<Next, ConnectionError> {
    let body = match read_body(connection, header).await? {
        Ok(body) => body,
        Err(next) => return Ok(next),
    };
    let mut out = BytesMut::zeroed(HEADER_LEN);
    let status = match answer(native, header, &body, &mut out).await {
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

async fn answer(native: &Native, header: &Header, body: &[u8], out: &mut BytesMut) -> Result<(), Status> {
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
            let text = store.metadata(&own(native, &file)?.name).await.map_err(read_status)?;
            counter.done(1);
            out.extend_from_slice(&text);
            Ok(())
        }
        Command::QUERY_FILE_INFO => {
            let QueryFileInfo(file) = decode(body)?;
            let crc = if FileInfoFlags::of(header).has(FileInfoFlags::NO_CRC32) {
                CrcWanted::No
            } else {
                CrcWanted::Yes
            };
            let info = store.info(&own(native, &file)?.name, crc).await.map_err(read_status)?;
            let width = native.view.width();
            let source = native.view.source_ip(&file);
            FileInfo { size: info.size, time: info.mtime, crc32: info.crc32, source, width }.encode_body(out);
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
        WriteError::Io { doing, source } => {
            tracing::error!(doing, error = %source, "a write failed");
            Status::from_io(&source)
        }
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
