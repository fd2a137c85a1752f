//! One request, one answer: decodes, calls the state, encodes. Nothing here waits.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use protocol::cluster::{
    Beat, ChangeStatus, ChangelogRequest, DiskUsage, FetchTrunkFileId, GetGroupName, GetMyIp, GetServerId,
    GetStorageStatus, IpChanged, Join, QueryReplication, ReplicaChanged, ReportStatus, ReportTrunkFileId,
    ReportTrunkFree, SyncDestQuery, SyncDestRequest, SyncNotify, SyncReport, SyncSourceAnswer,
    SyncSourceRequest, TrunkFileId,
};
use protocol::service::ConnectionCounts;
use protocol::tracker::{
    Connections, DeleteGroup, DeleteStorage, FetchStorageIds, GetLeader, GroupList, GroupStatisticsAnswer,
    ListAllGroups, ListOneGroup, ListStorages, ParameterRequest, QueryFetch, QueryFetchAll,
    QueryGroupStatistics, QueryStorageStatistics, QueryStore, QueryStoreAll, QueryStoreInGroup,
    QueryStoreInGroupAll, QueryTrackerStatistics, QueryUpdate, ServerAnswer, ServerListAnswer,
    SetStorageMode, SetTrunkServer, StorageIdsChunk, StorageList, StorageStatisticsAnswer, StoreAllAnswer,
    StoreAnswer, TrackerStatistics, TrackerStatisticsAnswer,
};
use protocol::wire::{Request, Response};
use protocol::{Command, GroupName, HostPort, Status};

use crate::app::Shared;
use crate::peers;
use crate::state::{Cluster, Leadership, Placement, Refusal, Session, TrunkMode};
use crate::trunk;

/// Longest chunk of the table of storage ids.
const MAX_IDS_CHUNK: usize = 8 * 1024;

fn decode<Q: Request>(body: &[u8]) -> Result<Q, Refusal> {
    Q::decode_body(body).map_err(|_| Status::EINVAL)
}

fn empty(body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() { Ok(()) } else { Err(Status::EINVAL) }
}

/// Answers one request into `out`; an error becomes the status of an answer without a body.
pub(super) fn answer(
    shared: &Shared,
    counts: &ConnectionCounts,
    session: &mut Session,
    command: Command,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    match command {
        Command::ACTIVE_TEST => empty(body),
        Command::QUERY_STORE => {
            let QueryStore = decode(body)?;
            store_one(&mut shared.state(), None, session, out)
        }
        Command::QUERY_STORE_IN_GROUP => {
            let QueryStoreInGroup(group) = decode(body)?;
            store_one(&mut shared.state(), Some(group), session, out)
        }
        Command::QUERY_STORE_ALL => {
            let QueryStoreAll = decode(body)?;
            store_all(&mut shared.state(), None, session, out)
        }
        Command::QUERY_STORE_IN_GROUP_ALL => {
            let QueryStoreInGroupAll(group) = decode(body)?;
            store_all(&mut shared.state(), Some(group), session, out)
        }
        Command::QUERY_FETCH => {
            let QueryFetch { group, name } = decode(body)?;
            let mut state = shared.state();
            let server = state.query_fetch(group, &name, session.peer.ip(), shared.now())?;
            ServerAnswer { group, server, width: state.rules().width }.encode_body(out);
            Ok(())
        }
        Command::QUERY_FETCH_ALL => {
            let QueryFetchAll { group, name } = decode(body)?;
            let state = shared.state();
            let servers = state.query_fetch_all(group, &name, session.peer.ip(), shared.now())?;
            ServerListAnswer { group, servers, width: state.rules().width }.encode_body(out);
            Ok(())
        }
        Command::QUERY_UPDATE => {
            let QueryUpdate { group, name } = decode(body)?;
            let mut state = shared.state();
            let server = state.query_update(group, &name, session.peer.ip())?;
            ServerAnswer { group, server, width: state.rules().width }.encode_body(out);
            Ok(())
        }
        Command::STORAGE_JOIN => {
            let join: Join = decode(body)?;
            peers::check(shared, session, &join)?;
            let answer = shared.state().join(session, &join, shared.now())?;
            peers::heard(shared, session, &join)?;
            answer.encode_body(out);
            Ok(())
        }
        Command(59..=89 | 109) | Command::REPLICATION_REPORT => {
            of_storage(shared, session, command, body, out)
        }
        _ => of_operator(shared, counts, session, command, body, out),
    }
}

fn store_one(
    state: &mut Cluster,
    group: Option<GroupName>,
    session: &Session,
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    let Placement { group, servers, store_path } = state.query_store(group, session.peer.ip())?;
    let server = servers.first().copied().ok_or(Status::ENOENT)?;
    StoreAnswer { group, server, store_path, width: state.rules().width }.encode_body(out);
    Ok(())
}

fn store_all(
    state: &mut Cluster,
    group: Option<GroupName>,
    session: &Session,
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    let Placement { group, servers, store_path } = state.query_store_all(group, session.peer.ip())?;
    StoreAllAnswer { group, servers, store_path, width: state.rules().width }.encode_body(out);
    Ok(())
}

/// What storages ask and report.
fn of_storage(
    shared: &Shared,
    session: &mut Session,
    command: Command,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    let mut state = shared.state();
    let now = shared.now();
    match command {
        Command::STORAGE_BEAT => {
            joined(session)?;
            let Beat(stats) = decode(body)?;
            state.beat(session, stats.as_ref(), now)?.encode_body(out);
        }
        Command::REPORT_DISK_USAGE => {
            joined(session)?;
            let DiskUsage(paths) = decode(body)?;
            state.disk_usage(session, &paths)?.encode_body(out);
        }
        Command::SYNC_REPORT => {
            joined(session)?;
            let SyncReport(received) = decode(body)?;
            state.sync_report(session, &received)?.encode_body(out);
        }
        Command::SYNC_DEST_REQ => {
            joined(session)?;
            let SyncDestRequest = decode(body)?;
            SyncSourceAnswer(state.sync_dest_request(session)?).encode_body(out);
        }
        Command::SYNC_NOTIFY => {
            joined(session)?;
            let SyncNotify(told) = decode(body)?;
            state.sync_notify(session, &told)?;
        }
        Command::SYNC_DEST_QUERY => {
            joined(session)?;
            let SyncDestQuery = decode(body)?;
            SyncSourceAnswer(state.sync_dest_query(session)?).encode_body(out);
        }
        Command::SYNC_SRC_REQ => {
            let SyncSourceRequest { group, destination } = decode(body)?;
            SyncSourceAnswer(state.sync_source(group, &destination, session.peer.ip())?).encode_body(out);
        }
        Command::REPLICA_CHG => {
            joined(session)?;
            let ReplicaChanged(_) = decode(body)?;
        }
        Command::REPORT_STATUS => {
            let ReportStatus { group, storage } = decode(body)?;
            state.report_status(group, &storage, session.peer.ip())?;
        }
        Command::CHANGE_STATUS => {
            joined(session)?;
            let ChangeStatus(status) = decode(body)?;
            state.change_status(session, status)?;
        }
        Command::REPLICATION_REPORT => {
            // What makes no sense is refused as FastDFS refuses all of this command.
            let report = decode(body)?;
            joined(session)?;
            state.replication_report(session, &report, now)?;
        }
        Command::CHANGELOG_REQ => {
            let ChangelogRequest(of) = decode(body)?;
            let (group, id) = of.or(session.joined).ok_or(Status::EACCES)?;
            out.extend_from_slice(&state.changelog_for(group, &id)?);
        }
        Command::REPORT_IP_CHANGED => {
            let IpChanged { group, old, new } = decode(body)?;
            let (Some(old), Some(new)) = (old, new) else { return Err(Status::EINVAL) };
            state.ip_changed(session, group, old, new, now)?;
        }
        Command::GET_MY_IP => out.extend_from_slice(my_ip(&state, session, &decode(body)?).as_bytes()),
        Command::GET_STORAGE_STATUS => {
            let GetStorageStatus { group, address } = decode(body)?;
            let ip = address.ip().ok_or(Status::EINVAL)?;
            state.status_at(group, ip, address.port)?.encode(out);
        }
        Command::GET_SERVER_ID => {
            let GetServerId { group, address } = decode(body)?;
            let ip = address.ip().ok_or(Status::EINVAL)?;
            match &state.rules().ids {
                Some(ids) => {
                    let entry = ids.by_address(&group, ip, address.port).ok_or(Status::ENOENT)?;
                    out.extend_from_slice(entry.id.as_str().as_bytes());
                }
                None => out.extend_from_slice(ip.to_string().as_bytes()),
            }
        }
        Command::GET_GROUP_NAME => {
            let GetGroupName { ip, port } = decode(body)?;
            let ids = state.rules().ids.as_ref().ok_or(Status::EOPNOTSUPP)?;
            let ip = ip.unwrap_or(session.peer.ip());
            let entry = ids
                .entries()
                .iter()
                .find(|entry| entry.port == port && entry.addresses().any(|own| own == ip));
            entry.ok_or(Status::ENOENT)?.group.encode(out);
        }
        Command::FETCH_STORAGE_IDS => storage_ids(&state, &decode(body)?, out)?,
        Command::PARAMETER_REQ => {
            let ParameterRequest = decode(body)?;
            out.extend_from_slice(shared.parameters().as_bytes());
        }
        Command::FETCH_TRUNK_FID => {
            let FetchTrunkFileId = decode(body)?;
            TrunkFileId(state.trunk_file_id(session)?).encode_body(out);
        }
        Command::REPORT_TRUNK_FID => {
            joined(session)?;
            let ReportTrunkFileId(id) = decode(body)?;
            state.report_trunk_file_id(session, id)?;
        }
        Command::REPORT_TRUNK_FREE => {
            joined(session)?;
            let ReportTrunkFree(free_mb) = decode(body)?;
            state.report_trunk_free(session, free_mb)?;
        }
        _ => return Err(Status::EINVAL),
    }
    Ok(())
}

/// Command 94, which may have to ask storages.
pub(super) async fn set_trunk_server(
    shared: &Shared,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    let SetTrunkServer { group, id } = decode(body)?;
    let chosen = trunk::name(shared, group, id.as_ref()).await?;
    out.extend_from_slice(chosen.as_str().as_bytes());
    out.extend_from_slice(&[0]);
    Ok(())
}

/// What clients and operators ask about the cluster.
fn of_operator(
    shared: &Shared,
    counts: &ConnectionCounts,
    session: &mut Session,
    command: Command,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), Refusal> {
    let client = session.peer.ip();
    let mut state = shared.state();
    match command {
        Command::LIST_ONE_GROUP => {
            let ListOneGroup(name) = decode(body)?;
            let group = state.group(name).ok_or(Status::ENOENT)?;
            GroupList(vec![state.group_record(group)]).encode_body(out);
        }
        Command::LIST_ALL_GROUPS => {
            let ListAllGroups = decode(body)?;
            GroupList(state.groups().iter().map(|group| state.group_record(group)).collect())
                .encode_body(out);
        }
        Command::LIST_STORAGES => {
            let ListStorages { group, id } = decode(body)?;
            let group = state.group(group).ok_or(Status::ENOENT)?;
            let wanted = group.members.iter().filter(|member| id.is_none_or(|id| member.id == id));
            let storages: Vec<_> = wanted.map(|member| state.storage_record(group, member, client)).collect();
            if storages.is_empty() && id.is_some() {
                return Err(Status::ENOENT);
            }
            StorageList { storages, width: state.rules().width }.encode_body(out);
        }
        Command::DELETE_STORAGE => {
            let DeleteStorage { group, id } = decode(body)?;
            state.delete_storage(group, &id, shared.now())?;
        }
        Command::DELETE_GROUP => {
            let DeleteGroup(group) = decode(body)?;
            state.delete_group(group)?;
        }
        Command::SET_STORAGE_MODE => {
            let SetStorageMode { group, id, mode } = decode(body)?;
            state.set_mode(group, &id, mode)?;
        }
        Command::GET_LEADER => {
            let GetLeader = decode(body)?;
            drop(state);
            let leader = peers::leader(shared, &session.peer).ok_or(Status::ENOENT)?;
            out.extend_from_slice(HostPort::from(leader).to_string().as_bytes());
        }
        Command::TRACKER_STAT => {
            let QueryTrackerStatistics { filter_by, is_active, is_leader } = decode(body)?;
            if state.leadership() != Leadership::Own {
                return Err(Status::EOPNOTSUPP);
            }
            drop(state);
            let mut trackers = vec![own_statistics(shared, counts, session)];
            trackers.extend(shared.peers.followers());
            let fits = |bit: u8, has: u8, wanted: u8| filter_by & bit == 0 || (has != 0) == (wanted != 0);
            trackers.retain(|it| fits(1, it.is_active, is_active) && fits(2, it.is_leader, is_leader));
            TrackerStatisticsAnswer(trackers).encode_body(out);
        }
        Command::STORAGE_STAT => storage_statistics(&state, &decode(body)?, client, out),
        Command::GROUP_STAT => group_statistics(&state, &decode(body)?, out),
        Command::QUERY_REPLICATION => {
            let QueryReplication(group) = decode(body)?;
            state.replication(group, shared.now())?.encode_body(out);
        }
        _ => return Err(Status::EINVAL),
    }
    Ok(())
}

fn joined(session: &Session) -> Result<(), Refusal> {
    session.joined.map(|_| ()).ok_or(Status::EACCES)
}

fn my_ip(state: &Cluster, session: &Session, request: &GetMyIp) -> String {
    let peer = session.peer.ip();
    let entry = state.rules().ids.as_ref().and_then(|ids| ids.by_address(&request.group, peer, request.port));
    let addresses: Vec<IpAddr> = match entry {
        Some(entry) => entry.addresses().collect(),
        None => vec![peer],
    };
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn storage_ids(state: &Cluster, request: &FetchStorageIds, out: &mut BytesMut) -> Result<(), Refusal> {
    let chunk = match (&state.rules().ids, request.allow_empty) {
        (None, None | Some(0)) => return Err(Status::EOPNOTSUPP),
        (None, Some(_)) => StorageIdsChunk { total: 0, returned: 0, lines: Bytes::new() },
        (Some(ids), _) => {
            let total = ids.entries().len();
            let start = usize::try_from(request.start).map_err(|_| Status::EINVAL)?;
            if start >= total {
                return Err(Status::EINVAL);
            }
            let (returned, lines) = ids.serve(start, MAX_IDS_CHUNK);
            let number = |count: usize| i32::try_from(count).map_err(|_| Status::EINVAL);
            StorageIdsChunk { total: number(total)?, returned: number(returned)?, lines: lines.into() }
        }
    };
    chunk.encode_body(out);
    Ok(())
}

fn own_statistics(shared: &Shared, counts: &ConnectionCounts, session: &Session) -> TrackerStatistics {
    TrackerStatistics {
        host: HostPort::from(session.peer.local).to_string(),
        is_leader: 1,
        is_active: 1,
        connections: Connections { alloc: counts.max(), current: counts.current(), max: counts.max() },
        version: crate::app::VERSION.to_owned(),
        up_time: shared.up_time(),
        last_heart_beat: shared.now(),
    }
}

fn storage_statistics(state: &Cluster, query: &QueryStorageStatistics, client: IpAddr, out: &mut BytesMut) {
    const BY_TRUNK: u8 = 1;
    const BY_STATUS: u8 = 2;
    let with_trunk = state.rules().use_trunk_file == TrunkMode::On;
    let mut storages = Vec::new();
    for group in state.groups() {
        for member in &group.members {
            let statistics = state.storage_statistics(group, member, client);
            let status_fits = query.filter_by & BY_STATUS == 0
                || match query.operator {
                    b'=' => member.status.0 == query.status,
                    b'!' => member.status.0 != query.status,
                    _ => false,
                };
            let trunk_fits = !with_trunk
                || query.filter_by & BY_TRUNK == 0
                || statistics.is_trunk_server == u8::from(query.is_trunk_server != 0);
            if status_fits && trunk_fits {
                storages.push(statistics);
            }
        }
    }
    StorageStatisticsAnswer {
        use_storage_id: u8::from(state.rules().ids.is_some()),
        use_trunk_file: u8::from(with_trunk),
        storages,
    }
    .encode_body(out);
}

fn group_statistics(state: &Cluster, query: &QueryGroupStatistics, out: &mut BytesMut) {
    const BY_DISK: u8 = 1;
    const BY_TRUNK: u8 = 2;
    const BY_SPACE: u8 = 4;
    let with_trunk = state.rules().use_trunk_file == TrunkMode::On;
    let fits = |bit: u8, has: bool, wanted: u8| query.filter_by & bit == 0 || has == (wanted != 0);
    let groups = state
        .groups()
        .iter()
        .map(|group| state.group_statistics(group))
        .filter(|group| {
            let (disk, trunk) = (group.disk_available != 0, group.trunk_available != 0);
            fits(BY_DISK, disk, query.disk_available)
                && (!with_trunk || fits(BY_TRUNK, trunk, query.trunk_available))
                && fits(BY_SPACE, disk || trunk, query.space_available)
        })
        .collect();
    GroupStatisticsAnswer { use_trunk_file: u8::from(with_trunk), groups }.encode_body(out);
}
