//! Other trackers: who they are, who leads, and copies of each other's files.
//!
//! The set of trackers comes from storages, which name all of them when they join. [`election`] decides; what it wants
//! done on the network goes to [`driver`] through a queue, since other trackers' questions are answered without waiting.

pub(crate) mod driver;
pub(crate) mod election;
pub(crate) mod last_run;
pub(crate) mod pull;
pub(crate) mod serve;
mod set;
pub(crate) mod tell;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::Status;
use protocol::address::AddressKind;
use protocol::cluster::Join;
use protocol::tracker::TrackerStatistics;
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};
use tracing::info;

use crate::app::Shared;
use crate::state::{Leadership, Peer, Session};
use election::{Effect, Election, Event, Millis};
use last_run::LastRun;
use set::TrackerSet;

/// One for each tracker that a cluster can have.
const MAX_COPIES: usize = 16;

/// What this tracker knows of the others.
pub(crate) struct Peers {
    inner: Mutex<Inner>,
    started: Instant,
    effects: mpsc::UnboundedSender<Effect>,
    /// For the driver, once.
    queue: Mutex<Option<mpsc::UnboundedReceiver<Effect>>>,
    /// Rung when the election's deadline may have changed.
    bell: Notify,
    /// The run before this one.
    pub(crate) last_run: LastRun,
    /// Set once this tracker has looked whether another one knows better.
    pulled: OnceCell<()>,
    /// Copies of the files that other trackers may hold at once.
    copies: Arc<Semaphore>,
}

struct Inner {
    set: TrackerSet,
    election: Election,
    /// Trackers that ping this one, by the number of their connection.
    followers: BTreeMap<u64, TrackerStatistics>,
}

impl Peers {
    /// Before any storage has joined.
    pub(crate) fn new(up_time: i64, last_run: LastRun) -> Self {
        let (effects, queue) = mpsc::unbounded_channel();
        let election = Election::new(last_run.gap(up_time));
        Self {
            inner: Mutex::new(Inner { set: TrackerSet::default(), election, followers: BTreeMap::new() }),
            started: Instant::now(),
            effects,
            queue: Mutex::new(Some(queue)),
            bell: Notify::new(),
            last_run,
            pulled: OnceCell::new(),
            copies: Arc::new(Semaphore::new(MAX_COPIES)),
        }
    }

    /// Taken before the state's lock, never inside it.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// When the election wants a tick.
    fn deadline(&self) -> Option<Instant> {
        self.inner().election.deadline().map(|at| self.started + Duration::from_millis(at))
    }

    /// This tracker and the others, as storages know them; nobody before one has joined.
    pub(crate) fn known(&self) -> (Option<SocketAddr>, Vec<SocketAddr>) {
        let inner = self.inner();
        (inner.set.own(), inner.set.others())
    }

    /// The address by which storages and other trackers know this one.
    pub(crate) fn own_address(&self) -> Option<IpAddr> {
        self.inner().set.own_local()
    }

    /// Trackers that follow this one.
    pub(crate) fn followers(&self) -> Vec<TrackerStatistics> {
        self.inner().followers.values().cloned().collect()
    }

    /// A connection ended; it may have been a follower's.
    pub(crate) fn disconnected(&self, session: &Session) {
        self.inner().followers.remove(&session.peer.connection);
    }
}

/// Lets the election take a step: what it decides about the leader holds when this returns, the rest is queued.
fn step<R>(shared: &Shared, take: impl FnOnce(&mut Election, Millis, u64) -> (R, Vec<Effect>)) -> R {
    let peers = &shared.peers;
    let mut inner = peers.inner();
    let result = apply(shared, &mut inner, take);
    drop(inner);
    peers.bell.notify_one();
    result
}

fn apply<R>(
    shared: &Shared,
    inner: &mut Inner,
    take: impl FnOnce(&mut Election, Millis, u64) -> (R, Vec<Effect>),
) -> R {
    let (result, effects) = take(&mut inner.election, shared.peers.now(), fastrand::u64(..));
    for effect in effects {
        if let Effect::Lead(leadership, why) = effect {
            say(leadership, why);
            if leadership != Leadership::Own {
                inner.followers.clear();
            }
            shared.state().set_leadership(leadership);
        } else if peers_gone(&shared.peers, effect) {
            break;
        }
    }
    result
}

/// Queues an effect; whether nobody takes them any more, since the tracker stops.
fn peers_gone(peers: &Peers, effect: Effect) -> bool {
    peers.effects.send(effect).is_err()
}

fn say(leadership: Leadership, why: &'static str) {
    match leadership {
        Leadership::Own => info!(why, "this tracker leads"),
        Leadership::Other(leader) => info!(%leader, why, "another tracker leads"),
        Leadership::Unknown => info!(why, "no tracker leads, looking for one"),
    }
}

/// The addresses by which a joining storage reaches this tracker.
fn called(session: &Session, join: &Join) -> Vec<SocketAddr> {
    let local = session.peer.local;
    let claimed = join.tracker_ip.map(|ip| SocketAddr::new(ip, local.port()));
    [Some(local), claimed].into_iter().flatten().collect()
}

/// Whether a joining storage's list of trackers can be taken in.
pub(crate) fn check(shared: &Shared, session: &Session, join: &Join) -> Result<(), Status> {
    shared.peers.inner().set.with(&called(session, join), &join.trackers).map(|_| ())
}

/// A storage has joined and told which trackers there are.
pub(crate) fn heard(shared: &Shared, session: &Session, join: &Join) -> Result<(), Status> {
    let mut inner = shared.peers.inner();
    let set = inner.set.with(&called(session, join), &join.trackers)?;
    if set == inner.set {
        return Ok(());
    }
    let (own, others) = (set.own().ok_or(Status::ENOENT)?, set.others());
    let is_first = inner.set.own().is_none();
    if !others.is_empty() {
        info!(%own, others = ?others, "trackers of this cluster, as storages know them");
    }
    inner.set = set;
    if is_first && !others.is_empty() {
        shared.state().set_leadership(Leadership::Unknown);
    }
    apply(shared, &mut inner, |election, now, random| {
        ((), election.handle(Event::Trackers { own, others }, now, random))
    });
    drop(inner);
    shared.peers.bell.notify_one();
    Ok(())
}

/// The leader's address for a client: of two, the one in the client's kind of network.
pub(crate) fn leader(shared: &Shared, client: &Peer) -> Option<SocketAddr> {
    let set = shared.peers.inner().set.clone();
    let state = shared.state();
    match state.leadership() {
        // After a restart the others are unknown until a storage joins, and one of them may lead.
        Leadership::Own if set.own().is_some() || state.groups().is_empty() => Some(client.local),
        Leadership::Own | Leadership::Unknown => None,
        Leadership::Other(leader) => {
            let fits = |it: &SocketAddr| AddressKind::of(it.ip()) == AddressKind::of(client.ip());
            Some(set.addresses(leader).into_iter().find(fits).unwrap_or(leader))
        }
    }
}
