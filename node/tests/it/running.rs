//! A node inside the test process, with its tracker and its directory.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use node::{App, StartError};
use protocol::client::{ClientLimits, Pool, StorageClient};
use protocol::cluster::StorageStatus;
use protocol::config::params::ClusterParams;
use protocol::config::{LocalFacts, StorageConf};
use protocol::file_id::{FileExt, StorePathIndex};
use protocol::storage::{FileCreated, Upload, UploadHead};
use protocol::{AddressWidth, FileId, Status};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::address::fresh;
use crate::fake_tracker::{Cluster, FakeTracker};

const PORT: u16 = 23000;
const HTTP_PORT: u16 = 8888;

/// A storage's configuration as its file has it, with directories that are quickly made.
pub(crate) fn conf_text(base: &Path, ip: IpAddr, tracker: SocketAddr, more: &str) -> String {
    format!(
        "group_name = group1\nbase_path = {base}\nbind_addr = {ip}\ntracker_server = {tracker}\n\
         subdir_count_per_path = 4\nheart_beat_interval = 1\n{more}\n",
        base = base.display()
    )
}

/// A node that is built, not yet serving.
pub(crate) async fn build(text: &str) -> Result<App, StartError> {
    let facts = LocalFacts::none();
    let (conf, _) = StorageConf::parse(text, Path::new("storage.conf"), &facts).expect("the test's own text");
    App::build(conf, &facts).await
}

/// Parameters of a cluster that keeps no room and writes short addresses.
pub(crate) fn plain_cluster() -> Cluster {
    let params = "reserved_storage_space=0\nresponse_ip_addr_size=16\n";
    Cluster {
        params: ClusterParams::parse(params).expect("the test's own text"),
        ids: None,
        status: StorageStatus::ONLINE,
    }
}

/// The same with long addresses.
pub(crate) fn wide_cluster() -> Cluster {
    let mut cluster = plain_cluster();
    cluster.params.response_ip_addr_size = AddressWidth::V6;
    cluster
}

/// A node that serves.
pub(crate) struct Running {
    pub(crate) ip: IpAddr,
    pub(crate) address: SocketAddr,
    pub(crate) text: String,
    pub(crate) directory: TempDir,
    tracker: Option<FakeTracker>,
    stop: CancellationToken,
    served: Option<JoinHandle<()>>,
    apart: Apart,
}

/// A runtime of a node's own; it may be dropped where tokio forbids to wait.
struct Apart(Option<Runtime>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Running {
    /// An active node of `cluster` with an empty store.
    pub(crate) async fn start(ip: IpAddr, cluster: Cluster, more: &str) -> Self {
        let tracker = FakeTracker::start(SocketAddr::new(fresh(), 0), cluster).await;
        let address = tracker.address;
        let mut node = Self::start_with(ip, address, more).await;
        node.tracker = Some(tracker);
        node.wait_active().await;
        node
    }

    /// A node whose tracker is at this address, or will be.
    pub(crate) async fn start_with(ip: IpAddr, tracker: SocketAddr, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let text = conf_text(directory.path(), ip, tracker, more);
        let mut node = Self {
            ip,
            address: SocketAddr::new(ip, PORT),
            text,
            directory,
            tracker: None,
            stop: CancellationToken::new(),
            served: None,
            apart: Apart(None),
        };
        node.serve().await;
        node
    }

    async fn serve(&mut self) {
        let app = build(&self.text).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(app.native_addr(), Some(self.address));
        self.stop = CancellationToken::new();
        self.served = Some(tokio::spawn(app.run(self.stop.clone())));
    }

    /// Serves again after a stop, so that it can be killed.
    pub(crate) async fn start_apart(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let text = self.text.clone();
        let app = runtime.spawn(async move { build(&text).await }).await.expect("it does not panic");
        runtime.spawn(app.unwrap_or_else(|error| panic!("{error}")).run(CancellationToken::new()));
        self.apart = Apart(Some(runtime));
        self.wait_active().await;
    }

    /// Ends it as SIGKILL does, nothing drained or saved.
    pub(crate) async fn kill(&mut self) {
        let runtime = self.apart.0.take().expect("it was started to be killed");
        let killed = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(20)));
        killed.await.expect("it does not panic");
    }

    /// Stops as a daemon does on SIGTERM: drained and saved when this returns.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        self.served.take().expect("it runs").await.expect("it does not panic");
    }

    /// Serves again after a stop, active when this returns.
    pub(crate) async fn start_again(&mut self) {
        self.serve().await;
        self.wait_active().await;
    }

    /// Serves again after a stop; it may take a while until it is active.
    pub(crate) async fn start_unready(&mut self) {
        self.serve().await;
    }

    /// Serves again after a stop, with a tracker that is gone.
    pub(crate) async fn start_without_tracker(&mut self) {
        self.tracker = None;
        self.serve().await;
    }

    /// Waits until a tracker told the node its identity. Asked for a store path that it does not have, a node without one
    /// is busy; with one it refuses, and nothing was stored.
    pub(crate) async fn wait_active(&self) {
        let start = Instant::now();
        loop {
            match self.probe().await {
                Status::EINVAL => return,
                status => assert_eq!(status, Status::EBUSY),
            }
            assert!(start.elapsed() < Duration::from_secs(20), "not active for 20 seconds");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn probe(&self) -> Status {
        let head = UploadHead { store_path: Some(StorePathIndex(127)), size: 0, ext: FileExt::NONE };
        let sent = self.client().send(self.address, &Upload(head), &mut &b""[..], |_| {}).await;
        let refused = sent.map(|FileCreated(id)| id).expect_err("store path 127 is not there");
        refused.status().unwrap_or_else(|| panic!("{refused}"))
    }

    /// A client with connections of its own.
    pub(crate) fn client(&self) -> StorageClient {
        StorageClient::new(Pool::new(ClientLimits::default()))
    }

    /// Its answer to a request of HTTP/1.0, head and body.
    pub(crate) async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect((self.ip, HTTP_PORT)).await.expect("HTTP is served");
        stream.write_all(request.as_bytes()).await.expect("the node listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the node answers in text");
        answer
    }

    /// Uploads a file.
    pub(crate) async fn upload(&self, content: &[u8], ext: &str) -> FileId {
        try_upload(&self.client(), self.address, content, ext).await.expect("the node takes uploads")
    }

    /// The store path's `data`.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Where a file of store path 0 is.
    pub(crate) fn path(&self, id: &FileId) -> PathBuf {
        self.data().join(id.name.true_name())
    }

    /// Uploads under way: files that have no name yet, which this process has open, or have one for the time being.
    fn temporaries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data()).expect("a store has data");
        let names = entries.map(|entry| entry.expect("data can be listed").file_name());
        let names = names.map(|name| name.into_string().expect("all names are text"));
        let named = names.filter(|name| name.starts_with(".up") && name.ends_with(".tmp"));
        let data = self.data().display().to_string();
        let open = std::fs::read_dir("/proc/self/fd").expect("Linux tells what is open");
        let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let unnamed = open.map(|target| target.display().to_string());
        let unnamed = unnamed.filter(|target| target.starts_with(&data) && target.ends_with(" (deleted)"));
        named.chain(unnamed).collect()
    }

    /// Waits until so many uploads are under way.
    pub(crate) async fn wait_for_temporaries(&self, count: usize) {
        let start = Instant::now();
        while self.temporaries().len() != count {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?} instead of {count}", self.temporaries());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lines of the binlog.
    pub(crate) fn binlog(&self) -> String {
        std::fs::read_to_string(self.data().join("sync/binlog.000")).expect("a store has a binlog")
    }
}

/// Uploads a file; the status if it is refused.
pub(crate) async fn try_upload(
    client: &StorageClient,
    at: SocketAddr,
    mut content: &[u8],
    ext: &str,
) -> Result<FileId, Status> {
    let head = UploadHead {
        store_path: None,
        size: content.len() as u64,
        ext: FileExt::parse(ext).expect("the test's own extension"),
    };
    match client.send(at, &Upload(head), &mut content, |_| {}).await {
        Ok(FileCreated(id)) => Ok(id),
        Err(error) => Err(error.status().unwrap_or_else(|| panic!("{error}"))),
    }
}
