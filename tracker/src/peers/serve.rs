//! What other trackers ask: claims, elections, heart beats of followers, and copies of the files.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol::peers::{
    CommitNextLeader, GetOneSystemFile, GetSystemFilesEnd, GetSystemFilesStart, JoinLeader, LeaderClaim,
    MAX_PIECE, NotifyNextLeader, PingLeader, ReselectLeader, SystemFilePiece, TrackerGetStatus, TrunkServers,
};
use protocol::tracker::{Connections, TrackerStatistics};
use protocol::wire::{Request, Response};
use protocol::{Command, HostPort, Status};
use tokio::sync::OwnedSemaphorePermit;

use super::election::Millis;
use super::step;
use crate::app::Shared;
use crate::files::Snapshot;
use crate::state::{Leadership, Session};

/// What a connection of another tracker has to remember.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    follower: Option<JoinLeader>,
    /// The changes of trunk servers that it has heard of.
    told_trunk_servers: u64,
    /// The files as they were when it began to copy them. A copy of its own, so that nothing waits for a slow copier.
    files: Option<Copy>,
}

#[derive(Debug)]
struct Copy {
    files: Snapshot,
    _place: OwnedSemaphorePermit,
}

/// Whether a command is one of trackers.
pub(crate) fn is_of_tracker(command: Command) -> bool {
    matches!(command, Command(58 | 61..=68))
}

fn decode<Q: Request>(body: &[u8]) -> Result<Q, Status> {
    Q::decode_body(body).map_err(|_| Status::EINVAL)
}

/// Answers one request into `out`; an error becomes the status of an answer without a body.
pub(crate) fn answer(
    shared: &Shared,
    guest: &mut Guest,
    session: &Session,
    command: Command,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Status> {
    match command {
        Command::TRACKER_GET_STATUS => {
            let TrackerGetStatus = decode(body)?;
            claim(shared)?.encode_body(out);
        }
        Command::TRACKER_NOTIFY_NEXT_LEADER => {
            let NotifyNextLeader(named) = decode(body)?;
            let named = identity(shared, &named)?;
            step(shared, |election, now: Millis, _| election.proposed(named, now))?;
        }
        Command::TRACKER_COMMIT_NEXT_LEADER => {
            let CommitNextLeader(named) = decode(body)?;
            let named = identity(shared, &named)?;
            step(shared, |election, now: Millis, _| election.committed(named, now))?;
        }
        Command::TRACKER_NOTIFY_RESELECT_LEADER => {
            let ReselectLeader = decode(body)?;
            step(shared, |election, now, random| election.reselect(now, random))?;
        }
        Command::TRACKER_JOIN_LEADER => {
            let join: JoinLeader = decode(body)?;
            leads(shared)?;
            if guest.follower.is_some() {
                return Err(Status::EEXIST);
            }
            // The reference refuses followers whose source address no storage has told; they then look for a leader for
            // ever. What a follower hears is no secret, so all are heard.
            follows(shared, session, &join, Connections::default());
            guest.follower = Some(join);
            guest.told_trunk_servers = 0;
        }
        Command::TRACKER_PING_LEADER => {
            let PingLeader(connections) = decode(body)?;
            leads(shared)?;
            let join = guest.follower.as_ref().ok_or(Status::EINVAL)?;
            follows(shared, session, join, connections);
            let (changes, servers) = shared.state().trunk_servers();
            if changes != guest.told_trunk_servers {
                guest.told_trunk_servers = changes;
                TrunkServers(servers).encode_body(out);
            }
        }
        Command::GET_SYS_FILES_START => {
            let GetSystemFilesStart = decode(body)?;
            let state = shared.state();
            if state.groups().is_empty() {
                return Err(Status::ENOENT);
            }
            guest.files = None;
            let place = Arc::clone(&shared.peers.copies).try_acquire_owned().map_err(|_| Status::EBUSY)?;
            guest.files = Some(Copy { files: Snapshot::of(&state), _place: place });
        }
        Command::GET_SYS_FILES_END => {
            let GetSystemFilesEnd = decode(body)?;
            guest.files = None;
        }
        Command::GET_ONE_SYS_FILE => piece(guest, decode(body)?)?.encode_body(out),
        _ => return Err(Status::EINVAL),
    }
    Ok(())
}

/// This tracker's claim. `ENOENT` without a group: it knows nothing that a leader has to know.
fn claim(shared: &Shared) -> Result<LeaderClaim, Status> {
    if shared.state().groups().is_empty() {
        return Err(Status::ENOENT);
    }
    let claim = step(shared, |election, now, _| (election.claim(now), Vec::new()));
    Ok(LeaderClaim {
        is_leader: u8::from(claim.is_leader),
        running_time: claim.running_time,
        restart_interval: claim.restart_interval,
    })
}

fn identity(shared: &Shared, named: &HostPort) -> Result<SocketAddr, Status> {
    let ip = named.ip().ok_or(Status::EINVAL)?;
    let address = SocketAddr::new(ip, named.port);
    shared.peers.inner().set.identity(address).ok_or(Status::ENOENT)
}

fn leads(shared: &Shared) -> Result<(), Status> {
    if shared.state().leadership() == Leadership::Own { Ok(()) } else { Err(Status::EOPNOTSUPP) }
}

fn follows(shared: &Shared, session: &Session, join: &JoinLeader, connections: Connections) {
    let follower = TrackerStatistics {
        host: HostPort { host: session.peer.ip().to_string(), port: join.port }.to_string(),
        is_leader: 0,
        is_active: 1,
        connections,
        version: join.version.clone(),
        up_time: join.up_time,
        last_heart_beat: shared.now(),
    };
    shared.peers.inner().followers.insert(session.peer.connection, follower);
}

fn piece(guest: &Guest, wanted: GetOneSystemFile) -> Result<SystemFilePiece, Status> {
    let files = guest.files.as_ref().ok_or(Status::EINVAL)?;
    let file = files.files.file(wanted.index).ok_or(Status::EINVAL)?;
    let rest = usize::try_from(wanted.offset).ok().and_then(|offset| file.get(offset..));
    let rest = rest.ok_or(Status::EINVAL)?;
    let bytes = rest.get(..MAX_PIECE).unwrap_or(rest);
    Ok(SystemFilePiece { total: file.len() as u64, bytes: Bytes::copy_from_slice(bytes) })
}
