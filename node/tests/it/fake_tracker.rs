//! A tracker that knows one storage and lets it become active at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::cluster::{
    CheckSync, GetMyIp, Join, JoinAnswer, StorageStats, StorageStatus, SyncSource, SyncSourceAnswer,
};
use protocol::config::params::ClusterParams;
use protocol::service::{Connection, ConnectionError, NativeService, ServiceLimits};
use protocol::tracker::{FetchStorageIds, StorageIdsChunk, StorageRecord};
use protocol::wire::{Empty, Request, Response};
use protocol::{Command, Status, StorageId};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it tells its storage.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) params: ClusterParams,
    /// Lines of the table of storage ids, if the cluster has one.
    pub(crate) ids: Option<String>,
    /// What it takes the storage for.
    pub(crate) status: StorageStatus,
}

/// What a tracker does otherwise than usual: it hears every request first, and may answer it.
pub(crate) type Habit = dyn Fn(Command, &[u8]) -> Option<Result<BytesMut, Status>> + Send + Sync;

/// A running tracker; when dropped, it ends with its connections.
pub(crate) struct FakeTracker {
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl FakeTracker {
    /// Listens; with port 0 on one that the system chooses.
    pub(crate) async fn start(address: SocketAddr, cluster: Cluster) -> Self {
        Self::start_with(address, cluster, Arc::new(|_, _| None)).await
    }

    /// The same, with a habit.
    pub(crate) async fn start_with(address: SocketAddr, cluster: Cluster, habit: Arc<Habit>) -> Self {
        let limits = ServiceLimits {
            max_connections: 16,
            network_timeout: Duration::from_secs(30),
            drain_timeout: Duration::ZERO,
        };
        let service = NativeService::bind(address, limits).await.expect("a fresh address is free");
        let address = service.local_addr().expect("a bound socket has an address");
        let handle = move |connection| talk(cluster.clone(), Arc::clone(&habit), connection);
        let stop = CancellationToken::new();
        tokio::spawn(service.serve(|_| true, stop.clone(), handle));
        Self { address, _stop: stop.drop_guard() }
    }
}

async fn talk(cluster: Cluster, habit: Arc<Habit>, mut connection: Connection) {
    // The storage may leave at any time; what it asks wrongly shows in `answer`.
    let _ = requests(&cluster, &*habit, &mut connection).await;
}

async fn requests(
    cluster: &Cluster,
    habit: &Habit,
    connection: &mut Connection,
) -> Result<(), ConnectionError> {
    while let Some(header) = connection.next_header(1 << 20).await? {
        let len = usize::try_from(header.body_len).expect("checked by next_header");
        let body = connection.read_exact(len).await?;
        if header.command == Command::QUIT {
            return Ok(());
        }
        let usual = || answer(cluster, header.command, &body, connection.peer().ip());
        match habit(header.command, &body).unwrap_or_else(usual) {
            Ok(frame) => connection.send(&frame).await?,
            Err(status) => connection.send_status(status).await?,
        }
        connection.request_complete();
    }
    Ok(())
}

fn answer(cluster: &Cluster, command: Command, body: &[u8], peer: IpAddr) -> Result<BytesMut, Status> {
    let bad = |_| Status::EINVAL;
    match command {
        Command::GET_MY_IP => {
            GetMyIp::decode_body(body).map_err(bad)?;
            Ok(Bytes::from(peer.to_string()).to_frame())
        }
        Command::PARAMETER_REQ => Ok(Bytes::from(cluster.params.serialize()).to_frame()),
        Command::FETCH_STORAGE_IDS => {
            let FetchStorageIds { start, .. } = FetchStorageIds::decode_body(body).map_err(bad)?;
            let lines = cluster.ids.clone().ok_or(Status::EINVAL)?;
            let total = i32::try_from(lines.lines().count()).expect("a short table");
            assert_eq!(start, 0, "the whole table is in the first piece");
            Ok(StorageIdsChunk { total, returned: total, lines: lines.into() }.to_frame())
        }
        Command::STORAGE_JOIN => {
            Join::decode_body(body).map_err(bad)?;
            Ok(JoinAnswer { status: cluster.status, source: None }.to_frame())
        }
        Command::SYNC_DEST_REQ => {
            let waits = cluster.status == StorageStatus::WAIT_SYNC;
            let source = StorageId::parse("127.99.99.99").ok();
            Ok(SyncSourceAnswer(waits.then_some(SyncSource { source, until: 1 })).to_frame())
        }
        Command::SYNC_NOTIFY => Ok(Empty.to_frame()),
        Command::STORAGE_BEAT | Command::REPORT_DISK_USAGE => Ok(CheckSync::default().to_frame()),
        Command::CHANGELOG_REQ => Ok(Bytes::new().to_frame()),
        _ => Err(Status::EINVAL),
    }
}

/// As a tracker describes a member.
pub(crate) fn record(at: SocketAddr, status: StorageStatus) -> StorageRecord {
    StorageRecord {
        status,
        rw_mode: 6,
        id: StorageId::parse(&at.ip().to_string()).expect("an id"),
        ip: Some(at.ip()),
        source: None,
        version: "6.16.1".to_owned(),
        join_time: 1,
        up_time: 1,
        total_mb: 1,
        free_mb: 1,
        reserved_mb: 1,
        upload_priority: 1,
        store_path_count: 1,
        subdir_count: 4,
        current_write_path: 0,
        port: at.port().into(),
        stats: StorageStats::default(),
        is_trunk_server: 0,
    }
}
