//! Does on the network what the election wants: asks, proposes, pings. Every question comes back as an event, after two
//! seconds at most per address of a peer that says nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::client::{ClientError, ClientLimits, Connection};
use protocol::peers::{
    CommitNextLeader, JoinLeader, LeaderClaim, NotifyNextLeader, PingLeader, ReselectLeader,
    TrackerGetStatus, TrunkServers,
};
use protocol::service::ConnectionCounts;
use protocol::tracker::Connections;
use protocol::wire::{Empty, Request, Response};
use protocol::{HostPort, Status};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::election::{Claim, Effect, Event, Ping, Vote};
use super::set::TrackerSet;
use super::step;
use crate::app::{Shared, VERSION};

/// Longest wait for a connection, and longest silence of a peer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between the same words in the log.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// Longest answer: 512 groups of 32 bytes.
const MAX_ANSWER: u64 = 16 * 1024;

/// Runs the election until `stop` is cancelled.
pub(crate) async fn run(shared: Arc<Shared>, counts: Vec<Arc<ConnectionCounts>>, stop: CancellationToken) {
    let queue = shared.peers.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let Some(mut queue) = queue else { return };
    let driver = Arc::new(Driver { shared, counts, leader: Mutex::new(None), demoted: Mutex::new(None) });
    let mut tasks = JoinSet::new();
    loop {
        let deadline = driver.shared.peers.deadline();
        let tick = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            () = stop.cancelled() => return,
            () = driver.shared.peers.bell.notified() => continue,
            Some(effect) = queue.recv() => {
                let driver = Arc::clone(&driver);
                tasks.spawn(async move { driver.perform(effect).await });
                continue;
            }
            Some(done) = tasks.join_next() => match done {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(error) => {
                    error!(%error, "a question to another tracker failed inside");
                    continue;
                }
            },
            () = tick => Event::Tick,
        };
        step(&driver.shared, |election, now, random| ((), election.handle(event, now, random)));
    }
}

struct Driver {
    shared: Arc<Shared>,
    counts: Vec<Arc<ConnectionCounts>>,
    /// The connection to the leader, where this tracker follows.
    leader: Mutex<Option<Link>>,
    /// Who was asked to step down last, and when that was said.
    demoted: Mutex<Option<(SocketAddr, Instant)>>,
}

/// A follower's connection, after it introduced itself.
struct Link {
    leader: SocketAddr,
    connection: Connection,
    /// Whether the leader heard the introduction. If it refused that, it is only asked whether it leads.
    introduced: Introduced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Introduced {
    Yes,
    Refused,
}

/// What a peer said.
enum Said<A> {
    Answer(A),
    Refused(Status),
    Nothing,
}

impl Driver {
    async fn perform(self: Arc<Self>, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Ask { round, whom } => Some(self.ask_all(round, whom).await),
            Effect::Propose { round, whom } => {
                let own = self.own()?;
                Some(self.vote(round, whom, NotifyNextLeader(own)).await)
            }
            Effect::Commit { round, whom } => {
                let own = self.own()?;
                Some(self.vote(round, whom, CommitNextLeader(own)).await)
            }
            Effect::Ping { round, leader } => Some(Event::Pinged { round, outcome: self.ping(leader).await }),
            Effect::Demote(leader) => {
                self.say_demoted(leader).await;
                self.ask::<_, Empty>(leader, &ReselectLeader).await;
                None
            }
            // Done where it was decided.
            Effect::Lead(..) => None,
        }
    }

    /// Says it once a minute: it is asked every two seconds while it does not obey.
    async fn say_demoted(&self, leader: SocketAddr) {
        let mut demoted = self.demoted.lock().await;
        if demoted.is_none_or(|(who, at)| who != leader || at.elapsed() > SAID_AGAIN) {
            warn!(tracker = %leader, "it leads as well, asking it to step down");
            *demoted = Some((leader, Instant::now()));
        }
    }

    fn own(&self) -> Option<HostPort> {
        self.shared.peers.inner().set.own().map(HostPort::from)
    }

    async fn ask_all(self: &Arc<Self>, round: u64, whom: Vec<SocketAddr>) -> Event {
        let (mut claims, mut others) = (Vec::new(), Vec::new());
        for (who, said) in self.each(whom, TrackerGetStatus).await {
            match said {
                Said::Answer(claim) => claims.push((who, read(claim))),
                Said::Refused(_) => others.push(who),
                Said::Nothing => {}
            }
        }
        Event::Claims { round, claims, others }
    }

    async fn vote<Q>(self: &Arc<Self>, round: u64, whom: Vec<SocketAddr>, request: Q) -> Event
    where
        Q: Request + Clone + Send + Sync + 'static,
    {
        let (mut vote, mut agreed) = (Vote::Agreed, Vec::new());
        for (who, said) in self.each::<Q, Empty>(whom, request).await {
            match said {
                Said::Answer(Empty) => agreed.push(who),
                // No storage has told it of this tracker yet. It will find the leader when one does.
                Said::Refused(Status::ENOENT) | Said::Nothing => {}
                Said::Refused(status) => {
                    debug!(tracker = %who, %status, "it does not agree to this tracker as the leader");
                    vote = Vote::Refused;
                }
            }
        }
        Event::Voted { round, vote, agreed }
    }

    /// Asks all at once.
    async fn each<Q, A>(self: &Arc<Self>, whom: Vec<SocketAddr>, request: Q) -> Vec<(SocketAddr, Said<A>)>
    where
        Q: Request + Clone + Send + Sync + 'static,
        A: Response + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for who in whom {
            let (driver, request) = (Arc::clone(self), request.clone());
            tasks.spawn(async move { (who, driver.ask::<Q, A>(who, &request).await) });
        }
        tasks.join_all().await
    }

    async fn ask<Q: Request, A: Response>(&self, who: SocketAddr, request: &Q) -> Said<A> {
        let answer = async {
            let mut connection = self.connect(who).await?;
            exchange(&mut connection, request).await
        };
        match answer.await {
            Ok(answer) => Said::Answer(answer),
            Err(ClientError::Refused { status, .. }) => Said::Refused(status),
            Err(error) => {
                debug!(tracker = %who, %error, "no answer");
                Said::Nothing
            }
        }
    }

    async fn connect(&self, who: SocketAddr) -> Result<Connection, ClientError> {
        let set = self.shared.peers.inner().set.clone();
        connect(&set, who).await
    }

    async fn ping(&self, leader: SocketAddr) -> Ping {
        let mut link = self.leader.lock().await;
        if link.as_ref().is_some_and(|link| link.leader != leader) {
            *link = None;
        }
        match self.ping_on(&mut link, leader).await {
            Ok(outcome) => outcome,
            Err(error) => {
                *link = None;
                match error.status() {
                    Some(Status::EOPNOTSUPP) => Ping::LeadsNot,
                    _ => {
                        debug!(%leader, %error, "no answer from the leader");
                        Ping::Silent
                    }
                }
            }
        }
    }

    async fn ping_on(&self, link: &mut Option<Link>, leader: SocketAddr) -> Result<Ping, ClientError> {
        let link = match link {
            Some(link) => link,
            None => link.insert(self.introduce(leader).await?),
        };
        if link.introduced == Introduced::Refused {
            let claim: LeaderClaim = exchange(&mut link.connection, &TrackerGetStatus).await?;
            return Ok(if read(claim).is_leader { Ping::Leads } else { Ping::LeadsNot });
        }
        let sum = |count: fn(&ConnectionCounts) -> i32| self.counts.iter().map(|it| count(it)).sum();
        let connections = Connections {
            alloc: sum(ConnectionCounts::max),
            current: sum(ConnectionCounts::current),
            max: sum(ConnectionCounts::max),
        };
        let TrunkServers(servers) = exchange(&mut link.connection, &PingLeader(connections)).await?;
        if !servers.is_empty() {
            let mut state = self.shared.state();
            for (group, server) in servers {
                state.set_trunk_server(group, server);
            }
        }
        Ok(Ping::Leads)
    }

    async fn introduce(&self, leader: SocketAddr) -> Result<Link, ClientError> {
        let mut connection = self.connect(leader).await?;
        let port = self.own().map_or(leader.port(), |own| own.port);
        let join = JoinLeader { up_time: self.shared.up_time(), version: VERSION.to_owned(), port };
        let introduced = match exchange::<_, Empty>(&mut connection, &join).await {
            Ok(Empty) => Introduced::Yes,
            Err(error) if error.status() == Some(Status::ENOENT) => {
                warn!(
                    %leader, from = ?connection.local_addr().ok(),
                    "the leader does not know this tracker by the address it calls from; set bind_addr to the one that \
                     storages have in tracker_server"
                );
                Introduced::Refused
            }
            Err(error) => return Err(error),
        };
        Ok(Link { leader, connection, introduced })
    }
}

/// Connects to another tracker, from the address that storages know this one by: the leader looks for that.
pub(super) async fn connect(set: &TrackerSet, who: SocketAddr) -> Result<Connection, ClientError> {
    let mut failed = ClientError::NoTracker;
    for address in set.addresses(who) {
        match connect_to(address, set.own_local()).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Connects to a tracker or a storage, without patience, from this address.
pub(crate) async fn connect_to(at: SocketAddr, from: Option<IpAddr>) -> Result<Connection, ClientError> {
    let limits = ClientLimits {
        connect_timeout: TIMEOUT,
        network_timeout: TIMEOUT,
        connect_retries: 0,
        bind: from,
        ..ClientLimits::default()
    };
    Connection::open(at, &limits).await
}

/// One request and its answer.
pub(crate) async fn exchange<Q: Request, A: Response>(
    connection: &mut Connection,
    request: &Q,
) -> Result<A, ClientError> {
    connection.send(Q::COMMAND, &request.to_frame()).await?;
    let body = connection.answer(Q::COMMAND, MAX_ANSWER).await?;
    let address = connection.address();
    A::decode_body(&body).map_err(|source| ClientError::Answer { address, command: Q::COMMAND, source })
}

/// A claim as it came.
pub(super) fn read(claim: LeaderClaim) -> Claim {
    let LeaderClaim { is_leader, running_time, restart_interval } = claim;
    Claim { is_leader: is_leader != 0, running_time, restart_interval }
}
