//! This node's part in the trunk files of its group, as the leading tracker says: it gives out slots itself, it asks the
//! member that does, or every file is a file of its own.
//!
//! The link tells what it hears; one task carries it out and, while this node is the trunk server, sends its trunk binlog
//! to all members (`push`). `client` asks another trunk server. What a slot is, is the store's.

mod client;
mod owed;
mod push;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::GroupName;
use protocol::client::{ClientLimits, Pool, StorageClient};
use protocol::daemon::Chain;
use protocol::trunk::TrunkSpace;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::peers::Peers;
use crate::store::{Slot, Store, Trunk, TrunkClient};
use crate::view::View;
use client::{Absent, RemoteServer};
use owed::Owed;

/// How often the trunk binlog is put on the disk, as FastDFS does.
const TICK: Duration = Duration::from_secs(1);
/// Pause after the role could not be taken.
const AGAIN: Duration = Duration::from_secs(5);
/// Heart beats that the leading tracker may leave unanswered before this node gives out no slots. It replaces a trunk
/// server that is silent for longer, and two would give the same slot to two files.
const SILENT_BEATS: u32 = 3;
/// Longest wait for another trunk server: the client waits meanwhile, and a file of its own is as good.
const PATIENCE: Duration = Duration::from_secs(3);
/// Idle connections kept to it.
const MAX_IDLE: usize = 16;

/// Who gives out slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrunkServer {
    /// Nobody, or nobody knows.
    Nobody,
    /// This node.
    Own,
    /// The member at this address.
    Member(SocketAddr),
}

/// What the trackers said, and what comes of it. Clones share it.
#[derive(Clone)]
pub(crate) struct TrunkRole(Arc<Shared>);

struct Shared {
    store: Store,
    peers: Peers,
    view: View,
    limits: ClientLimits,
    own_port: u16,
    heart_beat: Duration,
    told: watch::Sender<TrunkServer>,
    /// When the leading tracker last answered.
    leader_heard: Mutex<Option<Instant>>,
    /// The trunk server, where it is another member.
    remote: Mutex<Option<Arc<RemoteServer>>>,
    /// Slots of deleted files that no trunk server has taken back yet.
    owed: Arc<Owed>,
}

impl TrunkRole {
    pub(crate) fn new(
        store: Store,
        peers: Peers,
        view: View,
        limits: ClientLimits,
        own_port: u16,
        heart_beat: Duration,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            peers,
            view,
            limits,
            own_port,
            heart_beat,
            told: watch::Sender::new(TrunkServer::Nobody),
            leader_heard: Mutex::default(),
            remote: Mutex::default(),
            owed: Arc::default(),
        }))
    }

    /// The leading tracker names the trunk server.
    pub(crate) fn tell(&self, server: TrunkServer) {
        self.0.told.send_if_modified(|told| std::mem::replace(told, server) != server);
    }

    /// The leading tracker has answered what it was asked then, and names nobody else. The time of the question counts: this
    /// process may have stood still before it read the answer.
    pub(crate) fn leader_answered(&self, asked: Instant) {
        *self.0.leader_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.trunk().lease_until((asked + self.0.patience()).into_std());
    }

    /// Gives out no slots from now on: somebody else does.
    pub(crate) fn end_lease(&self) {
        self.trunk().lease_until(Instant::now().into_std());
    }

    /// The store's side.
    pub(crate) fn trunk(&self) -> Trunk {
        self.0.store.trunk()
    }

    /// Carries out what is told, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut told = self.0.told.subscribe();
        let mut part = Part::default();
        let mut timer = tokio::time::interval(TICK);
        loop {
            let wanted = self.0.wanted(*told.borrow_and_update());
            if part.is_due(wanted) {
                part.leave().await;
                part.take(&self.0, wanted).await;
            }
            tokio::select! {
                _ = told.changed() => {}
                _ = timer.tick() => self.0.tend().await,
                () = stop.cancelled() => break,
            }
        }
        // The store goes on giving out slots to the requests that are under way.
        part.leave().await;
    }
}

impl Shared {
    /// What is told, unless this node may have been replaced without hearing it.
    fn wanted(&self, told: TrunkServer) -> TrunkServer {
        let heard = *self.leader_heard.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            TrunkServer::Own if heard.is_none_or(|at| at.elapsed() > self.patience()) => TrunkServer::Nobody,
            told => told,
        }
    }

    /// How long this node gives out slots after an answer of the leading tracker.
    fn patience(&self) -> Duration {
        (self.heart_beat * SILENT_BEATS).max(TICK * 2)
    }

    /// What is to be done every second.
    async fn tend(&self) {
        let trunk = self.store.trunk();
        if !trunk.rules().is_on {
            return;
        }
        match tokio::task::spawn_blocking(move || trunk.tend()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the trunk binlog is not on the disk, will be tried again"),
            Err(error) => error!(%error, "a job on the trunk binlog was lost"),
        }
        self.owed.pay(self).await;
    }

    /// The trunk server at an address, from now on.
    fn meet(&self, at: SocketAddr) -> Arc<RemoteServer> {
        let limits = ClientLimits {
            connect_timeout: self.limits.connect_timeout.min(PATIENCE),
            network_timeout: self.limits.network_timeout.min(PATIENCE),
            connect_retries: 0,
            max_idle: MAX_IDLE,
            ..self.limits.clone()
        };
        let (client, group) = (StorageClient::new(Pool::new(limits)), self.group());
        let remote = Arc::new(RemoteServer::new(at, group, client, Arc::clone(&self.owed)));
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&remote));
        remote
    }

    fn remote(&self) -> Option<Arc<RemoteServer>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn group(&self) -> GroupName {
        self.store.group()
    }
}

/// The part that this node has now.
#[derive(Default)]
struct Part {
    has: Option<TrunkServer>,
    pushing: Option<(CancellationToken, TaskTracker)>,
    /// When to try again to take the role.
    again: Option<Instant>,
    /// What was said of why not.
    said: Option<String>,
}

impl Part {
    fn is_due(&self, wanted: TrunkServer) -> bool {
        self.has != Some(wanted)
            && (wanted != TrunkServer::Own || self.again.is_none_or(|at| at <= Instant::now()))
    }

    /// Stops what runs for the part.
    async fn leave(&mut self) {
        if let Some((stop, tasks)) = self.pushing.take() {
            stop.cancel();
            tasks.close();
            tasks.wait().await;
        }
    }

    async fn take(&mut self, shared: &Arc<Shared>, wanted: TrunkServer) {
        let trunk = shared.store.trunk();
        let client: Option<Arc<dyn TrunkClient>> = match wanted {
            TrunkServer::Own => None,
            TrunkServer::Member(at) => Some(shared.meet(at)),
            TrunkServer::Nobody => Some(Arc::new(Absent(Arc::clone(&shared.owed)))),
        };
        if !matches!(wanted, TrunkServer::Member(_)) {
            *shared.remote.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let job = tokio::task::spawn_blocking(move || match client {
            None => trunk.serve(),
            Some(client) => {
                trunk.follow(Some(client));
                Ok(())
            }
        });
        let failure = match job.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Chain(&error).to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            if self.said.as_ref() != Some(&failure) {
                error!(error = %failure, "this node cannot be the trunk server, as the trackers want; small files are files of their own");
            }
            (self.has, self.said) = (None, Some(failure));
            self.again = Some(Instant::now() + AGAIN);
            return;
        }
        match (self.has, wanted) {
            (_, TrunkServer::Member(at)) => info!(trunk_server = %at, "another member is the trunk server"),
            (Some(TrunkServer::Own), TrunkServer::Nobody) => {
                warn!("no leading tracker answers, so this node gives out no slots of trunk files");
            }
            _ => {}
        }
        (self.has, self.again, self.said) = (Some(wanted), None, None);
        if wanted == TrunkServer::Own {
            let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
            tasks.spawn(push::run(Arc::clone(shared), stop.clone()));
            self.pushing = Some((stop, tasks));
        }
    }
}

/// A slot as messages have it.
pub(crate) fn space_of(slot: &Slot) -> TrunkSpace {
    TrunkSpace { path: slot.path, dir: slot.dir, slot: slot.at }
}

/// A slot that a message has.
pub(crate) fn slot_of(space: &TrunkSpace) -> Slot {
    Slot { path: space.path, dir: space.dir, at: space.slot }
}
