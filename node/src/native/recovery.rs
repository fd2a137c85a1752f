//! Command 26: all records of one store path, for a member whose disk was replaced. The answer streams, then the
//! connection ends.

use protocol::service::{Connection, ConnectionError};
use protocol::sync::{FetchPathBinlog, STREAMED};
use protocol::wire::Request;
use protocol::{Command, Header, Status};
use tracing::{info, warn};

use super::answer::read_status;
use super::{Native, Next, read_body};
use crate::store::{PathRecords, Piece};

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
    let begun = match FetchPathBinlog::decode_body(&body) {
        Ok(request) if request.group == native.store.group() => {
            native.store.path_records(request.path).await.map_err(read_status)
        }
        _ => Err(Status::EINVAL),
    };
    match begun {
        Ok(records) => {
            native.note_recovering(connection.peer().ip());
            stream(connection, records).await?;
            Ok(Next::Close)
        }
        Err(status) => {
            connection.send_status(status).await?;
            Ok(Next::Request)
        }
    }
}

/// Sends the lines, then their length. After a failure only closing without it tells the peer that lines are missing.
async fn stream(connection: &mut Connection, records: PathRecords) -> Result<(), ConnectionError> {
    let peer = connection.peer();
    info!(%peer, "a member recovers a store path from this node");
    let head = Header { body_len: STREAMED, command: Command::RESPONSE, status: Status::OK };
    connection.send(&head.to_bytes()).await?;
    let mut sent: u64 = 0;
    let mut rest = Some(records);
    while let Some(records) = rest {
        match records.next().await {
            Ok(Piece { text, rest: more }) => {
                connection.send(text.as_bytes()).await?;
                sent += text.len() as u64;
                rest = more;
            }
            Err(error) => {
                warn!(%peer, %error, "the records of a store path cannot be read on");
                return Ok(());
            }
        }
        if connection.is_stopping() && rest.is_some() {
            return Ok(());
        }
    }
    info!(%peer, bytes = sent, "a member has all records of the store path");
    connection.send(&sent.to_be_bytes()).await
}
