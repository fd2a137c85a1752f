//! One sender: everything that one peer gets from this node, from the first contact to the peer's end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::StorageId;
use protocol::cluster::{SenderState, StorageStatus};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Shared;
use super::dead_letters::DeadLetters;
use super::fill;
use super::lane::Road;
use super::mark::{self, Mark};
use super::message::Kind;
use super::report::Progress;
use super::run::Run;
use super::work::Work;
use crate::peers::{Peer, is_tombstone};

/// How often it is found out what a peer lacks that is not in service.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// First pause after a lost connection; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Events that wait for the sender.
const EVENTS: usize = 1024;

/// Why serving ended.
#[derive(Debug)]
pub(super) enum End {
    /// The node stops.
    Stopped,
    /// The peer's status or address is not what it was.
    PeerChanged,
    /// The peer has all old files.
    Filled,
    /// The connection is gone, or something local failed.
    Failed(String),
}

/// Everything that one sender needs.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: StorageId,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: CancellationToken,
}

impl Sender {
    /// Serves the peer until it is gone from the group or the node stops.
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        let mut work: Option<Work> = None;
        let mut preview = self.preview().await;
        loop {
            let Some(peer) = self.await_service(work.as_mut().or(preview.as_mut())).await else { break };
            preview = None;
            let mut one = match work.take() {
                // A peer that waits to be filled has begun anew, perhaps.
                Some(one) if peer.status != StorageStatus::WAIT_SYNC => one,
                _ => match self.prepare(&peer).await {
                    Ok(one) => one,
                    Err(reason) => {
                        self.say(&mut said, &reason);
                        if self.pause(&mut pause).await.is_break() {
                            break;
                        }
                        continue;
                    }
                },
            };
            if one.filling.waits_for_source() && peer.status != StorageStatus::ACTIVE {
                // Another member fills it; ours come when it is active.
                self.progress.set_state(SenderState::WAITING);
                work = Some(one);
                self.await_change(&peer).await;
                continue;
            }
            let began = Instant::now();
            let end = self.serve(&peer, &mut one).await;
            one.save(&self.progress).await;
            match end {
                End::Stopped => break,
                End::PeerChanged | End::Filled => {}
                End::Failed(reason) => {
                    self.say(&mut said, &reason);
                    if began.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                        said.clear();
                    }
                    self.show_lag(&mut one).await;
                    self.progress.set_state(SenderState::CONNECTING);
                    if self.pause(&mut pause).await.is_break() {
                        break;
                    }
                }
            }
            work = Some(one);
        }
        self.progress.set_state(SenderState::WAITING);
        self.retire().await;
    }

    fn say(&self, said: &mut String, reason: &str) {
        self.progress.set_trouble(Some(reason));
        if said != reason {
            warn!(peer = %self.peer, reason, "replication to the peer is interrupted, trying again");
            reason.clone_into(said);
        }
    }

    async fn pause(&self, pause: &mut Duration) -> std::ops::ControlFlow<()> {
        tokio::select! {
            () = sleep(*pause) => {}
            () = self.stop.cancelled() => return std::ops::ControlFlow::Break(()),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        std::ops::ControlFlow::Continue(())
    }

    /// Waits until the peer may be sent to; `None` when it is gone for good or the node stops.
    async fn await_service(&self, mut work: Option<&mut Work>) -> Option<Peer> {
        let mut watch = self.shared.peers.watch();
        loop {
            watch.mark_unchanged();
            if self.stop.is_cancelled() {
                return None;
            }
            let peer = self.shared.peers.get(&self.peer)?;
            match peer.status {
                status if is_tombstone(status) || status == StorageStatus::NONE => return None,
                StorageStatus::ACTIVE | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING
                    if self.shared.window.is_open() =>
                {
                    return Some(peer);
                }
                _ => {}
            }
            if let Some(work) = &mut work {
                self.show_lag(work).await;
            }
            self.progress.set_state(SenderState::WAITING);
            tokio::select! {
                _ = watch.changed() => {}
                () = sleep(LAG_INTERVAL) => {}
                () = self.stop.cancelled() => return None,
            }
        }
    }

    /// Waits until the peer is not as it was.
    async fn await_change(&self, was: &Peer) {
        let mut watch = self.shared.peers.watch();
        loop {
            watch.mark_unchanged();
            if self.shared.peers.get(&self.peer).as_ref() != Some(was) {
                return;
            }
            tokio::select! {
                _ = watch.changed() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Finds out where to begin.
    async fn prepare(&self, peer: &Peer) -> Result<Work, String> {
        self.progress.set_state(SenderState::CONNECTING);
        let stem = self.shared.stem(&self.peer);
        let path = mark::path_of(&stem);
        let mark = fill::begin(&self.shared, peer, &path).await?;
        self.work(&stem, mark).await.map_err(|error| error.to_string())
    }

    async fn work(&self, stem: &Path, mark: Mark) -> io::Result<Work> {
        let path = mark::dead_letters_of(stem);
        let dead = blocking(move || DeadLetters::load(&path)).await?;
        self.progress.set_dead_letters(&dead);
        self.progress.set_mark(mark.position);
        let end = *self.shared.binlog.borrow();
        Ok(Work::new(self.peer, mark::path_of(stem), mark, dead, end))
    }

    /// What a peer that is not in service lacks, by the mark that it has.
    async fn preview(&self) -> Option<Work> {
        let stem = self.shared.stem(&self.peer);
        let path = mark::path_of(&stem);
        let mark = blocking(move || Mark::load(&path)).await.ok()??;
        self.work(&stem, mark).await.ok()
    }

    /// Finds out how much the peer lacks, while nothing is sent.
    async fn show_lag(&self, work: &mut Work) {
        let end = *self.shared.binlog.borrow();
        if let Err(error) = work.read(&self.shared.store, end).await {
            warn!(peer = %self.peer, %error, "the binlog cannot be read");
        }
        self.progress.set_lag(work.lag(&self.shared), false);
    }

    /// Sends until something changes. What was under way is lost, and goes again at the next call.
    async fn serve(&self, peer: &Peer, work: &mut Work) -> End {
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let road = Arc::new(Road {
            store: self.shared.store.clone(),
            group: self.shared.store.group(),
            address: SocketAddr::new(peer.ip, peer.port),
            limits: self.shared.limits.clone(),
            heart_beat: self.shared.heart_beat,
            events,
        });
        self.progress.set_state(SenderState::CONNECTING);
        let Some(own) = self.shared.peers.own() else {
            return End::Failed("no tracker has told this node's id yet".to_owned());
        };
        let opened = tokio::select! {
            opened = road.open_first(own) => opened,
            () = self.stop.cancelled() => return End::Stopped,
        };
        let (lane, kind) = match opened {
            Ok(opened) => opened,
            Err(error) => return End::Failed(explain(&error)),
        };
        info!(peer = %self.peer, address = %road.address, is_fdfs = kind == Kind::Fdfs, position = ?work.cursor.mark(),
            "replicating to the peer");
        self.progress.set_trouble(None);
        let announced = tokio::select! {
            announced = fill::announce(&self.shared, peer, &work.mark) => announced,
            () = self.stop.cancelled() => return End::Stopped,
        };
        match announced {
            Ok(true) => return End::Filled,
            Ok(false) => {}
            Err(reason) => return End::Failed(reason),
        }
        let mut run = Run::new(self, work, road, kind, lane);
        let end = run.go(&mut inbox).await;
        run.drop_lanes();
        end
    }

    /// The peer is gone from the group: its state gets another name, for the operator.
    async fn retire(&self) {
        let is_gone = self.shared.peers.get(&self.peer).is_some_and(|peer| is_tombstone(peer.status));
        if self.stop.is_cancelled() || !is_gone {
            return;
        }
        let stem = self.shared.stem(&self.peer);
        let outcome = blocking(move || {
            mark::retire(&mark::path_of(&stem))?;
            mark::retire(&mark::dead_letters_of(&stem))
        });
        match outcome.await {
            Ok(()) => info!(peer = %self.peer, "the peer has left the group, nothing is sent to it any more"),
            Err(error) => {
                error!(peer = %self.peer, %error, "the mark of a peer that has left cannot be put aside")
            }
        }
        self.shared.peers.set_status(&self.peer, StorageStatus::NONE);
    }
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

pub(super) fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// All that an error says.
pub(super) fn explain(error: &io::Error) -> String {
    protocol::daemon::Chain(error).to_string()
}
