//! Slots of trunk files for other members (27, 28, 29), the trunk binlog (30, 31, 33), and what a tracker asks before this
//! node becomes the trunk server (31, 32). Who is not the trunk server answers what is for one with `EINVAL`.

use bytes::BytesMut;
use protocol::frame::HEADER_LEN;
use protocol::service::{Connection, ConnectionError};
use protocol::trunk::{
    AllocateSpace, ConfirmSpace, DeleteBinlogMarks, FreeSpace, GetTrunkBinlogSize, TruncateTrunkBinlog,
    TrunkBinlogLines, TrunkBinlogSize,
};
use protocol::wire::Response;
use protocol::{Command, GroupName, Header, Status};
use tracing::{error, info};

use super::answer::decode;
use super::{Native, Next, read_body};
use crate::store::Trunk;
use crate::trunk::{slot_of, space_of};

/// What is answered here.
pub(super) const COMMANDS: [Command; 7] = [
    Command::TRUNK_ALLOC_SPACE,
    Command::TRUNK_ALLOC_CONFIRM,
    Command::TRUNK_FREE_SPACE,
    Command::TRUNK_SYNC_BINLOG,
    Command::TRUNK_GET_BINLOG_SIZE,
    Command::TRUNK_DELETE_BINLOG_MARKS,
    Command::TRUNK_TRUNCATE_BINLOG_FILE,
];

/// Answers one request.
pub(super) async fn serve(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
) -> Result<Next, ConnectionError> {
    let body = match read_body(connection, header).await? {
        Ok(body) => body,
        Err(next) => return Ok(next),
    };
    let (trunk, group, header) = (native.store.trunk(), native.store.group(), *header);
    let job = tokio::task::spawn_blocking(move || {
        let mut out = BytesMut::zeroed(HEADER_LEN);
        answer(&trunk, group, &header, &body, &mut out).map(|()| out)
    });
    let answered = job.await.unwrap_or_else(|error| {
        error!(%error, "a job on trunk files was lost");
        Err(Status::EIO)
    });
    match answered {
        Ok(mut out) => {
            let body_len = (out.len() - HEADER_LEN) as u64;
            let head = Header { body_len, command: Command::RESPONSE, status: Status::OK }.to_bytes();
            out[..HEADER_LEN].copy_from_slice(&head);
            connection.send(&out).await?;
        }
        Err(status) => connection.send_status(status).await?,
    }
    Ok(Next::Request)
}

/// Blocking.
fn answer(
    trunk: &Trunk,
    own: GroupName,
    header: &Header,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Status> {
    if !trunk.rules().is_on {
        return Err(Status::EINVAL);
    }
    let check = |group: GroupName| if group == own { Ok(()) } else { Err(Status::EINVAL) };
    match header.command {
        Command::TRUNK_ALLOC_SPACE => {
            let AllocateSpace { group, size, path } = decode(body)?;
            check(group)?;
            space_of(&trunk.allocate(path, size)?).encode(out);
            Ok(())
        }
        Command::TRUNK_ALLOC_CONFIRM => {
            let ConfirmSpace { group, space } = decode(body)?;
            check(group)?;
            trunk.confirm(&slot_of(&space), header.status)
        }
        Command::TRUNK_FREE_SPACE => {
            let FreeSpace { group, space } = decode(body)?;
            check(group)?;
            trunk.free(&slot_of(&space))
        }
        Command::TRUNK_SYNC_BINLOG => {
            let TrunkBinlogLines(lines) = decode(body)?;
            trunk.append_log(&lines)
        }
        Command::TRUNK_GET_BINLOG_SIZE => {
            let GetTrunkBinlogSize = decode(body)?;
            let len = trunk.log_len().map_err(|error| Status::from_io(&error))?;
            // FastDFS's trackers take a refusal for a member that cannot be the trunk server.
            TrunkBinlogSize(len.unwrap_or(0)).encode_body(out);
            Ok(())
        }
        Command::TRUNK_DELETE_BINLOG_MARKS => {
            let DeleteBinlogMarks = decode(body)?;
            trunk.forget_marks()?;
            info!("a tracker makes this node forget what it knew as the trunk server");
            Ok(())
        }
        _ => {
            let TruncateTrunkBinlog = decode(body)?;
            trunk.truncate_log()?;
            info!("the trunk server sends all of its trunk binlog");
            Ok(())
        }
    }
}
