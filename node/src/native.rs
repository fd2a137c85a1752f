//! The native service on 23000: frames in, calls of the store, frames out.
//!
//! A request is read whole before the connection takes the next one, also after an error: the reference leaves the rest
//! of a refused body to be parsed as a header. Requests sent ahead are answered in order.

mod answer;
mod content;
mod download;
mod recovery;
mod sync;
mod trunk;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::service::{Connection, ConnectionError};
use protocol::{Command, Header, Status, StorageId};
use tracing::debug;

use crate::confirm::Confirm;
use crate::peers::Peers;
use crate::received::Received;
use crate::remote::Remote;
use crate::store::Store;
use crate::view::View;

/// Bodies that are held in memory: all but content. The reference's buffer.
const MAX_BODY: u64 = 256 * 1024 - 10;
/// Content that is dropped after an error so that the connection can go on.
const MAX_DRAIN: u64 = 4 << 20;
/// A group has 32 members.
const MAX_RECOVERING: usize = 32;

/// What connections share.
pub(crate) struct Native {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) received: Received,
    pub(crate) remote: Remote,
    pub(crate) peers: Peers,
    pub(crate) confirm: Confirm,
    /// Addresses from which members recovered a store path since the start.
    pub(crate) recovering: Mutex<HashSet<IpAddr>>,
}

impl Native {
    /// Whether files of metadata may be downloaded from this address. Members that lost a disk fetch them like any other
    /// file; those of FastDFS do not say who they are, and need not have the address by which they are known.
    fn may_fetch_metadata(&self, session: &Session, ip: IpAddr) -> bool {
        session.member.is_some()
            || self.peers.list().iter().any(|peer| peer.ip == ip)
            || self.recovering.lock().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }

    /// From this address a member recovers a store path.
    fn note_recovering(&self, ip: IpAddr) {
        let mut recovering = self.recovering.lock().unwrap_or_else(PoisonError::into_inner);
        if recovering.len() < MAX_RECOVERING {
            recovering.insert(ip);
        }
    }
}

/// What a connection's earlier requests said about it.
#[derive(Debug, Default)]
struct Session {
    /// The member of the group that this is. What it asks for is answered from the own disk only: two members that lack
    /// a file must not ask each other in circles.
    member: Option<StorageId>,
}

/// What follows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

/// Serves one connection to its end.
pub(crate) async fn serve(native: Arc<Native>, mut connection: Connection) {
    let peer = connection.peer();
    if let Err(error) = requests(&native, &mut connection).await {
        debug!(%peer, %error, "connection ended");
    }
}

async fn requests(native: &Native, connection: &mut Connection) -> Result<(), ConnectionError> {
    let mut session = Session::default();
    while let Some(header) = connection.next_header(i64::MAX.unsigned_abs()).await? {
        let next = match header.command {
            Command::QUIT => return connection.flush().await,
            Command::DOWNLOAD_FILE => download::serve(native, connection, &header, &session).await?,
            Command::UPLOAD_FILE
            | Command::UPLOAD_APPENDER_FILE
            | Command::UPLOAD_SLAVE_FILE
            | Command::APPEND_FILE
            | Command::MODIFY_FILE => content::serve(native, connection, &header).await?,
            Command::FETCH_ONE_PATH_BINLOG => recovery::serve(native, connection, &header).await?,
            Command::REPORT_SERVER_ID => sync::hello(connection, &header, &mut session).await?,
            command if sync::COMMANDS.contains(&command) => {
                sync::serve(native, connection, &header, &session).await?
            }
            command if trunk::COMMANDS.contains(&command) => {
                trunk::serve(native, connection, &header).await?
            }
            _ => answer::serve(native, connection, &header, &session).await?,
        };
        if next == Next::Close {
            return Ok(());
        }
        connection.request_complete();
    }
    Ok(())
}

/// Answers with an error while `unread` bytes of the request's body are still to come. They are dropped, so that the
/// connection can be used again; a client that has too much of them loses it.
async fn refuse(connection: &mut Connection, status: Status, unread: u64) -> Result<Next, ConnectionError> {
    connection.send_status(status).await?;
    connection.skip(unread.min(MAX_DRAIN)).await?;
    Ok(if unread <= MAX_DRAIN { Next::Request } else { Next::Close })
}

/// Reads the whole body of a request that has to fit in memory; `None` if it was refused.
async fn read_body(
    connection: &mut Connection,
    header: &Header,
) -> Result<Result<bytes::BytesMut, Next>, ConnectionError> {
    match usize::try_from(header.body_len) {
        Ok(len) if header.body_len <= MAX_BODY => Ok(Ok(connection.read_exact(len).await?)),
        _ => Ok(Err(refuse(connection, Status::EINVAL, header.body_len).await?)),
    }
}
