//! A node in a group whose members a test lists, with a tracker that says who fills whom.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::cluster::{ReportStatus, StorageStatus, SyncSource, SyncSourceAnswer};
use protocol::file_id::FileExt;
use protocol::storage::{Append, CreateLink, FileCreated, MetadataMode, Modify, UploadAppender, UploadHead};
use protocol::wire::{Empty, Response};
use protocol::{Command, FileId, LogicName, StorageId};

use crate::address::fresh;
use crate::fake_tracker::FakeTracker;
use crate::noting::{List, Notes, PATIENCE, tracker};
use crate::running::{Running, plain_cluster};
use crate::taker::Taker;

/// The node and its tracker.
pub(crate) struct Sending {
    pub(crate) node: Running,
    pub(crate) notes: Notes,
    list: List,
    source: Arc<Mutex<Option<SyncSource>>>,
    _tracker: FakeTracker,
}

impl Sending {
    /// Alone in its group.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same, with more in its configuration.
    pub(crate) async fn start_with(more: &str) -> Self {
        let (at, ip) = (SocketAddr::new(fresh(), 22122), fresh());
        let (list, source) = (List::default(), Arc::new(Mutex::new(None)));
        let (told, named) = (list.clone(), Arc::clone(&source));
        let (tracker, notes) = tracker(at, plain_cluster(), move |command, _| match command {
            Command::SYNC_SRC_REQ => {
                let named = *named.lock().unwrap_or_else(PoisonError::into_inner);
                Some(Ok(SyncSourceAnswer(named).to_frame()))
            }
            Command::REPORT_STATUS => Some(Ok(Empty.to_frame())),
            _ => told.leads(at, command),
        })
        .await;
        list.set(&[(&ip.to_string(), StorageStatus::ACTIVE)]);
        let node = Running::start_with(ip, at, more).await;
        node.wait_active().await;
        Self { node, notes, list, source, _tracker: tracker }
    }

    /// From the next beat on these are the others.
    pub(crate) fn members(&self, others: &[(IpAddr, StorageStatus)]) {
        self.all(others, |all| self.list.set(all));
    }

    /// From the next beat on nothing is told; who asks hears that these are the others.
    pub(crate) fn members_when_asked(&self, others: &[(IpAddr, StorageStatus)]) {
        self.all(others, |all| self.list.only_when_asked(all));
    }

    fn all(&self, others: &[(IpAddr, StorageStatus)], take: impl FnOnce(&[(&str, StorageStatus)])) {
        let others = others.iter().map(|(ip, status)| (ip.to_string(), *status));
        let all: Vec<_> = others.chain([(self.node.ip.to_string(), StorageStatus::ACTIVE)]).collect();
        let all: Vec<_> = all.iter().map(|(id, status)| (id.as_str(), *status)).collect();
        take(&all);
    }

    /// From the next beat on there is this member in service.
    pub(crate) fn joined(&self, taker: &Taker) {
        self.members(&[(taker.ip, StorageStatus::ACTIVE)]);
    }

    /// What trackers say of who fills new members.
    pub(crate) fn fed_by(&self, source: IpAddr, until: i64) {
        let source = StorageId::parse(&source.to_string()).ok();
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(SyncSource { source, until });
    }

    /// What the node told of its peers' states (76).
    pub(crate) fn reported(&self) -> Vec<StorageStatus> {
        self.notes.all::<ReportStatus>().iter().map(|report| report.storage.status).collect()
    }

    /// Stops, changes the binlog's lines, and gives what it was before.
    pub(crate) async fn rewrite(&mut self, change: impl FnOnce(Vec<String>) -> Vec<String>) {
        self.node.stop().await;
        let lines = change(self.node.binlog().lines().map(str::to_owned).collect());
        let path = self.node.data().join("sync/binlog.000");
        fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .expect("the node has stopped");
    }

    fn state_file(&self, peer: IpAddr, suffix: &str) -> PathBuf {
        self.node.data().join(format!("sync/{peer}_23000.{suffix}"))
    }

    /// The mark of a peer.
    pub(crate) fn mark_path(&self, peer: IpAddr) -> PathBuf {
        self.state_file(peer, "mark")
    }

    /// The mark's text; empty if there is none.
    pub(crate) fn mark(&self, peer: IpAddr) -> String {
        fs::read_to_string(self.mark_path(peer)).unwrap_or_default()
    }

    /// The list of records that a peer refused; empty if there is none.
    pub(crate) fn dead_letters(&self, peer: IpAddr) -> String {
        fs::read_to_string(self.state_file(peer, "dead")).unwrap_or_default()
    }

    /// Waits until the mark of a peer is at the binlog's end.
    pub(crate) async fn wait_in_step(&self, peer: IpAddr) {
        let what = || format!("{} of {}", self.mark(peer), self.node.binlog().len());
        let end = || format!("binlog_index=0\nbinlog_offset={}\n", self.node.binlog().len());
        wait(|| self.mark(peer).starts_with(&end()), what).await;
    }

    /// Uploads an appender file.
    pub(crate) async fn appender(&self, mut content: &[u8]) -> FileId {
        let ext = FileExt::parse("log").expect("the test's own extension");
        let head = UploadHead { store_path: None, size: content.len() as u64, ext };
        let at = self.node.address;
        let sent = self.node.client().send(at, &UploadAppender(head), &mut content, |_| {}).await;
        sent.map(|FileCreated(id)| id).expect("appenders are taken")
    }

    pub(crate) async fn append(&self, name: &LogicName, mut content: &[u8]) {
        let append = Append { name: name.clone(), size: content.len() as u64 };
        let sent = self.node.client().send(self.node.address, &append, &mut content, |_| {}).await;
        let Empty = sent.expect("appends are taken");
    }

    pub(crate) async fn modify(&self, name: &LogicName, offset: u64, mut content: &[u8]) {
        let modify = Modify { name: name.clone(), offset, size: content.len() as u64 };
        let sent = self.node.client().send(self.node.address, &modify, &mut content, |_| {}).await;
        let Empty = sent.expect("modifies are taken");
    }

    pub(crate) async fn truncate(&self, name: &LogicName, size: u64) {
        self.node.client().truncate(self.node.address, name, size).await.expect("truncates are taken");
    }

    /// Makes a normal file of an appender file.
    pub(crate) async fn rename(&self, name: &LogicName) -> FileId {
        self.node.client().regenerate(self.node.address, name).await.expect("appenders are renamed")
    }

    /// Replaces a file's metadata, or adds to it.
    pub(crate) async fn metadata(&self, id: &FileId, mode: MetadataMode, value: &str) {
        let text = format!("key\u{2}{value}").into();
        let set = self.node.client().set_metadata(self.node.address, id, mode, text).await;
        set.expect("metadata is taken");
    }

    pub(crate) async fn delete(&self, id: &FileId) {
        self.node.client().delete(self.node.address, id).await.expect("the file is there");
    }

    /// Makes a link to a file.
    pub(crate) async fn link(&self, to: &FileId) -> FileId {
        let ext = FileExt::parse("lnk").expect("the test's own extension");
        let (group, source, signature) = (to.group, to.name.clone(), "s".into());
        let request = CreateLink { group, master: None, ext, source, signature };
        self.node.client().create_link(self.node.address, &request).await.expect("links are made")
    }
}

/// Waits until something is so.
pub(crate) async fn wait(mut is_so: impl FnMut() -> bool, what: impl Fn() -> String) {
    wait_for(PATIENCE, &mut is_so, what).await;
}

/// The same, with other patience.
pub(crate) async fn wait_for(patience: Duration, mut is_so: impl FnMut() -> bool, what: impl Fn() -> String) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "{}", what());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a peer has answered these commands about a name so, and no others.
pub(crate) async fn wait_talk(taker: &Taker, name: &LogicName, expected: &[(u8, u8)]) {
    wait(|| taker.talk(name) == expected, || format!("{name}: {:?}, not {expected:?}", taker.talk(name)))
        .await;
}

/// Waits until a peer has this file.
pub(crate) async fn wait_file(taker: &Taker, name: &LogicName, content: &[u8]) {
    wait(|| taker.has(name, content), || format!("{name}: {:?}", taker.held(name))).await;
}
