//! Who talks to the tracker: plain connections, and storages that join and report.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use protocol::cluster::{
    Beat, DiskUsage, Join, PathSpace, StorageStats, StorageStatus, SyncNotify, SyncSource, TrackerAddress,
};
use protocol::config::{LocalFacts, TrackerConf};
use protocol::wire::Request;
use protocol::{GroupName, StorageId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracker::{App, StartError};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running tracker.
pub struct Tracker {
    pub address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// Builds a tracker at `address` with its files below `base`.
pub async fn build(address: SocketAddr, base: &Path, more: &str) -> Result<App, StartError> {
    let text = format!(
        "base_path = {}\nbind_addr = {}\nport = {}\n{more}",
        base.display(),
        address.ip(),
        address.port()
    );
    let facts = LocalFacts::none();
    let (conf, findings) = TrackerConf::parse(&text, &base.join("tracker.conf"), &facts).unwrap();
    assert_eq!(findings, []);
    App::build(conf, &facts).await
}

impl Tracker {
    /// Starts a tracker at `address`.
    pub async fn start(address: SocketAddr, base: &Path, more: &str) -> Self {
        let app = build(address, base, more).await.unwrap();
        let (address, stop) = (app.native_addr().unwrap(), CancellationToken::new());
        let running = tokio::spawn(app.run(stop.clone()));
        Self { address, stop, running }
    }

    /// Stops it and waits until it has saved.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops").unwrap();
    }
}

/// One connection.
pub struct Peer(pub TcpStream);

/// What came back for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Frame(Vec<u8>),
    Closed,
}

impl Peer {
    /// Connects from `from`.
    pub async fn connect(from: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self(socket.connect(to).await.unwrap())
    }

    /// Sends bytes; a peer that has closed already is noticed when reading.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The next answer.
    pub async fn reply(&mut self) -> Reply {
        let read = async {
            let mut frame = vec![0; 10];
            if self.0.read_exact(&mut frame).await.is_err() {
                return Reply::Closed;
            }
            let len = usize::try_from(u64::from_be_bytes(frame[..8].try_into().unwrap())).unwrap();
            frame.resize(10 + len, 0);
            match self.0.read_exact(&mut frame[10..]).await {
                Ok(_) => Reply::Frame(frame),
                Err(_) => Reply::Closed,
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or the end")
    }

    /// Sends a frame and reads what comes back.
    pub async fn exchange(&mut self, frame: &[u8]) -> Reply {
        self.send(frame).await;
        self.reply().await
    }

    /// Sends a request; the body of its good answer, or the status.
    pub async fn ask<Q: Request>(&mut self, request: &Q) -> Result<Vec<u8>, u8> {
        match self.exchange(&request.to_frame()).await {
            Reply::Frame(frame) if frame[9] == 0 => Ok(frame[10..].to_vec()),
            Reply::Frame(frame) => Err(frame[9]),
            Reply::Closed => panic!("the tracker closed the connection"),
        }
    }
}

/// A storage as it joins.
pub struct Storage<'a> {
    pub group: &'a str,
    pub ip: IpAddr,
    pub id: Option<&'a str>,
    pub source: Option<IpAddr>,
    pub subdir_count: i64,
}

impl Storage<'_> {
    /// Joins as a storage that was in service before, beats and reports its space: it is ACTIVE then.
    pub async fn activate(&self, tracker: SocketAddr) -> Peer {
        let mut peer = Peer::connect(self.ip, tracker).await;
        let join = Join {
            group: GroupName::parse(self.group).unwrap(),
            port: 23_000,
            store_path_count: 1,
            subdir_count: self.subdir_count,
            upload_priority: 10,
            join_time: 1_795_382_311,
            up_time: 1_795_382_311,
            version: "6.16.1".into(),
            is_new: 0,
            status: Some(StorageStatus::ACTIVE),
            id: self.id.map(|id| StorageId::parse(id).unwrap()),
            tracker_ip: Some(tracker.ip()),
            trackers: vec![TrackerAddress { ips: vec![tracker.ip()], port: tracker.port() }],
        };
        peer.ask(&join).await.unwrap();
        let source = self.source.map(|ip| StorageId::parse(&ip.to_string()).unwrap());
        peer.ask(&SyncNotify(SyncSource { source, until: 0 })).await.unwrap();
        let stats = StorageStats {
            connections_alloc: 64,
            connections_current: 2,
            connections_max: 4,
            ..StorageStats::default()
        };
        peer.ask(&Beat(Some(stats))).await.unwrap();
        let space = PathSpace { total_mb: 0x3_EFE3, free_mb: 0x1_19C1 };
        peer.ask(&DiskUsage(vec![space])).await.unwrap();
        peer
    }
}
