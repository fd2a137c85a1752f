//! A node that lacks a file asks the others: whom, in which order, what it makes of their answers, and whom never.

mod candidates;
mod deleted;
mod foreign;
mod reads;
mod writes;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::cluster::{Brief, CheckSync, StorageStatus};
use protocol::file_id::{FileExt, NameCode, NameTail, SizeField, Source, StorePathIndex, SubDir};
use protocol::wire::Response;
use protocol::{Command, FileId, GroupName, LogicName, Status, StorageId};

use crate::address::fresh;
use crate::fake_tracker::{FakeTracker, Habit};
use crate::running::{Running, plain_cluster};

/// A node that has none of its group's files, in a group of these members.
struct Lagging {
    node: Running,
    members: Vec<SocketAddr>,
    _tracker: FakeTracker,
}

impl Lagging {
    async fn among(members: &[SocketAddr]) -> Self {
        Self::with(members, "", Arc::new(|_, _| None)).await
    }

    /// With more lines in its configuration, and a tracker of this habit.
    async fn with(members: &[SocketAddr], more: &str, habit: Arc<Habit>) -> Self {
        let members: Vec<_> = members.iter().map(|at| (*at, StorageStatus::ACTIVE)).collect();
        Self::of(&members, more, habit).await
    }

    /// With members that stand as given.
    async fn of(members: &[(SocketAddr, StorageStatus)], more: &str, habit: Arc<Habit>) -> Self {
        let ip = fresh();
        let brief = |(at, status): (SocketAddr, StorageStatus)| Brief {
            status,
            port: at.port(),
            id: StorageId::parse(&at.ip().to_string()).ok(),
            ip: Some(at.ip()),
        };
        let mut briefs: Vec<Brief> = members.iter().copied().map(brief).collect();
        briefs.push(brief((SocketAddr::new(ip, 23000), StorageStatus::ACTIVE)));
        briefs.sort_by_key(|brief| brief.id);
        let with_members = move |command, body: &[u8]| match command {
            Command::STORAGE_BEAT => {
                Some(Ok(CheckSync { members: Some(briefs.clone()), ..CheckSync::default() }.to_frame()))
            }
            command => habit(command, body),
        };
        let address = SocketAddr::new(fresh(), 0);
        let tracker = FakeTracker::start_with(address, plain_cluster(), Arc::new(with_members)).await;
        let more = format!("network_timeout = 3\n{more}");
        let node = Running::start_with(ip, tracker.address, &more).await;
        node.wait_active().await;
        let members = members.iter().map(|(at, _)| *at).collect();
        let lagging = Self { node, members, _tracker: tracker };
        lagging.wait_for_members().await;
        lagging
    }

    /// Waits until the node knows all members.
    async fn wait_for_members(&self) {
        let start = Instant::now();
        loop {
            let senders = self.node.http("GET /v1/replication HTTP/1.0\r\n\r\n").await;
            let is_known = |at: &SocketAddr| senders.contains(&format!("\"destination\":\"{}\"", at.ip()));
            if self.members.iter().all(is_known) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{senders}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, id: &FileId) -> String {
        self.node.http(&format!("GET /{id} HTTP/1.0\r\n\r\n")).await
    }

    /// Status of a GET.
    async fn status(&self, id: &FileId) -> u16 {
        status(&self.get(id).await)
    }

    async fn download(&self, id: &FileId) -> Result<String, Status> {
        let content = self.node.client().download_bytes(self.node.address, id, 1 << 20).await;
        content
            .map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
            .map_err(|error| error.status().unwrap_or_else(|| panic!("{error}")))
    }
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).expect("a status line").parse().expect("a number")
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split_once("\r\n\r\n").expect("a head").0;
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A whole node with files, which tells nobody of them.
async fn holder() -> Running {
    Running::start(fresh(), plain_cluster(), "").await
}

/// A name that this member could have given just now.
pub(crate) fn name_by(source: IpAddr, content: &str) -> FileId {
    let IpAddr::V4(ip) = source else { panic!("tests run on IPv4") };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later");
    named(ip, u32::try_from(since.as_secs()).expect("before 2106"), content)
}

pub(crate) fn named(ip: std::net::Ipv4Addr, timestamp: u32, content: &str) -> FileId {
    let random = fastrand::u32(..);
    let size = SizeField::normal(content.len() as u64, random);
    let code =
        NameCode { source: Source::Ip(ip), timestamp, size, crc32: crc32fast::hash(content.as_bytes()) };
    let tail = NameTail::new(FileExt::parse("txt").expect("an extension"), random);
    let name = LogicName::make(StorePathIndex(0), SubDir::default(), &code, None, &tail);
    FileId { group: GroupName::parse("group1").expect("a group"), name }
}

/// Puts a file on a node's disk, as replication would.
fn place(node: &Running, id: &FileId, content: &str) {
    std::fs::write(node.path(id), content).expect("the directory is there");
}
