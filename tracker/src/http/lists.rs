//! Groups, their members, and how far replication between these is.

use axum::extract::{Path, State};
use gateway::problem::Problem;
use http::StatusCode;
use protocol::{Status, StorageId};
use serde::Serialize;

use super::{App, parse_group, refused};
use crate::state::{Cluster, Group, Member, Pair};

#[derive(Serialize)]
struct GroupView {
    name: String,
    total_mb: i64,
    free_mb: i64,
    reserved_mb: i64,
    storages: usize,
    readable: usize,
    writable: usize,
    store_path_count: i64,
    replication: Vec<PairView>,
}

impl GroupView {
    fn of(state: &Cluster, group: &Group, now: i64) -> Self {
        Self {
            name: group.name.to_string(),
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb: state.group_record(group).reserved_mb,
            storages: group.members.len(),
            readable: group.readable().count(),
            writable: group.writable().count(),
            store_path_count: group.store_path_count,
            replication: group.pairs(now).iter().map(PairView::of).collect(),
        }
    }
}

/// The way from one member to another. Where the source is FastDFS's, only timestamps are known.
#[derive(Serialize)]
struct PairView {
    source: String,
    destination: String,
    /// `reports` of the sender, or `timestamps` of the receiver.
    known_by: &'static str,
    state: Option<&'static str>,
    lag_seconds: Option<i64>,
    files_to_go: Option<i64>,
    bytes_to_go: Option<i64>,
    per_second: Option<i64>,
    seconds_to_go: Option<i64>,
    dead_letters: Option<i64>,
    last_synced: Option<i64>,
}

impl PairView {
    fn of(pair: &Pair) -> Self {
        let sender = pair.sender.as_ref();
        Self {
            source: pair.source.to_string(),
            destination: pair.destination.to_string(),
            known_by: if sender.is_some() { "reports" } else { "timestamps" },
            state: sender.map(|sender| sender.state.name()),
            lag_seconds: pair.lag_seconds,
            files_to_go: sender.map(|sender| sender.files_to_go),
            bytes_to_go: sender.map(|sender| sender.bytes_to_go),
            per_second: sender.map(|sender| sender.per_second),
            seconds_to_go: sender.and_then(|sender| sender.seconds_to_go()),
            dead_letters: sender.map(|sender| sender.dead_letters),
            last_synced: (pair.synced > 0).then_some(pair.synced),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Groups {
    groups: Vec<GroupView>,
}

pub(super) async fn groups(State(shared): App) -> axum::Json<Groups> {
    let (state, now) = (shared.state(), shared.now());
    let views = state.groups().iter().map(|group| GroupView::of(&state, group, now));
    axum::Json(Groups { groups: views.collect() })
}

#[derive(Serialize)]
struct StorageView {
    id: String,
    ip: String,
    port: u16,
    status: &'static str,
    version: String,
    total_mb: i64,
    free_mb: i64,
    join_time: i64,
    up_time: i64,
    last_heart_beat: i64,
    last_synced: i64,
    http_url: Option<String>,
    sync_source: Option<String>,
}

impl StorageView {
    fn of(member: &Member) -> Self {
        let url = member.reported.as_ref().map(|reported| reported.report.http_url.clone());
        Self {
            id: member.id.to_string(),
            ip: member.ip.to_string(),
            port: member.port,
            status: member.status.name(),
            version: member.version.clone(),
            total_mb: member.total_mb,
            free_mb: member.free_mb,
            join_time: member.join_time,
            up_time: member.up_time,
            last_heart_beat: member.last_beat,
            last_synced: member.last_synced,
            http_url: url.filter(|url| !url.is_empty()),
            sync_source: member.source.map(|source| source.to_string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Storages {
    storages: Vec<StorageView>,
}

pub(super) async fn storages(
    State(shared): App,
    Path(group): Path<String>,
) -> Result<axum::Json<Storages>, Problem> {
    let name = parse_group(&group)?;
    let state = shared.state();
    let group = state.group(name).ok_or_else(|| refused(Status::ENOENT, "this group"))?;
    Ok(axum::Json(Storages { storages: group.members.iter().map(StorageView::of).collect() }))
}

/// A member, whom it sends to and from whom it receives.
#[derive(Serialize)]
pub(super) struct OneStorage {
    #[serde(flatten)]
    storage: StorageView,
    sends: Vec<PairView>,
    receives: Vec<PairView>,
}

pub(super) async fn storage(
    State(shared): App,
    Path((group, id)): Path<(String, String)>,
) -> Result<axum::Json<OneStorage>, Problem> {
    let name = parse_group(&group)?;
    let state = shared.state();
    let group = state.group(name).ok_or_else(|| refused(Status::ENOENT, "this group"))?;
    let member = StorageId::parse(&id).ok().and_then(|id| group.member(&id)).ok_or_else(|| {
        let detail = "the group has no such storage; /v1/groups/{group}/storages lists the ids";
        Problem::new(StatusCode::NOT_FOUND, "no_such_storage", detail)
    })?;
    let pairs = group.pairs(shared.now());
    let of = |is_it: fn(&Pair, &StorageId) -> bool| {
        pairs.iter().filter(|pair| is_it(pair, &member.id)).map(PairView::of).collect()
    };
    Ok(axum::Json(OneStorage {
        storage: StorageView::of(member),
        sends: of(|pair, id| pair.source == *id),
        receives: of(|pair, id| pair.destination == *id),
    }))
}
