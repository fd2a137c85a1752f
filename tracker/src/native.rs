//! The native service on 22122: frames in, calls of the state, frames out.
//!
//! A request of the wrong length or with bad values gets `EINVAL` and the connection stays open; only lost framing
//! closes it. Requests that were sent ahead are answered in order, in one write.

mod answer;

use std::sync::Arc;

use bytes::BytesMut;
use protocol::cluster::Join;
use protocol::frame::HEADER_LEN;
use protocol::service::{Connection, ConnectionCounts, ConnectionError};
use protocol::wire::Request;
use protocol::{Command, Header, Status};
use tracing::debug;

use crate::app::Shared;
use crate::peers::pull;
use crate::peers::serve::{self, Guest};
use crate::state::{Peer, Session};

/// Largest request: the reference's 256 KiB, header included.
const MAX_BODY: u64 = 256 * 1024 - 10;
/// Answers are sent once this much waits, even if more requests are there.
const FLUSH_AT: usize = 64 * 1024;

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, counts: Arc<ConnectionCounts>, mut connection: Connection) {
    let Ok(local) = connection.local() else { return };
    let peer = Peer { address: connection.peer(), local, connection: shared.next_connection() };
    let mut session = Session::new(peer);
    if let Err(error) = requests(&shared, &counts, &mut session, &mut connection).await {
        debug!(peer = %peer.address, %error, "connection ended");
    }
    shared.state().disconnected(&session);
    shared.peers.disconnected(&session);
}

/// What a storage or an operator acts on once it is answered, so that it may have to be saved first.
fn may_change_members(command: Command) -> bool {
    matches!(
        command,
        Command(59..=89) | Command::DELETE_STORAGE | Command::DELETE_GROUP | Command::SET_STORAGE_MODE
    )
}

async fn requests(
    shared: &Shared,
    counts: &ConnectionCounts,
    session: &mut Session,
    connection: &mut Connection,
) -> Result<(), ConnectionError> {
    let mut out = BytesMut::new();
    let mut guest = Guest::default();
    while let Some(header) = connection.next_header(MAX_BODY).await? {
        if header.command == Command::QUIT {
            return Ok(());
        }
        let body = connection.read_exact(usize::try_from(header.body_len).unwrap_or(0)).await?;
        connection.request_complete();
        if header.command == Command::STORAGE_JOIN
            && let Ok(join) = Join::decode_body(&body)
        {
            pull::before_first_join(shared, session, &join).await;
        }
        if matches!(header.command, Command(101..=107)) {
            shared.await_return().await;
        }
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        let answered = if serve::is_of_tracker(header.command) {
            serve::answer(shared, &mut guest, session, header.command, &body, &mut out)
        } else if header.command == Command::SET_TRUNK_SERVER {
            answer::set_trunk_server(shared, &body, &mut out).await
        } else {
            answer::answer(shared, counts, session, header.command, &body, &mut out)
        };
        let status = match answered {
            Ok(()) => Status::OK,
            Err(status) => {
                out.truncate(start + HEADER_LEN);
                status
            }
        };
        if may_change_members(header.command) {
            shared.saver.before_answer(shared).await;
        }
        let body_len = (out.len() - start - HEADER_LEN) as u64;
        let head = Header { body_len, command: Command::RESPONSE, status }.to_bytes();
        if let Some(place) = out.get_mut(start..start + HEADER_LEN) {
            place.copy_from_slice(&head);
        }
        let more_is_there = connection.buffered().len() >= HEADER_LEN && out.len() < FLUSH_AT;
        if !more_is_there {
            connection.send(&out).await?;
            out.clear();
            if out.capacity() > FLUSH_AT {
                out = BytesMut::new();
            }
        }
    }
    Ok(())
}
