//! Asking members: one after the other, the next one early if one takes long; the first that has the file wins.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::client::{ClientError, Connection};
use protocol::daemon::Chain;
use protocol::storage::ReportServerId;
use protocol::sync::HELLO;
use protocol::tracker::{
    FileName, ListStorages, QueryFetchAll, ServerListAnswer, StorageList, StorageRecord,
};
use protocol::wire::{Request, Response, frame};
use protocol::{Command, FileId, GroupName, Status};
use tokio::time::{Instant, sleep_until, timeout};

use super::plan::Plan;
use super::{Miss, Shared};
use crate::peers::is_tombstone;

/// A member that has not answered by then gets company.
const HEAD_START: Duration = Duration::from_millis(200);
/// Longest wait for a member that did not answer just now, or is said to be out of service.
const DOUBTFUL_PATIENCE: Duration = Duration::from_secs(1);
/// Longest wait for the trackers: one may hang before another answers.
const TRACKER_PATIENCE: Duration = Duration::from_secs(11);
/// Longest answer to a hello.
const MAX_HELLO: u64 = 64;

/// What came of one question.
enum Heard<T> {
    /// Members that a tracker names, or that no tracker could be asked.
    Named(Result<Vec<SocketAddr>, ()>),
    Member(SocketAddr, Result<T, ClientError>),
}

type Question<'a, T> = Pin<Box<dyn Future<Output = Heard<T>> + Send + 'a>>;

/// Where the asking stands.
pub(super) struct Round<'a, T> {
    shared: &'a Shared,
    id: &'a FileId,
    /// Longest wait for one member.
    patience: Duration,
    plan: Plan,
    queue: VecDeque<SocketAddr>,
    asked: Vec<SocketAddr>,
    started: Vec<(SocketAddr, Instant)>,
    answered: Vec<SocketAddr>,
    /// Members out of service that are asked all the same.
    away: Vec<SocketAddr>,
    running: FuturesUnordered<Question<'a, T>>,
    /// Members, or the trackers, that gave no usable answer.
    failed: Vec<SocketAddr>,
    no_tracker: bool,
    said_no: Vec<SocketAddr>,
    refusal: Option<Status>,
}

impl<'a, T: Send + 'a> Round<'a, T> {
    /// `skip` are members that failed already.
    pub(super) fn new(
        shared: &'a Shared,
        id: &'a FileId,
        patience: Duration,
        mut plan: Plan,
        skip: &[SocketAddr],
    ) -> Self {
        let queue = std::mem::take(&mut plan.first).into();
        Self {
            shared,
            id,
            patience,
            plan,
            queue,
            asked: skip.to_vec(),
            started: Vec::new(),
            answered: Vec::new(),
            away: Vec::new(),
            running: FuturesUnordered::new(),
            failed: skip.to_vec(),
            no_tracker: false,
            said_no: Vec::new(),
            refusal: None,
        }
    }

    /// Asks until one has it, or all were asked. `ask` is one question over a connection; if it says no, the connection
    /// was given back.
    pub(super) async fn first<F, Fut>(mut self, ask: F) -> Result<(SocketAddr, T), Miss>
    where
        F: Fn(Connection) -> Fut + Clone + Send + Sync + 'a,
        Fut: Future<Output = Result<T, ClientError>> + Send + 'a,
    {
        loop {
            let more = self.ask_next(&ask);
            if self.running.is_empty() {
                // Slaves can be with any member, so nobody but all of them settles that there is none.
                if self.source_said_no() || !self.ask_last() {
                    return Err(self.verdict());
                }
                continue;
            }
            let company = Instant::now() + HEAD_START;
            let heard = tokio::select! {
                biased;
                heard = self.running.next() => heard,
                () = sleep_until(company), if more => None,
            };
            match heard {
                None => {}
                Some(Heard::Named(Ok(named))) => self.queue.extend(named),
                Some(Heard::Named(Err(()))) => self.no_tracker = true,
                Some(Heard::Member(at, Ok(found))) => {
                    self.shared.silent.forget(at);
                    self.outrun(at);
                    return Ok((at, found));
                }
                Some(Heard::Member(at, Err(error))) => self.hear_no(at, &error),
            }
        }
    }

    /// Asks the next one; whether there may be more.
    fn ask_next<F, Fut>(&mut self, ask: &F) -> bool
    where
        F: Fn(Connection) -> Fut + Clone + Send + Sync + 'a,
        Fut: Future<Output = Result<T, ClientError>> + Send + 'a,
    {
        loop {
            while let Some(at) = self.queue.pop_front() {
                if self.asked.contains(&at) || self.shared.standpoint.is_own(at) {
                    continue;
                }
                self.asked.push(at);
                self.started.push((at, Instant::now()));
                let (shared, ask) = (self.shared, ask.clone());
                let is_doubtful = shared.silent.contains(at) || self.away.contains(&at);
                let patience = if is_doubtful { self.patience.min(DOUBTFUL_PATIENCE) } else { self.patience };
                self.running.push(Box::pin(async move {
                    Heard::Member(at, shared.ask_member(at, patience, ask).await)
                }));
                return self.has_more();
            }
            if std::mem::take(&mut self.plan.ask_tracker) {
                let (shared, id) = (self.shared, self.id);
                self.running.push(Box::pin(async move { Heard::Named(shared.ask_tracker(id).await) }));
                return self.has_more();
            }
            if !self.plan.rest.is_empty() {
                self.queue = std::mem::take(&mut self.plan.rest).into();
                continue;
            }
            return false;
        }
    }

    fn has_more(&self) -> bool {
        self.plan.ask_tracker || !self.queue.is_empty() || !self.plan.rest.is_empty()
    }

    /// When all others have spoken: who may be back, and who else may be there. Whether there is anybody.
    fn ask_last(&mut self) -> bool {
        if !self.plan.last.is_empty() {
            self.away = std::mem::take(&mut self.plan.last);
            self.queue.extend(&self.away);
            return true;
        }
        let ask = std::mem::take(&mut self.plan.ask_list);
        if ask {
            let (shared, group) = (self.shared, self.id.group);
            self.running.push(Box::pin(async move { Heard::Named(shared.ask_list(group).await) }));
        }
        ask
    }

    /// Notes who was asked in good time before `winner` answered, and has not.
    fn outrun(&self, winner: SocketAddr) {
        let answered =
            |at: &SocketAddr| *at == winner || self.said_no.contains(at) || self.failed.contains(at);
        for (at, since) in self.started.iter().filter(|(at, _)| !answered(at)) {
            if since.elapsed() >= HEAD_START && self.shared.silent.note(*at) {
                tracing::warn!(member = %at, "a member is slow to answer about a missing file, others are asked first");
            }
        }
    }

    fn hear_no(&mut self, at: SocketAddr, error: &ClientError) {
        self.answered.push(at);
        match error.status() {
            Some(Status::ENOENT) => {
                self.shared.silent.forget(at);
                self.said_no.push(at);
            }
            status => {
                match status {
                    Some(status) => self.refusal = Some(status),
                    None if self.shared.silent.note(at) => {
                        tracing::warn!(member = %at, error = %Chain(error), "a member that may have a missing file does not answer");
                    }
                    None => {}
                }
                tracing::debug!(id = %self.id, %at, error = %Chain(error), "no answer about a missing file");
                if !self.away.contains(&at) {
                    self.failed.push(at);
                }
            }
        }
    }

    /// Whether the member that made the file does not have it: then it is deleted.
    fn source_said_no(&self) -> bool {
        self.plan.source.is_some_and(|source| self.said_no.contains(&source))
            || self.plan.is_own && self.shared.standpoint.is_settled(self.id.group)
    }

    /// Nobody has it, or those that may have it do not answer.
    fn verdict(&self) -> Miss {
        let is_old = || self.shared.is_old(self.id);
        let all_answered = self.failed.is_empty() && !self.no_tracker;
        // A file that is older than the cluster's longest delay is with all, so those who answered speak for the rest.
        let others_speak = !self.said_no.is_empty() && is_old();
        if self.source_said_no() || all_answered || others_speak {
            return Miss::Nowhere;
        }
        self.refusal.map_or(Miss::Unreachable, Miss::Refused)
    }
}

impl Shared {
    /// One question to one member. A kept connection may have ended just now; then a new one is tried.
    pub(super) async fn ask_member<T, F, Fut>(
        &self,
        at: SocketAddr,
        patience: Duration,
        ask: F,
    ) -> Result<T, ClientError>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let asking = async {
            if let Some(kept) = self.pool.take_idle(at) {
                match ask(kept).await {
                    Err(ClientError::Broken { .. }) => {}
                    outcome => return outcome,
                }
            }
            ask(self.open(at).await?).await
        };
        let silent =
            |_| ClientError::Connect { address: at.to_string(), source: std::io::ErrorKind::TimedOut.into() };
        timeout(patience, asking).await.map_err(silent)?
    }

    /// A connection on which the other side answers from its own disk only, since it knows that a member asks.
    async fn open(&self, at: SocketAddr) -> Result<Connection, ClientError> {
        let mut connection = Connection::open(at, self.pool.limits()).await?;
        let own = self.standpoint.id().ok_or(ClientError::NoTracker)?;
        let hello: BytesMut =
            frame(Command::REPORT_SERVER_ID, HELLO, |out| ReportServerId(own).encode_body(out));
        connection.send(Command::REPORT_SERVER_ID, &hello).await?;
        connection.answer(Command::REPORT_SERVER_ID, MAX_HELLO).await?;
        Ok(connection)
    }

    /// Members that a tracker names for a file. A tracker that refuses knows of none.
    async fn ask_tracker(&self, id: &FileId) -> Result<Vec<SocketAddr>, ()> {
        let Ok(name) = FileName::new(id.name.as_str().as_bytes()) else { return Ok(Vec::new()) };
        let answer =
            self.ask_trackers::<_, ServerListAnswer>(&QueryFetchAll { group: id.group, name }).await?;
        let servers = answer.into_iter().flat_map(|answer| answer.servers);
        Ok(servers.map(|server| SocketAddr::new(server.ip, server.port)).collect())
    }

    /// All members of a group that are not gone for good.
    async fn ask_list(&self, group: GroupName) -> Result<Vec<SocketAddr>, ()> {
        let answer = self.ask_trackers::<_, StorageList>(&ListStorages { group, id: None }).await?;
        let members = answer.into_iter().flat_map(|list| list.storages);
        let members = members.filter(|member| !is_tombstone(member.status));
        let address =
            |member: StorageRecord| Some(SocketAddr::new(member.ip?, u16::try_from(member.port).ok()?));
        Ok(members.filter_map(address).collect())
    }

    /// `None` if the trackers refuse.
    async fn ask_trackers<Q: Request, A: Response>(&self, request: &Q) -> Result<Option<A>, ()> {
        match timeout(TRACKER_PATIENCE, self.trackers.ask(request)).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) if error.status().is_some() => Ok(None),
            Ok(Err(error)) => {
                tracing::debug!(error = %Chain(&error), "no tracker says who has a missing file");
                Err(())
            }
            Err(_) => Err(()),
        }
    }
}
