//! A client of a cluster for the length of one command: its trackers, its limits, a small runtime.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use protocol::client::{Client, ClientError, ClientLimits, TrackerClient};
use protocol::config::client_conf::IdSource;
use protocol::config::{ClientConf, ConfigError, LocalFacts, ServerAddress, StorageIds};
use protocol::tracker::{FetchStorageIds, StorageIdsChunk};
use protocol::{HostPort, Status};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Runtime;

/// Calls of the official client for the whole table of ids.
const MAX_ID_ROUNDS: usize = 32;

/// A cluster as a command sees it.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) trackers: Vec<HostPort>,
    runtime: Runtime,
    ids: Ids,
}

/// Where the table of storage ids comes from.
enum Ids {
    None,
    Known(StorageIds),
    AskTracker,
}

impl Session {
    /// A client of these trackers, with the usual limits.
    pub(crate) fn of_trackers(trackers: Vec<HostPort>) -> io::Result<Self> {
        Self::new(trackers, ClientLimits::default(), Ids::AskTracker)
    }

    /// A client as `client.conf` describes it.
    pub(crate) fn of_conf(path: &Path) -> Result<Self, ConfigError> {
        let facts = LocalFacts::detect();
        let (conf, _) = ClientConf::load(path, &facts)?;
        let ids = match (&conf.id_source, conf.load_storage_ids(&facts)?) {
            (_, Some((ids, _))) => Ids::Known(ids),
            (IdSource::Tracker, None) => Ids::AskTracker,
            (_, None) => Ids::None,
        };
        let limits = ClientLimits {
            connect_timeout: conf.connect_timeout,
            network_timeout: conf.network_timeout,
            ..ClientLimits::default()
        };
        let trackers = conf.tracker_servers.iter().flat_map(ServerAddress::addresses).cloned().collect();
        Self::new(trackers, limits, ids).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
    }

    fn new(trackers: Vec<HostPort>, limits: ClientLimits, ids: Ids) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = Client::new(trackers.clone(), limits);
        Ok(Self { client, trackers, runtime, ids })
    }

    /// Waits for a call.
    pub(crate) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// A client of one tracker only.
    pub(crate) fn tracker(&self, tracker: &HostPort) -> TrackerClient {
        self.client.trackers.only(tracker)
    }

    /// The table of storage ids; empty where the cluster has none.
    pub(crate) fn storage_ids(&self) -> Result<StorageIds, ClientError> {
        match &self.ids {
            Ids::None => Ok(StorageIds::default()),
            Ids::Known(ids) => Ok(ids.clone()),
            Ids::AskTracker => self.wait(fetch_ids(&self.client.trackers)),
        }
    }
}

async fn fetch_ids(trackers: &TrackerClient) -> Result<StorageIds, ClientError> {
    let mut lines = String::new();
    let mut start = 0;
    for _ in 0..MAX_ID_ROUNDS {
        let request = FetchStorageIds { start, allow_empty: Some(1) };
        let chunk: StorageIdsChunk = match trackers.call(&request).await {
            Err(error) if error.status() == Some(Status::EOPNOTSUPP) => break,
            chunk => chunk?,
        };
        lines.push_str(&String::from_utf8_lossy(&chunk.lines));
        start += chunk.returned;
        if chunk.returned <= 0 || start >= chunk.total {
            break;
        }
    }
    // A table that makes no sense names no addresses; nothing else depends on it here.
    Ok(StorageIds::parse_served(&lines, "tracker").unwrap_or_default())
}

/// A local file as content to send. Reading blocks, which nobody else in this process minds.
pub(crate) struct LocalContent<R>(pub(crate) R);

impl<R: Read + Unpin> AsyncRead for LocalContent<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = loop {
            match self.0.read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// Opens a regular file to send; gives its length.
pub(crate) fn open_regular(path: &Path) -> io::Result<(LocalContent<File>, u64)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::from_raw_os_error(i32::from(Status::EINVAL.0)));
    }
    Ok((LocalContent(file), meta.len()))
}
