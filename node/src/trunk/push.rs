//! The trunk binlog, sent to every other member as it is, so that each can be the next trunk server.
//!
//! `data/trunk/<peer>.mark` says how much a peer has. What it says is compared with what the peer has when it connects:
//! a peer that has more heard it before this node was killed, one that has less has another disk and gets all from the
//! beginning.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::client::{ClientError, Connection};
use protocol::cluster::StorageStatus;
use protocol::daemon::replace_file;
use protocol::trunk::{
    GetTrunkBinlogSize, MAX_LINES, TruncateTrunkBinlog, TrunkBinlogLines, TrunkBinlogSize,
};
use protocol::wire::{Empty, Request, Response, frame};
use protocol::{Command, Status, StorageId};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::Shared;
use crate::peers::Peer;
use crate::replication::mark;
use crate::store::state_text::{StateText, put};

/// Pause between connections.
const PAUSE: Duration = Duration::from_secs(1);
/// Time between two requests: lines that come meanwhile go together.
const PACE: Duration = Duration::from_millis(50);
/// How often a mark is written while it moves.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// FastDFS's members write what they hear once a second; until then it is not part of what they say they have.
const SETTLE: Duration = Duration::from_secs(3);
/// How often an idle connection is used.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest answer.
const MAX_ANSWER: u64 = 64;

/// Sends to all members until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let mut running: HashMap<StorageId, CancellationToken> = HashMap::new();
    let mut watch = shared.peers.watch();
    loop {
        watch.mark_unchanged();
        let peers = shared.peers.list();
        let is_member = |id: &StorageId| peers.iter().any(|peer| peer.id == *id && is_sent_to(peer));
        running.retain(|id, end| {
            let stays = is_member(id) && !end.is_cancelled();
            if !stays {
                end.cancel();
            }
            stays
        });
        for peer in peers.iter().filter(|peer| is_sent_to(peer)) {
            if let Entry::Vacant(place) = running.entry(peer.id) {
                let end = place.insert(stop.child_token());
                tasks.spawn(send_to(Arc::clone(&shared), *peer, end.clone()));
            }
        }
        tokio::select! {
            _ = watch.changed() => {}
            () = stop.cancelled() => break,
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Members in service; others cannot become the trunk server.
fn is_sent_to(peer: &Peer) -> bool {
    peer.status == StorageStatus::ACTIVE
}

#[derive(Debug, Error)]
enum PushError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the trunk binlog or a mark cannot be read or written")]
    Disk(#[from] io::Error),
}

/// One peer's lines, until `end`.
async fn send_to(shared: Arc<Shared>, peer: Peer, end: CancellationToken) {
    let stem =
        mark::stem(shared.store.trunk().directory(), &peer.id, shared.own_port, shared.view.uses_ids());
    let mut mark = match Mark::load(mark::path_of(&stem)).await {
        Ok(mark) => mark,
        Err(error) => {
            warn!(peer = %peer.id, %error, "a mark of the trunk binlog cannot be read; the peer gets all of it");
            Mark::none(mark::path_of(&stem))
        }
    };
    let mut is_said = false;
    loop {
        let outcome = tokio::select! {
            outcome = connected(&shared, &peer, &mut mark, &end) => outcome,
            () = end.cancelled() => Ok(()),
        };
        if let Err(error) = mark.save().await {
            warn!(peer = %peer.id, %error, "a mark of the trunk binlog cannot be written");
        }
        match outcome {
            Ok(()) if end.is_cancelled() => return,
            Ok(()) => {}
            Err(error) if is_said => debug!(peer = %peer.id, %error, "the trunk binlog is not sent"),
            Err(error) => {
                warn!(peer = %peer.id, %error, "the trunk binlog is not sent to a peer, trying again");
                is_said = true;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = end.cancelled() => return,
        }
    }
}

/// One connection, from its beginning to `end` or an error.
async fn connected(
    shared: &Shared,
    peer: &Peer,
    mark: &mut Mark,
    end: &CancellationToken,
) -> Result<(), PushError> {
    let mut connection = Connection::open(SocketAddr::new(peer.ip, peer.port), &shared.limits).await?;
    agree(shared, peer, &mut connection, mark).await?;
    let trunk = shared.store.trunk();
    let mut grown = trunk.log_watch();
    loop {
        grown.mark_unchanged();
        let (offset, reading) = (mark.offset.unwrap_or(0), trunk.clone());
        let lines = blocking(move || reading.read_log(offset, MAX_LINES)).await?;
        if !lines.is_empty() {
            let len = lines.len() as u64;
            let Empty = ask(&mut connection, &TrunkBinlogLines(Bytes::from(lines))).await?;
            mark.advance(len);
            if mark.is_due() {
                mark.save().await?;
            }
            let pace = timeout(PACE, end.cancelled()).await;
            if pace.is_ok() {
                return Ok(());
            }
            continue;
        }
        tokio::select! {
            changed = grown.changed() => if changed.is_err() { return Ok(()) },
            () = sleep_until(mark.due()), if mark.is_dirty => mark.save().await?,
            () = tokio::time::sleep(KEEP_ALIVE) => {
                connection.send(Command::ACTIVE_TEST, &frame(Command::ACTIVE_TEST, Status::OK, |_| {})).await?;
                connection.answer(Command::ACTIVE_TEST, MAX_ANSWER).await?;
            }
            () = end.cancelled() => return Ok(()),
        }
    }
}

/// Agrees with a peer about how much it has.
async fn agree(
    shared: &Shared,
    peer: &Peer,
    connection: &mut Connection,
    mark: &mut Mark,
) -> Result<(), PushError> {
    let trunk = shared.store.trunk();
    let own = blocking(move || trunk.log_len()).await?.unwrap_or(0);
    if let Some(offset) = mark.offset.filter(|offset| *offset <= own) {
        let mut has = size_at(connection).await?;
        if has < offset {
            tokio::time::sleep(SETTLE).await;
            has = size_at(connection).await?;
        }
        if (offset..=own).contains(&has) {
            mark.set(has);
            return Ok(());
        }
        info!(peer = %peer.id, bytes = has, expected = offset, "the peer has another trunk binlog; it gets all of it");
    }
    let Empty = ask(connection, &TruncateTrunkBinlog).await?;
    mark.set(0);
    mark.save().await?;
    Ok(())
}

async fn size_at(connection: &mut Connection) -> Result<u64, ClientError> {
    match ask(connection, &GetTrunkBinlogSize).await {
        Ok(TrunkBinlogSize(size)) => Ok(size),
        Err(error) if error.status() == Some(Status::ENOENT) => Ok(0),
        Err(error) => Err(error),
    }
}

async fn ask<Q: Request, A: Response>(connection: &mut Connection, request: &Q) -> Result<A, ClientError> {
    let address = connection.address();
    connection.send(Q::COMMAND, &request.to_frame()).await?;
    let body = connection.answer(Q::COMMAND, MAX_ANSWER).await?;
    A::decode_body(&body).map_err(|source| ClientError::Answer { address, command: Q::COMMAND, source })
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.map_err(io::Error::other)?
}

/// How much a peer has, and the file that says so: the single key `binlog_offset`.
struct Mark {
    path: PathBuf,
    /// Nothing is known of what the peer has.
    offset: Option<u64>,
    is_dirty: bool,
    saved: Instant,
}

impl Mark {
    fn none(path: PathBuf) -> Self {
        Self { path, offset: None, is_dirty: false, saved: Instant::now() }
    }

    async fn load(path: PathBuf) -> io::Result<Self> {
        let read = path.clone();
        let offset = blocking(move || load(&read)).await?;
        Ok(Self { offset, ..Self::none(path) })
    }

    fn set(&mut self, offset: u64) {
        self.is_dirty |= self.offset != Some(offset);
        self.offset = Some(offset);
    }

    fn advance(&mut self, bytes: u64) {
        self.set(self.offset.unwrap_or(0) + bytes);
    }

    fn due(&self) -> Instant {
        self.saved + MARK_INTERVAL
    }

    fn is_due(&self) -> bool {
        self.is_dirty && self.due() <= Instant::now()
    }

    async fn save(&mut self) -> io::Result<()> {
        let Some(offset) = self.offset.filter(|_| self.is_dirty) else { return Ok(()) };
        let path = self.path.clone();
        blocking(move || {
            let mut text = String::new();
            put(&mut text, "binlog_offset", offset);
            replace_file(&path, text.as_bytes())
        })
        .await?;
        (self.is_dirty, self.saved) = (false, Instant::now());
        Ok(())
    }
}

/// An offset of 0 is as good as no mark: the peer is told to begin anew.
fn load(path: &Path) -> io::Result<Option<u64>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let offset = StateText::parse(&text).text("binlog_offset").and_then(|text| text.parse().ok());
    Ok(offset.filter(|offset: &u64| *offset > 0))
}
