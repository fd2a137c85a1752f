//! Sending this node's records to the other members of its group: one sender a peer, woken by the binlog.
//!
//! `sender` decides when a peer is sent to and `run` does it, with `work` as its memory; `cursor` is the pure machine that
//! says what may go next; `step` what is sent for a record and what an answer means; `lane` is one connection; `fill`
//! begins, and fills new members with old files. A peer that is slow, hangs or refuses holds up its own sender only.

mod acks;
mod cursor;
mod dead_letters;
mod fill;
mod lane;
pub(crate) mod mark;
mod message;
mod report;
mod run;
mod sender;
mod step;
mod window;
mod work;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::client::ClientLimits;
use protocol::cluster::{SenderReport, StorageStatus};
use protocol::config::StorageConf;
use protocol::{GroupName, StorageId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::peers::{Peers, is_tombstone};
use crate::store::{BinlogPosition, Store};
use crate::trackers::Trackers;
use crate::view::View;

pub(crate) use acks::Listener;
pub(crate) use dead_letters::Letter;
pub(crate) use report::Progress;

use acks::Acks;
use report::Lag;
use sender::{Sender, unix_now};
use window::Window;

/// Bytes that a binlog line takes on average, for estimates.
const LINE: i64 = 58;
/// A binlog file ends at this size.
const FILE_SIZE: i64 = 1 << 30;
/// Connections to one peer: the first, which reports and so takes little else than the oldest record, and some that are
/// not held up by one large file.
const FEWEST_LANES: usize = 4;
const MOST_LANES: usize = 16;

/// What senders share.
struct Shared {
    store: Store,
    peers: Peers,
    trackers: Trackers,
    view: View,
    limits: ClientLimits,
    heart_beat: Duration,
    binlog: watch::Receiver<BinlogPosition>,
    lanes: usize,
    own_port: u16,
    window: Window,
    acks: Acks,
}

impl Shared {
    fn stem(&self, peer: &StorageId) -> PathBuf {
        mark::stem(self.store.sync_dir(), peer, self.own_port, self.view.uses_ids())
    }

    /// How far a peer is behind: exactly when all that it lacks was read, else estimated.
    fn lag(
        &self,
        mark: BinlogPosition,
        read_to: BinlogPosition,
        end: BinlogPosition,
        outstanding: usize,
        oldest: Option<i64>,
    ) -> Lag {
        let outstanding = i64::try_from(outstanding).unwrap_or(i64::MAX);
        let unread = distance(read_to, end);
        let seconds = oldest.map_or(0, |oldest| (unix_now() - oldest).max(0));
        let bytes = if outstanding == 0 && unread == 0 { 0 } else { distance(mark, end) };
        Lag { seconds, files: outstanding + (unread + LINE - 1) / LINE, bytes }
    }
}

fn distance(from: BinlogPosition, to: BinlogPosition) -> i64 {
    let at = |position: BinlogPosition| {
        i64::from(position.index) * FILE_SIZE + i64::try_from(position.offset).unwrap_or(i64::MAX / 2)
    };
    (at(to) - at(from)).max(0)
}

/// The senders of this node. Clones share them.
#[derive(Clone)]
pub(crate) struct Replication {
    shared: Arc<Shared>,
    running: Arc<Mutex<HashMap<StorageId, Arc<Progress>>>>,
    changed: watch::Sender<u64>,
    /// End of the binlog at the node's start.
    began: BinlogPosition,
    reports: watch::Sender<Vec<SenderReport>>,
}

impl Replication {
    pub(crate) fn new(
        conf: &StorageConf,
        store: Store,
        peers: Peers,
        trackers: Trackers,
        view: View,
        limits: ClientLimits,
    ) -> Self {
        let lanes = usize::try_from(conf.disk_threads.sync_max_threads).unwrap_or(FEWEST_LANES);
        let shared = Shared {
            binlog: store.binlog_watch(),
            store,
            peers,
            trackers,
            view,
            limits,
            heart_beat: conf.heart_beat_interval,
            lanes: lanes.clamp(FEWEST_LANES, MOST_LANES),
            own_port: conf.daemon.port(),
            window: Window::of(conf),
            acks: Acks::default(),
        };
        let began = *shared.binlog.borrow();
        Self {
            began,
            shared: Arc::new(shared),
            running: Arc::default(),
            changed: watch::Sender::new(0),
            reports: watch::Sender::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<StorageId, Arc<Progress>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All senders, by peer.
    pub(crate) fn senders(&self) -> Vec<Arc<Progress>> {
        let mut senders: Vec<(StorageId, Arc<Progress>)> =
            self.running().iter().map(|(peer, progress)| (*peer, Arc::clone(progress))).collect();
        senders.sort_by_key(|(peer, _)| *peer);
        senders.into_iter().map(|(_, progress)| progress).collect()
    }

    /// Who this node is, once a tracker said so.
    pub(crate) fn own(&self) -> Option<StorageId> {
        self.shared.peers.own()
    }

    pub(crate) fn group(&self) -> GroupName {
        self.shared.store.group()
    }

    /// End of the binlog.
    pub(crate) fn binlog_end(&self) -> BinlogPosition {
        *self.shared.binlog.borrow()
    }

    /// Members that are sent to at this time.
    pub(crate) fn members_in_service(&self) -> usize {
        if !self.shared.window.is_open() {
            return 0;
        }
        let peers = self.shared.peers.list();
        peers.iter().filter(|peer| peer.status == StorageStatus::ACTIVE).count()
    }

    /// Begins to hear which new files members have.
    pub(crate) fn listen(&self) -> Listener {
        self.shared.acks.listen()
    }

    /// What trackers are told, by peer; renewed whenever it changes.
    pub(crate) fn reports(&self) -> watch::Receiver<Vec<SenderReport>> {
        self.reports.subscribe()
    }

    /// Runs a sender for every peer until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (sync_dir, end) = (self.shared.store.sync_dir().to_owned(), self.began);
        if let Err(error) = sender::blocking(move || mark::pull_back(&sync_dir, end)).await {
            error!(%error, "marks cannot be checked");
        }
        let senders = TaskTracker::new();
        let mut watch = self.shared.peers.watch();
        let mut changed = self.changed.subscribe();
        loop {
            watch.mark_unchanged();
            changed.mark_unchanged();
            self.reports.send_replace(self.senders().iter().map(|progress| progress.report()).collect());
            for peer in self.shared.peers.list() {
                let is_over = is_tombstone(peer.status) || peer.status == StorageStatus::NONE;
                if !is_over && !self.running().contains_key(&peer.id) {
                    senders.spawn(self.clone().send_to(peer.id, stop.clone()));
                }
            }
            tokio::select! {
                _ = watch.changed() => {}
                _ = changed.changed() => {}
                () = stop.cancelled() => break,
            }
        }
        senders.close();
        senders.wait().await;
    }

    async fn send_to(self, peer: StorageId, stop: CancellationToken) {
        let progress = Arc::new(Progress::new(peer, self.changed.clone()));
        if self.running().insert(peer, Arc::clone(&progress)).is_some() {
            return;
        }
        let sender = Sender { shared: Arc::clone(&self.shared), peer, progress, stop };
        sender.run().await;
        self.running().remove(&peer);
    }
}
