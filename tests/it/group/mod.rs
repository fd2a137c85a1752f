//! A group of several storages behind several trackers, each a process of ours or of FastDFS on a loopback address of its own.

pub(crate) mod disk;
pub(crate) mod server;
pub(crate) mod slots;

use std::net::SocketAddr;
use std::time::Duration;

use protocol::client::{Client, ClientLimits, TrackerClient};
use protocol::cluster::StorageStatus;
use protocol::file_id::{FileExt, StorePathIndex};
use protocol::storage::UploadHead;
use protocol::tracker::StorageRecord;
use protocol::{GroupName, HostPort};
use tempfile::TempDir;

use crate::address;
use crate::wait::until;
use server::{Make, Server};

/// Joining takes some beats and, with a storage of FastDFS, several of its sleeps of 5 s.
pub(crate) const JOIN: Duration = Duration::from_secs(90);

/// Trackers and the storages of `group1`.
pub(crate) struct Group {
    // Before the directory, so that the processes end first.
    pub(crate) trackers: Vec<Server>,
    pub(crate) nodes: Vec<Server>,
    /// Taken out by who wants to keep it.
    pub(crate) dir: Option<TempDir>,
}

impl Group {
    /// Starts the trackers together and the storages one after another, so that the first is the source of the others. All
    /// are active when this returns.
    pub(crate) async fn start(trackers: &[Make], nodes: &[Make]) -> Self {
        Self::start_told(trackers, nodes, "").await
    }

    /// The same with other lines, `key = value`, in the trackers' configurations.
    pub(crate) async fn start_told(trackers: &[Make], nodes: &[Make], lines: &str) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let trackers: Vec<_> =
            trackers.iter().map(|make| Server::tracker(*make, dir.path(), address::fresh())).collect();
        let mut group = Self { trackers, nodes: Vec::new(), dir: Some(dir) };
        for tracker in &mut group.trackers {
            for (key, value) in lines.lines().filter_map(|line| line.split_once(" = ")) {
                tracker.set(key, value);
            }
            tracker.start();
        }
        for tracker in &mut group.trackers {
            tracker.wait_listening().await;
        }
        for make in nodes {
            group.add_node(*make).await;
        }
        group
    }

    /// Adds a storage and waits until it is active.
    pub(crate) async fn add_node(&mut self, make: Make) {
        let dir = self.dir.as_ref().expect("not taken out yet");
        let trackers: Vec<_> = self.trackers.iter().map(|tracker| tracker.ip).collect();
        let mut node = Server::node(make, dir.path(), address::fresh(), &trackers);
        node.start();
        self.nodes.push(node);
        self.wait_active().await;
    }

    /// Waits until every tracker that runs calls every storage that runs active.
    pub(crate) async fn wait_active(&mut self) {
        for index in 0..self.trackers.len() {
            if !self.trackers[index].is_up() {
                continue;
            }
            let tracker = self.only(index);
            let servers: &mut Vec<Server> = &mut self.nodes;
            until("active storages", JOIN, async || {
                servers.iter_mut().for_each(Server::assert_running);
                let known = storages(&tracker).await?;
                let is_active = |node: &&mut Server| {
                    known
                        .iter()
                        .any(|known| known.ip == Some(node.ip) && known.status == StorageStatus::ACTIVE)
                };
                match servers.iter_mut().filter(|node| node.is_up()).find(|node| !is_active(node)) {
                    None => Ok(()),
                    Some(node) => {
                        let seen: Vec<_> = known.iter().map(|known| (known.ip, known.status)).collect();
                        Err(format!("{} is not active: {seen:?}", node.ip))
                    }
                }
            })
            .await;
        }
    }

    /// A client that knows all trackers.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.trackers.iter().map(host_port).collect(), limits())
    }

    /// A client of one of the trackers.
    pub(crate) fn only(&self, index: usize) -> TrackerClient {
        self.client().trackers.only(&host_port(&self.trackers[index]))
    }

    /// Where node `index` answers native clients.
    pub(crate) fn native(&self, index: usize) -> SocketAddr {
        address::storage(self.nodes[index].ip)
    }
}

/// The storages that `tracker` knows.
pub(crate) async fn storages(tracker: &TrackerClient) -> Result<Vec<StorageRecord>, String> {
    let list = tracker.storages(group1(), None).await.map_err(|error| error.to_string())?;
    Ok(list.storages)
}

/// The group of all these tests.
pub(crate) fn group1() -> GroupName {
    GroupName::parse("group1").expect("a good name")
}

/// Patient enough for a loaded machine, and impatient enough for a test with frozen servers.
pub(crate) fn limits() -> ClientLimits {
    ClientLimits {
        connect_timeout: Duration::from_secs(2),
        network_timeout: Duration::from_secs(10),
        ..ClientLimits::default()
    }
}

fn host_port(tracker: &Server) -> HostPort {
    HostPort::parse(&tracker.ip.to_string(), address::TRACKER_PORT).expect("an address")
}

/// Where an upload goes and what it is called.
pub(crate) fn head(length: usize, ext: &str) -> UploadHead {
    UploadHead {
        store_path: Some(StorePathIndex(0)),
        size: size(length),
        ext: FileExt::parse(ext).expect("a good extension"),
    }
}

pub(crate) fn size(length: usize) -> u64 {
    u64::try_from(length).expect("fits")
}

/// `HH/LL/name` of `group1/M00/HH/LL/name`.
pub(crate) fn disk_name(id: &str) -> String {
    id.splitn(3, '/').nth(2).expect("a file ID").to_owned()
}
