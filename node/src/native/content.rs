//! Requests that carry content: uploads, appends, modifies. Small content is taken whole and stored in one job; larger
//! content streams, with one piece on its way to the disk while the next one arrives.

use bytes::Bytes;
use gateway::files::{Committed, UploadKind, UploadSpec, WriteError};
use protocol::file_id::StorePathIndex;
use protocol::service::{Connection, ConnectionError};
use protocol::storage::{Append, FileCreated, Modify, Upload, UploadAppender, UploadHead, UploadSlave};
use protocol::wire::{DecodeError, Response, StreamRequest};
use protocol::{Command, FileId, Header, Status};
use tracing::{error, warn};

use super::answer::write_status;
use super::{Native, Next, refuse};
use crate::confirm::NodeWitness;
use crate::store::{Change, Receive, Upload as StoreUpload};

/// Content up to this length is stored in one job.
pub(super) const SMALL: u64 = 256 * 1024;
/// Pieces that larger content is cut into.
const PIECE: usize = 256 * 1024;

/// Answers one request.
pub(super) async fn serve(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
) -> Result<Next, ConnectionError> {
    match header.command {
        Command::UPLOAD_FILE => match read_head::<Upload>(connection, header).await? {
            Ok(Upload(head)) => upload(native, connection, spec(UploadKind::Normal, &head)).await,
            Err(next) => Ok(next),
        },
        Command::UPLOAD_APPENDER_FILE => match read_head::<UploadAppender>(connection, header).await? {
            Ok(UploadAppender(head)) => upload(native, connection, spec(UploadKind::Appender, &head)).await,
            Err(next) => Ok(next),
        },
        Command::UPLOAD_SLAVE_FILE => match read_head::<UploadSlave>(connection, header).await? {
            Ok(UploadSlave { master, size, prefix, ext }) => {
                let kind = UploadKind::Slave { master, prefix };
                upload(native, connection, UploadSpec { len: Some(size), ..UploadSpec::new(kind, ext) }).await
            }
            Err(next) => Ok(next),
        },
        Command::APPEND_FILE => match read_head::<Append>(connection, header).await? {
            Ok(Append { name, size }) => {
                let change = native.store.begin_append(&name, size).await;
                change_file(connection, change, size).await
            }
            Err(next) => Ok(next),
        },
        _ => match read_head::<Modify>(connection, header).await? {
            Ok(Modify { name, offset, size }) => {
                let change = native.store.begin_modify(&name, offset, size).await;
                change_file(connection, change, size).await
            }
            Err(next) => Ok(next),
        },
    }
}

fn spec(kind: UploadKind, head: &UploadHead) -> UploadSpec {
    UploadSpec { store_path: head.store_path, len: Some(head.size), ..UploadSpec::new(kind, head.ext) }
}

/// Reads what comes before the content; a head that makes no sense is refused.
pub(super) async fn read_head<Q: StreamRequest>(
    connection: &mut Connection,
    header: &Header,
) -> Result<Result<Q, Next>, ConnectionError> {
    read_head_by(connection, header, Q::decode_head).await
}

/// The same for heads that are read in a way of their own.
pub(super) async fn read_head_by<Q>(
    connection: &mut Connection,
    header: &Header,
    decode: impl Fn(&[u8], u64) -> Result<Option<(Q, usize)>, DecodeError>,
) -> Result<Result<Q, Next>, ConnectionError> {
    loop {
        match decode(connection.buffered(), header.body_len) {
            Ok(Some((head, len))) => {
                connection.consume(len);
                return Ok(Ok(head));
            }
            Ok(None) => {
                let room = usize::try_from(header.body_len).unwrap_or(PIECE).min(PIECE);
                connection.fill(room).await?;
            }
            Err(_) => return Ok(Err(refuse(connection, Status::EINVAL, header.body_len).await?)),
        }
    }
}

async fn upload(
    native: &Native,
    connection: &mut Connection,
    spec: UploadSpec,
) -> Result<Next, ConnectionError> {
    let size = spec.len.unwrap_or(0);
    let replicas = native.confirm.replicas();
    if lacks_members(native, &spec) {
        return refuse(connection, Status::EBUSY, size).await;
    }
    let witness = || (replicas > 0).then(|| native.confirm.begin());
    let (made, witness) = match usize::try_from(size) {
        Ok(len) if size <= SMALL => {
            let content = connection.read_exact(len).await?.freeze();
            let witness = witness();
            (native.store.put(spec, vec![content]).await, witness)
        }
        _ => match native.store.begin(spec).await {
            Ok(mut upload) => match stream(connection, &mut upload, size).await? {
                Ok(()) => {
                    let witness = witness();
                    (upload.commit().await, witness)
                }
                Err((error, unread)) => return refuse(connection, write_status(error), unread).await,
            },
            Err(error) => return refuse(connection, write_status(error), size).await,
        },
    };
    let confirmed = match (made, witness) {
        (Ok(Committed { id, .. }), Some(witness)) => confirm(native, witness, id).await,
        (made, _) => made.map(|Committed { id, .. }| id).map_err(write_status),
    };
    match confirmed {
        Ok(id) => connection.send(&FileCreated(id).to_frame()).await?,
        Err(status) => connection.send_status(status).await?,
    }
    Ok(Next::Request)
}

/// Whether too few members are in service to confirm an upload. What has no place here is refused for that.
fn lacks_members(native: &Native, spec: &UploadSpec) -> bool {
    let has_path = |path: StorePathIndex| usize::from(path.0) < native.store.store_path_count();
    let replicas = native.confirm.replicas();
    replicas > 0 && spec.store_path.is_none_or(has_path) && native.confirm.members_in_service() < replicas
}

/// Waits until so many members have a file as the configuration wants. An answer without success cannot carry a file's ID,
/// so nobody would ever know of one that stays: it goes.
async fn confirm(native: &Native, witness: NodeWitness, id: FileId) -> Result<FileId, Status> {
    let replicas = native.confirm.replicas();
    let Err(members) = witness.wait(vec![id.clone()], replicas).await else { return Ok(id) };
    warn!(file_id = %id, members, replicas, "too few members confirm an upload in time, deleting it");
    match native.store.delete(&id.name).await {
        Ok(()) | Err(WriteError::NotFound) => {}
        Err(error) => error!(file_id = %id, %error, "an upload that was refused stays stored"),
    }
    Err(Status::ETIMEDOUT)
}

async fn change_file(
    connection: &mut Connection,
    change: Result<Change, WriteError>,
    size: u64,
) -> Result<Next, ConnectionError> {
    let mut change = match change {
        Ok(change) => change,
        Err(error) => return refuse(connection, write_status(error), size).await,
    };
    match stream(connection, &mut change, size).await? {
        Ok(()) => {
            let status = change.commit().await.err().map_or(Status::OK, write_status);
            connection.send_status(status).await?;
            Ok(Next::Request)
        }
        Err((error, unread)) => {
            drop(change);
            refuse(connection, write_status(error), unread).await
        }
    }
}

/// What takes content piece by piece.
pub(super) trait Sink {
    async fn write(&mut self, piece: Bytes) -> Result<(), WriteError>;
}

impl Sink for StoreUpload {
    async fn write(&mut self, piece: Bytes) -> Result<(), WriteError> {
        Self::write(self, piece).await
    }
}

impl Sink for Receive {
    async fn write(&mut self, piece: Bytes) -> Result<(), WriteError> {
        Self::write(self, piece).await
    }
}

impl Sink for Change {
    async fn write(&mut self, piece: Bytes) -> Result<(), WriteError> {
        Self::write(self, piece).await
    }
}

/// Moves `size` bytes of content; a failed write tells how many of them were not received yet.
pub(super) async fn stream(
    connection: &mut Connection,
    sink: &mut impl Sink,
    size: u64,
) -> Result<Result<(), (WriteError, u64)>, ConnectionError> {
    let mut left = size;
    let mut piece = next_piece(connection, &mut left).await?;
    while !piece.is_empty() {
        let (written, next) = tokio::join!(sink.write(piece), next_piece(connection, &mut left));
        if let Err(error) = written {
            next?;
            return Ok(Err((error, left)));
        }
        piece = next?;
    }
    Ok(Ok(()))
}

/// The next piece of content; empty at its end.
async fn next_piece(connection: &mut Connection, left: &mut u64) -> Result<Bytes, ConnectionError> {
    let len = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
    let piece = connection.read_exact(len).await?.freeze();
    *left -= len as u64;
    Ok(piece)
}
