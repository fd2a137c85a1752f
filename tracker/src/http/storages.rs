//! Storages as lists show them: what FastDFS's monitor shows, and where they serve HTTP.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use gateway::problem::Problem;
use protocol::StorageId;
use protocol::cluster::StorageStats;
use protocol::config::storage_ids::RwMode;
use serde::Serialize;

use super::App;
use super::pairs::PairView;
use super::problems::{no_such_group, no_such_storage};
use super::query::parse_group;
use crate::state::{Cluster, Group, Member, Pair};

/// The words for what clients may ask.
pub(super) fn mode_word(mode: RwMode) -> &'static str {
    match mode {
        RwMode::Both => "rw",
        RwMode::Read => "r",
        RwMode::Write => "w",
        RwMode::None => "none",
    }
}

/// Space of a store path, as last reported.
#[derive(Serialize)]
struct PathView {
    /// As in names: `M00` is 0.
    index: usize,
    total_mb: i64,
    free_mb: i64,
}

/// Connections of clients and members to its native port.
#[derive(Serialize)]
struct Connections {
    allocated: i32,
    current: i32,
    max: i32,
}

/// What an operation has come to since the storage was first started.
#[derive(Serialize)]
struct Counter {
    total: i64,
    success: i64,
}

#[derive(Serialize)]
struct StorageView {
    id: String,
    ip: String,
    alternate_ip: Option<String>,
    port: u16,
    native_address: String,
    http_url: Option<String>,
    status: &'static str,
    /// What clients may ask of it: now, and by the table of storage ids.
    mode: &'static str,
    configured_mode: &'static str,
    version: String,
    join_time: i64,
    up_time: i64,
    uptime_seconds: Option<i64>,
    total_mb: i64,
    free_mb: i64,
    reserved_mb: i64,
    paths: Vec<PathView>,
    store_path_count: i64,
    subdir_count: i64,
    current_write_path: usize,
    upload_priority: i64,
    is_trunk_server: bool,
    sync_source: Option<String>,
    sync_until: Option<i64>,
    last_heart_beat: i64,
    last_source_update: i64,
    last_sync_update: i64,
    last_synced: i64,
    connections: Connections,
    counters: BTreeMap<&'static str, Counter>,
}

impl StorageView {
    fn of(state: &Cluster, group: &Group, member: &Member, now: i64) -> Self {
        let path = |(index, path): (usize, &protocol::cluster::PathSpace)| PathView {
            index,
            total_mb: path.total_mb,
            free_mb: path.free_mb,
        };
        let stats = &member.stats;
        Self {
            id: member.id.to_string(),
            ip: member.ip.to_string(),
            alternate_ip: member.alternate_ip.map(|ip| ip.to_string()),
            port: member.port,
            native_address: std::net::SocketAddr::new(member.ip, member.port).to_string(),
            http_url: member.http_url().map(str::to_owned),
            status: member.status.name(),
            mode: mode_word(member.rw),
            configured_mode: mode_word(state.configured_mode(&member.id)),
            version: member.version.clone(),
            join_time: member.join_time,
            up_time: member.up_time,
            uptime_seconds: (member.up_time > 0).then_some((now - member.up_time).max(0)),
            total_mb: member.total_mb,
            free_mb: member.free_mb,
            reserved_mb: state.reserved_mb(member.total_mb),
            paths: member.paths.iter().enumerate().map(path).collect(),
            store_path_count: member.store_path_count,
            subdir_count: member.subdir_count,
            current_write_path: member.current_write_path,
            upload_priority: member.upload_priority,
            is_trunk_server: group.trunk_server == Some(member.id),
            sync_source: member.source.map(|source| source.to_string()),
            sync_until: (member.sync_until > 0).then_some(member.sync_until),
            last_heart_beat: member.last_beat,
            last_source_update: stats.last_source_update,
            last_sync_update: stats.last_sync_update,
            last_synced: member.last_synced,
            connections: Connections {
                allocated: stats.connections_alloc,
                current: stats.connections_current,
                max: stats.connections_max,
            },
            counters: counters(stats),
        }
    }
}

/// Totals and successes by what was done: `upload_count`, `upload_bytes` and so on.
fn counters(stats: &StorageStats) -> BTreeMap<&'static str, Counter> {
    let mut counters = BTreeMap::new();
    for (name, value) in StorageStats::NAMES.iter().zip(stats.numbers()) {
        let empty = || Counter { total: 0, success: 0 };
        if let Some(of) = name.strip_prefix("total_") {
            counters.entry(of).or_insert_with(empty).total = value;
        } else if let Some(of) = name.strip_prefix("success_") {
            counters.entry(of).or_insert_with(empty).success = value;
        }
    }
    counters
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
    let (state, now) = (shared.state(), shared.now());
    let group = state.group(name).ok_or_else(|| no_such_group(name))?;
    let views = group.members.iter().map(|member| StorageView::of(&state, group, member, now));
    Ok(axum::Json(Storages { storages: views.collect() }))
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
    let (state, now) = (shared.state(), shared.now());
    let group = state.group(name).ok_or_else(|| no_such_group(name))?;
    let member = StorageId::parse(&id).ok().and_then(|id| group.member(&id));
    let member = member.ok_or_else(|| no_such_storage(name))?;
    let pairs = group.pairs(now);
    let of = |is_it: fn(&Pair, &StorageId) -> bool| {
        pairs.iter().filter(|pair| is_it(pair, &member.id)).map(PairView::of).collect()
    };
    Ok(axum::Json(OneStorage {
        storage: StorageView::of(&state, group, member, now),
        sends: of(|pair, id| pair.source == *id),
        receives: of(|pair, id| pair.destination == *id),
    }))
}
