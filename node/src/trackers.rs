//! Short questions to the trackers, outside the sessions that the link keeps.
//!
//! Any tracker that answers will do. The leader is asked first, since the others may lag behind it; after it the one
//! that answered last, so that a dead tracker costs one question its patience, not every question.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::HostPort;
use protocol::client::{ClientError, ClientLimits, Pool, TrackerClient};
use protocol::config::server_address::ServerAddress;
use protocol::wire::{Empty, Request, Response};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for one tracker while others may know as well.
const PATIENCE: Duration = Duration::from_secs(5);
/// Idle connections kept to each tracker.
const MAX_IDLE: usize = 2;

/// The trackers of the configuration. Clones share what is known of them.
#[derive(Clone)]
pub(crate) struct Trackers(Arc<Shared>);

struct Shared {
    places: Vec<Place>,
    turn: Mutex<Turn>,
}

struct Place {
    server: ServerAddress,
    client: TrackerClient,
}

#[derive(Default)]
struct Turn {
    leader: Option<usize>,
    answered_last: usize,
    /// Addresses that names of trackers led to, by index.
    met: Vec<(usize, SocketAddr)>,
}

impl Trackers {
    pub(crate) fn new(servers: &[ServerAddress], limits: &ClientLimits) -> Self {
        let pool = Pool::new(ClientLimits { max_idle: MAX_IDLE, ..limits.clone() });
        let place = |server: &ServerAddress| Place {
            server: server.clone(),
            client: TrackerClient::new(server.addresses().cloned().collect(), pool.clone()),
        };
        Self(Arc::new(Shared { places: servers.iter().map(place).collect(), turn: Mutex::default() }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.places.len()
    }

    /// All of them, as configured.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &ServerAddress> {
        self.0.places.iter().map(|place| &place.server)
    }

    /// Notes where a tracker's name led to.
    pub(crate) fn met(&self, server: &ServerAddress, address: SocketAddr) {
        let Some(index) = self.servers().position(|known| known == server) else { return };
        let mut turn = self.turn();
        turn.met.retain(|(known, _)| *known != index);
        turn.met.push((index, address));
    }

    /// The configured tracker that has this address.
    pub(crate) fn find(&self, address: SocketAddr) -> Option<usize> {
        let is_at = |place: &HostPort| place.port == address.port() && place.ip() == Some(address.ip());
        let configured = self.servers().position(|server| server.addresses().any(is_at));
        configured
            .or_else(|| self.turn().met.iter().find(|(_, met)| *met == address).map(|(index, _)| *index))
    }

    /// Who leads, as far as known.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.turn().leader
    }

    /// Sets who leads.
    pub(crate) fn set_leader(&self, leader: Option<usize>) {
        self.turn().leader = leader;
    }

    /// Asks one of them only.
    pub(crate) async fn ask_one<Q: Request, A: Response>(
        &self,
        index: usize,
        request: &Q,
    ) -> Result<A, ClientError> {
        let place = self.0.places.get(index).ok_or(ClientError::NoTracker)?;
        patiently(&place.server, place.client.call(request)).await
    }

    /// Asks one after the other until one answers. If none does, a refusal is told rather than a failure to reach one.
    pub(crate) async fn ask<Q: Request, A: Response>(&self, request: &Q) -> Result<A, ClientError> {
        let mut refusal = None;
        let mut failure = ClientError::NoTracker;
        for index in self.order() {
            match self.ask_one(index, request).await {
                Ok(answer) => {
                    self.turn().answered_last = index;
                    return Ok(answer);
                }
                Err(error) if error.status().is_some() => refusal = refusal.or(Some(error)),
                Err(error) => {
                    // The next question does not wait for it again; a leader that is back says so.
                    let mut turn = self.turn();
                    turn.leader = turn.leader.filter(|leader| *leader != index);
                    failure = error;
                }
            }
        }
        Err(refusal.unwrap_or(failure))
    }

    /// Asks all at once, and gives what each answered.
    pub(crate) async fn ask_each<Q, A>(&self, request: &Q) -> Vec<Result<A, ClientError>>
    where
        Q: Request + Clone + Send + Sync + 'static,
        A: Response + Send + 'static,
    {
        let mut asking = JoinSet::new();
        for place in &self.0.places {
            let (client, server, request) = (place.client.clone(), place.server.clone(), request.clone());
            asking.spawn(async move { patiently(&server, client.call(&request)).await });
        }
        asking.join_all().await
    }

    /// Tells all at once; gives how many accepted it.
    pub(crate) async fn tell_all<Q>(&self, request: &Q) -> usize
    where
        Q: Request + Clone + Send + Sync + 'static,
    {
        self.ask_each::<Q, Empty>(request).await.iter().filter(|answer| answer.is_ok()).count()
    }

    fn order(&self) -> Vec<usize> {
        let turn = self.turn();
        let first = turn.leader.into_iter().chain([turn.answered_last]);
        let mut order: Vec<usize> = Vec::with_capacity(self.count());
        for index in first.chain(0..self.count()) {
            if index < self.count() && !order.contains(&index) {
                order.push(index);
            }
        }
        order
    }

    /// Numeric addresses of all trackers, with the ports.
    pub(crate) fn numeric(&self) -> Vec<(Vec<IpAddr>, u16)> {
        let turn = self.turn();
        let numeric = |(index, server): (usize, &ServerAddress)| {
            let mut ips: Vec<IpAddr> = server.addresses().filter_map(HostPort::ip).collect();
            if ips.is_empty() {
                ips.extend(turn.met.iter().filter(|(known, _)| *known == index).map(|(_, at)| at.ip()));
            }
            (ips, server.port())
        };
        self.servers().enumerate().map(numeric).filter(|(ips, _)| !ips.is_empty()).collect()
    }
}

async fn patiently<A>(
    server: &ServerAddress,
    asking: impl Future<Output = Result<A, ClientError>>,
) -> Result<A, ClientError> {
    let silent = |_| ClientError::Connect {
        address: server.primary.to_string(),
        source: std::io::ErrorKind::TimedOut.into(),
    };
    timeout(PATIENCE, asking).await.map_err(silent)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use protocol::service::{Connection, ConnectionError, NativeService, ServiceLimits};
    use protocol::tracker::ParameterRequest;
    use protocol::{Header, Status};
    use tokio_util::sync::{CancellationToken, DropGuard};

    async fn tracker(says: Result<&'static str, Status>) -> (ServerAddress, DropGuard) {
        let limits = ServiceLimits {
            max_connections: 8,
            network_timeout: Duration::from_secs(10),
            drain_timeout: Duration::ZERO,
        };
        let service = NativeService::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
        let address = service.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serve = move |mut connection: Connection| async move {
            // The client hangs up when it has what it wants.
            let _: Result<(), ConnectionError> = async {
                while let Some(Header { .. }) = connection.next_header(100).await? {
                    connection.request_complete();
                    match says {
                        Ok(text) => connection.send(&Bytes::from(text).to_frame()).await?,
                        Err(status) => connection.send_status(status).await?,
                    }
                }
                Ok(())
            }
            .await;
        };
        tokio::spawn(service.serve(|_| true, stop.clone(), serve));
        (ServerAddress::parse(&address.to_string(), 1).unwrap(), stop.drop_guard())
    }

    fn dead() -> ServerAddress {
        // Port 1 of the loopback has no listener.
        ServerAddress::parse("127.0.0.1:1", 1).unwrap()
    }

    fn all(servers: &[ServerAddress]) -> Trackers {
        Trackers::new(servers, &ClientLimits { connect_retries: 0, ..ClientLimits::default() })
    }

    #[tokio::test]
    async fn the_leader_is_asked_first_and_any_other_when_it_is_gone() {
        let (first, _a) = tracker(Ok("first")).await;
        let (second, _b) = tracker(Ok("second")).await;
        let trackers = all(&[dead(), first, second.clone()]);
        let ask = || trackers.ask::<_, Bytes>(&ParameterRequest);
        assert_eq!(ask().await.unwrap(), "first");
        trackers.set_leader(trackers.find(second.primary.to_string().parse().unwrap()));
        assert_eq!(trackers.leader(), Some(2));
        assert_eq!(ask().await.unwrap(), "second");
        trackers.set_leader(Some(0));
        assert_eq!(ask().await.unwrap(), "second", "the one that answered last comes after the dead leader");
        assert_eq!(trackers.leader(), None, "it is not waited for twice");
        assert_eq!(trackers.find("127.0.0.1:2".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn a_refusal_says_more_than_a_dead_tracker() {
        let (refusing, _a) = tracker(Err(Status::ENOENT)).await;
        let (knowing, _b) = tracker(Ok("known")).await;
        let trackers = all(&[refusing.clone(), dead()]);
        let refused = trackers.ask::<_, Bytes>(&ParameterRequest).await.unwrap_err();
        assert_eq!(refused.status(), Some(Status::ENOENT));
        let trackers = all(&[refusing.clone(), knowing.clone()]);
        assert_eq!(trackers.ask::<_, Bytes>(&ParameterRequest).await.unwrap(), "known");
        let answers = all(&[refusing, dead(), knowing]).ask_each::<_, Bytes>(&ParameterRequest).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(answers.len(), 3);
    }

    #[test]
    fn names_are_found_by_the_address_they_led_to() {
        let named = ServerAddress::parse("tracker.example:22122", 1).unwrap();
        let trackers = all(&[dead(), named.clone()]);
        let address = "127.9.9.9:22122".parse().unwrap();
        assert_eq!(trackers.find(address), None);
        trackers.met(&named, address);
        assert_eq!(trackers.find(address), Some(1));
        assert_eq!(trackers.numeric().len(), 2);
    }
}
