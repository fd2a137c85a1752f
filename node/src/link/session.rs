//! One connection to one tracker: what is asked before the join, the join, and the beat after it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use protocol::client::Connection;
use protocol::cluster::{
    Beat, Brief, ChangelogRequest, CheckSync, DiskUsage, GetMyIp, GetServerId, Join, JoinAnswer,
    StorageStats, StorageStatus, SyncDestRequest, SyncNotify, SyncSource, SyncSourceAnswer, TrackerAddress,
};
use protocol::config::StorageIds;
use protocol::config::params::{ClusterParams, IdType};
use protocol::file_id::Source;
use protocol::tracker::{FetchStorageIds, ParameterRequest, StorageIdsChunk};
use protocol::wire::{Empty, Request, Response};
use protocol::{Command, HostPort, Status, StorageId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Link, LinkError, parse_addresses};
use crate::store::{Identity, InitFlag, Store, StoreError};
use crate::view::Standing;

/// The FastDFS version that this node behaves like.
const VERSION: &str = "6.16.1";
/// Longest answer of a tracker.
const MAX_ANSWER: u64 = 1 << 20;
/// Step of the main loop.
const TICK: Duration = Duration::from_secs(1);
/// Chunks of the table of storage ids.
const MAX_CHUNKS: usize = 64;

/// A connection to a tracker, and what was learnt over it.
pub(super) struct Session<'a> {
    link: &'a Link,
    connection: Connection,
    tracker: SocketAddr,
    /// The tracker as it is configured.
    name: String,
    params: ClusterParams,
    /// Own id: an address as text, or a number.
    id: StorageId,
    /// Counters of the last beat.
    told: Option<StorageStats>,
    /// Own status as the tracker last told it.
    status: Option<StorageStatus>,
    /// Whether the tracker refused the last report of room.
    usage_refused: bool,
}

impl<'a> Session<'a> {
    /// Connects and learns who this node is and how the cluster works.
    pub(super) async fn open(link: &'a Link, name: &str, tracker: SocketAddr) -> Result<Self, LinkError> {
        let mut connection = Connection::open(tracker, &link.limits).await?;
        let request = GetMyIp { group: link.facts.group, port: link.facts.port };
        let text: Bytes = ask(&mut connection, &request).await?;
        let addresses = parse_addresses(&text)?;
        let text: Bytes = ask(&mut connection, &ParameterRequest).await?;
        let params = ClusterParams::parse(&String::from_utf8_lossy(&text))?;
        let ids = if params.use_storage_id { Some(fetch_ids(&mut connection).await?) } else { None };
        let id = own_id(link, &mut connection, &params, ids.as_ref(), &addresses).await?;
        let identity = identity(&params, &id, addresses)?;
        let store = link.store.clone();
        store.set_params(&params);
        blocking(&store, move |store| store.set_identity(identity)).await?;
        link.view.learn(params.clone(), ids);
        let name = name.to_owned();
        let (told, status, usage_refused) = (None, None, false);
        Ok(Self { link, connection, tracker, name, params, id, told, status, usage_refused })
    }

    /// Joins, and arranges with the first tracker who feeds this node old files.
    pub(super) async fn join(&mut self) -> Result<(), LinkError> {
        let flag = self.link.store.init_flag();
        let facts = &self.link.facts;
        let request = Join {
            group: facts.group,
            port: facts.port,
            store_path_count: facts.store_path_count,
            subdir_count: facts.subdir_count,
            upload_priority: facts.upload_priority,
            join_time: flag.join_time,
            up_time: facts.up_time,
            version: VERSION.to_owned(),
            is_new: u8::from(!flag.sync_old_done),
            status: Some(self.status.unwrap_or(StorageStatus::INIT)),
            id: self.params.use_storage_id.then_some(self.id),
            tracker_ip: Some(self.tracker.ip()),
            trackers: self.tracker_list(),
        };
        let answer: JoinAnswer = ask(&mut self.connection, &request).await?;
        self.note_status(answer.status);
        self.arrange_source(answer.status).await
    }

    /// All trackers that have a numeric address, the one that was dialled among them.
    fn tracker_list(&self) -> Vec<TrackerAddress> {
        let mut list: Vec<TrackerAddress> = Vec::new();
        for tracker in &self.link.trackers {
            let ips: Vec<IpAddr> = tracker.addresses().filter_map(HostPort::ip).collect();
            if !ips.is_empty() {
                list.push(TrackerAddress { ips, port: tracker.port() });
            }
        }
        let dialled = self.tracker;
        if !list.iter().any(|known| known.port == dialled.port() && known.ips.contains(&dialled.ip())) {
            list.push(TrackerAddress { ips: vec![dialled.ip()], port: dialled.port() });
        }
        list
    }

    /// One tracker decides who feeds a new node; all are told.
    async fn arrange_source(&mut self, joined: StorageStatus) -> Result<(), LinkError> {
        let link = self.link;
        let _turn = link.arranging.lock().await;
        self.ask_source().await?;
        let told = self.tell_source().await;
        if told.as_ref().is_err_and(LinkError::is_not_found) && self.source().source.is_some() {
            // The member that fed this node is gone from the cluster. A settled member does not need it any more;
            // any other starts over, and may be given another source.
            let is_settled = joined >= StorageStatus::OFFLINE;
            warn!(tracker = %self.tracker, "the member that old files came from is unknown to the tracker, forgetting it");
            let forget = move |flag: &mut InitFlag| {
                flag.sync_old_done = is_settled;
                flag.sync_src_server.clear();
                flag.sync_until_timestamp = 0;
            };
            blocking(&link.store, move |store| store.update_init_flag(forget)).await?;
            self.ask_source().await?;
            self.tell_source().await?;
        } else {
            told?;
        }
        let is_waiting = self.status.is_some_and(|status| status < StorageStatus::IP_CHANGED);
        if is_waiting && self.source().source.is_none() {
            // A tracker that hears of no source takes the member as it is; only a leader says so, and not at once.
            self.note_status(StorageStatus::ONLINE);
        }
        Ok(())
    }

    /// Asks who feeds this node, if nobody has decided yet.
    async fn ask_source(&mut self) -> Result<(), LinkError> {
        let store = &self.link.store;
        if store.init_flag().sync_old_done {
            return Ok(());
        }
        let SyncSourceAnswer(source) = ask(&mut self.connection, &SyncDestRequest).await?;
        blocking(store, move |store| {
            store.update_init_flag(|flag| {
                flag.sync_old_done = true;
                flag.sync_src_server =
                    source.and_then(|told| told.source).map(|id| id.to_string()).unwrap_or_default();
                flag.sync_until_timestamp = source.map_or(0, |told| told.until);
            })
        })
        .await?;
        if let Some(from) = source.and_then(|told| told.source) {
            info!(source = %from, "old files will come from this member");
        }
        Ok(())
    }

    /// Tells the tracker who feeds this node.
    async fn tell_source(&mut self) -> Result<(), LinkError> {
        let source = self.source();
        let Empty = ask(&mut self.connection, &SyncNotify(source)).await?;
        Ok(())
    }

    /// Who feeds this node, as decided before.
    fn source(&self) -> SyncSource {
        let flag = self.link.store.init_flag();
        SyncSource { source: StorageId::parse(&flag.sync_src_server).ok(), until: flag.sync_until_timestamp }
    }

    /// Tells that this node lives, and its counters if they changed.
    pub(super) async fn beat(&mut self) -> Result<(), LinkError> {
        let stats = self.stats();
        let news = (self.told != Some(stats)).then_some(stats);
        let answer: CheckSync = ask(&mut self.connection, &Beat(news)).await?;
        self.told = Some(stats);
        let settled = [StorageStatus::OFFLINE, StorageStatus::ONLINE, StorageStatus::ACTIVE];
        if self.status.is_none_or(|status| settled.contains(&status)) {
            // A beat makes a settled member active; only a leader says so in the answer.
            self.note_status(StorageStatus::ACTIVE);
        }
        self.hear(&answer);
        if self.params.storage_ip_changed_auto_adjust {
            let _changes: Bytes = ask(&mut self.connection, &ChangelogRequest(None)).await?;
        }
        Ok(())
    }

    fn stats(&self) -> StorageStats {
        let sum = |part: fn(&protocol::service::ConnectionCounts) -> i32| {
            self.link.counts.iter().map(|counts| part(counts)).fold(0, i32::saturating_add)
        };
        let (current, max) = (sum(|counts| counts.current()), sum(|counts| counts.max()));
        StorageStats {
            connections_alloc: max,
            connections_current: current,
            connections_max: max,
            ..self.link.store.counters().snapshot()
        }
    }

    /// Measures the store paths and reports their room.
    ///
    /// A tracker refuses the report of a node that has more store paths than its group, until all members have as many.
    /// The node goes on serving meanwhile; the reference leaves and joins again every second.
    pub(super) async fn report_disk_usage(&mut self) -> Result<(), LinkError> {
        let store = self.link.store.clone();
        let usage = tokio::task::spawn_blocking(move || store.measure_space())
            .await
            .map_err(|_| LinkError::Identity("measuring the store paths failed".to_owned()))?;
        let paths = usage.len();
        match ask::<_, CheckSync>(&mut self.connection, &DiskUsage(usage)).await {
            Ok(answer) => {
                self.usage_refused = false;
                self.hear(&answer);
                Ok(())
            }
            Err(error) if error.status() == Some(Status::EINVAL) => {
                if !self.usage_refused {
                    warn!(tracker = %self.tracker, paths, "the tracker refuses the room of the store paths; have all members of the group as many?");
                }
                self.usage_refused = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Beats and reports until told to stop or the connection fails.
    pub(super) async fn keep(&mut self, stop: &CancellationToken) -> Result<(), LinkError> {
        let (mut beaten, mut reported) = (Instant::now(), Instant::now());
        let mut timer = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = stop.cancelled() => {
                    // The tracker sees the connection end if this does not arrive.
                    let quit = protocol::wire::frame(Command::QUIT, Status::OK, |_| {});
                    let _ = self.connection.send(Command::QUIT, &quit).await;
                    return Ok(());
                }
            }
            // A tracker that has gone is noticed now, not at the next beat: clients are sent here only after a new join.
            if self.connection.is_stale() || beaten.elapsed() >= self.link.heart_beat_interval {
                self.beat().await?;
                beaten = Instant::now();
            }
            if reported.elapsed() >= self.link.stat_report_interval {
                self.report_disk_usage().await?;
                reported = Instant::now();
            }
        }
    }

    fn hear(&mut self, answer: &CheckSync) {
        let own = |brief: &&Brief| brief.id == Some(self.id);
        let status = answer.members.iter().flatten().find(own).map(|brief| brief.status);
        if let Some(status) = status {
            self.note_status(status);
        }
    }

    fn note_status(&mut self, status: StorageStatus) {
        self.status = Some(status);
        let standing = match status {
            StorageStatus::ACTIVE => Standing::Active,
            StorageStatus::INIT | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING => {
                Standing::Waiting(format!(
                    "the trackers have this node as {status}: the group's other members have files that it must get first"
                ))
            }
            _ => Standing::Waiting(format!("the trackers have this node as {status}")),
        };
        if self.link.view.set_standing(&self.name, standing) {
            info!(tracker = %self.tracker, %status, "own status changed");
        }
    }
}

/// Sends a request and reads its answer.
async fn ask<Q: Request, A: Response>(connection: &mut Connection, request: &Q) -> Result<A, LinkError> {
    let address = connection.address();
    connection.send(Q::COMMAND, &request.to_frame()).await?;
    let body = connection.answer(Q::COMMAND, MAX_ANSWER).await?;
    let decoded = A::decode_body(&body);
    decoded.map_err(|source| {
        protocol::client::ClientError::Answer { address, command: Q::COMMAND, source }.into()
    })
}

/// Runs a change of the node's state files off the async threads.
async fn blocking(
    store: &Store,
    change: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), LinkError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || change(&store)).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(LinkError::Identity("writing the node's state failed".to_owned())),
    }
}

/// The table of storage ids, chunk by chunk.
async fn fetch_ids(connection: &mut Connection) -> Result<StorageIds, LinkError> {
    let mut lines = String::new();
    let mut start = 0;
    for _ in 0..MAX_CHUNKS {
        let chunk: StorageIdsChunk =
            ask(connection, &FetchStorageIds { start, allow_empty: Some(1) }).await?;
        lines.push_str(&String::from_utf8_lossy(&chunk.lines));
        start += chunk.returned;
        if start >= chunk.total || chunk.returned == 0 {
            break;
        }
    }
    Ok(StorageIds::parse_served(&lines, "the tracker's storage ids")?)
}

async fn own_id(
    link: &Link,
    connection: &mut Connection,
    params: &ClusterParams,
    ids: Option<&StorageIds>,
    addresses: &[IpAddr],
) -> Result<StorageId, LinkError> {
    let ip = addresses.first().copied();
    let ip = ip.ok_or_else(|| LinkError::Identity("the tracker sees no address of this node".to_owned()))?;
    let facts = &link.facts;
    let Some(ids) = ids else {
        return StorageId::parse(&ip.to_string())
            .map_err(|_| LinkError::Identity(format!("{ip} cannot be a storage's id; use storage ids")));
    };
    if params.trust_storage_server_id {
        let by_address =
            || addresses.iter().find_map(|ip| Some(ids.by_address(&facts.group, *ip, facts.port)?.id));
        if let Some(id) = facts.server_id.or_else(by_address) {
            return Ok(id);
        }
    }
    let address = HostPort { host: ip.to_string(), port: facts.port };
    let text: Bytes = ask(connection, &GetServerId { group: facts.group, address }).await?;
    let text = String::from_utf8_lossy(&text);
    StorageId::parse(text.trim_end_matches('\0'))
        .map_err(|_| LinkError::Identity(format!("the tracker's id for this node, '{text}', is none")))
}

fn identity(params: &ClusterParams, id: &StorageId, addresses: Vec<IpAddr>) -> Result<Identity, LinkError> {
    if params.use_storage_id && params.id_type_in_filename == IdType::Id {
        let number = id.as_str().parse().map_err(|_| {
            LinkError::Identity(format!("the id {id} is no number, but file names have to carry it"))
        })?;
        return Ok(Identity { source: Source::Id(number), addresses });
    }
    match addresses.first() {
        Some(IpAddr::V4(ip)) => {
            if ip.octets()[3] == 0 {
                warn!(%ip, "names made by this address read back as a storage id; use storage ids");
            }
            Ok(Identity { source: Source::Ip(*ip), addresses })
        }
        Some(IpAddr::V6(ip)) => {
            let octets = ip.octets();
            let part = [octets[8], octets[9], octets[10], octets[11]];
            Ok(Identity { source: Source::Ip(part.into()), addresses })
        }
        None => Err(LinkError::Identity("the tracker sees no address of this node".to_owned())),
    }
}
