//! Trackers that note what they are asked, and tell the group as a test has it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::cluster::{Brief, CheckSync, StorageStats, StorageStatus};
use protocol::tracker::{StorageList, StorageRecord};
use protocol::wire::{Request, Response};
use protocol::{AddressWidth, Command, Status, StorageId};

use crate::fake_tracker::{Cluster, FakeTracker};
use crate::running::Running;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer that a test gives in place of the usual one.
pub(crate) type Answer = Option<Result<BytesMut, Status>>;

/// A request with its body.
type Asked = (Command, Vec<u8>);

/// What a tracker was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Asked>>>);

impl Notes {
    fn list(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        self.list().iter().map(|(command, _)| *command).collect()
    }

    pub(crate) fn count(&self, command: Command) -> usize {
        self.list().iter().filter(|(asked, _)| *asked == command).count()
    }

    /// The requests of one kind, which all have to be whole.
    pub(crate) fn all<Q: Request>(&self) -> Vec<Q> {
        let list = self.list();
        let bodies = list.iter().filter(|(asked, _)| *asked == Q::COMMAND).map(|(_, body)| body);
        bodies.map(|body| Q::decode_body(body).expect("a node sends whole requests")).collect()
    }

    /// Waits for so many requests of one kind.
    pub(crate) async fn wait(&self, command: Command, count: usize) {
        let start = Instant::now();
        while self.count(command) < count {
            assert!(
                start.elapsed() < PATIENCE,
                "{command} was not asked {count} times: {:?}",
                self.commands()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The group as a leading tracker lists it; the test changes it.
#[derive(Clone, Default)]
pub(crate) struct List {
    told: Arc<Mutex<Vec<Brief>>>,
    /// What is said to those who ask.
    asked: Arc<Mutex<Option<Vec<Brief>>>>,
}

impl List {
    pub(crate) fn set(&self, members: &[(&str, StorageStatus)]) {
        let brief = |(id, status): &(&str, StorageStatus)| Brief {
            status: *status,
            port: 23000,
            id: StorageId::parse(id).ok(),
            ip: id.parse().ok(),
        };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = members.iter().map(brief).collect();
    }

    /// Answers to beats and reports have no list any more; who asks for one gets that.
    pub(crate) fn only_when_asked(&self, members: &[(&str, StorageStatus)]) {
        self.set(members);
        let members = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(members);
    }

    /// What the leader answers to beats and reports.
    pub(crate) fn told_by(&self, leader: SocketAddr) -> CheckSync {
        let members = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let leader =
            Brief { status: StorageStatus::INIT, port: leader.port(), id: None, ip: Some(leader.ip()) };
        CheckSync {
            leader: Some(leader),
            trunk_server: None,
            members: (!members.is_empty()).then_some(members),
        }
    }

    /// The leader's answers: its own address, and the list with every beat.
    pub(crate) fn leads(&self, leader: SocketAddr, command: Command) -> Answer {
        match command {
            Command::STORAGE_BEAT | Command::SYNC_REPORT => Some(Ok(self.told_by(leader).to_frame())),
            Command::GET_LEADER => Some(Ok(bytes::Bytes::from(leader.to_string()).to_frame())),
            Command::LIST_STORAGES => {
                let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
                let storages = asked.iter().map(record).collect();
                Some(Ok(StorageList { storages, width: AddressWidth::V4 }.to_frame()))
            }
            Command::REPLICA_CHG => Some(Ok(protocol::wire::Empty.to_frame())),
            _ => None,
        }
    }
}

/// A member as command 92 describes it; zero what nobody looks at.
fn record(brief: &Brief) -> StorageRecord {
    StorageRecord {
        status: brief.status,
        rw_mode: 6,
        id: brief.id.expect("a member has an id"),
        ip: brief.ip,
        source: None,
        version: "6.16.1".to_owned(),
        join_time: 0,
        up_time: 0,
        total_mb: 0,
        free_mb: 0,
        reserved_mb: 0,
        upload_priority: 0,
        store_path_count: 1,
        subdir_count: 16,
        current_write_path: 0,
        port: brief.port.into(),
        stats: StorageStats::default(),
        is_trunk_server: 0,
    }
}

/// A tracker that notes, and answers what the test says, else the usual.
pub(crate) async fn tracker(
    address: SocketAddr,
    cluster: Cluster,
    habit: impl Fn(Command, &[u8]) -> Answer + Send + Sync + 'static,
) -> (FakeTracker, Notes) {
    let notes = Notes::default();
    let heard = notes.clone();
    let habit = Arc::new(move |command, body: &[u8]| {
        heard.list().push((command, body.to_vec()));
        habit(command, body)
    });
    (FakeTracker::start_with(address, cluster, habit).await, notes)
}

/// Waits until `/readyz` answers with this status, and says this.
pub(crate) async fn wait_ready(node: &Running, status: &str, says: &str) {
    let start = Instant::now();
    loop {
        let answer = node.http("GET /readyz HTTP/1.0\r\n\r\n").await;
        if answer.lines().next().unwrap_or_default().contains(status) && answer.contains(says) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the state of membership says this.
pub(crate) async fn wait_flag(node: &Running, says: &str) {
    wait_file(&node.data().join(".data_init_flag"), says).await;
}

/// Waits until a state file says this.
pub(crate) async fn wait_file(path: &Path, says: &str) {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.contains(says) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{}: {text}", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
