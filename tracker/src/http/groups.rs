//! Groups as lists show them.

use axum::extract::{Path, State};
use gateway::problem::Problem;
use protocol::cluster::StorageStatus;
use serde::Serialize;

use super::App;
use super::pairs::PairView;
use super::problems::no_such_group;
use super::query::parse_group;
use crate::state::{Cluster, Group, TrunkMode};

#[derive(Serialize)]
pub(super) struct GroupView {
    name: String,
    total_mb: i64,
    free_mb: i64,
    reserved_mb: i64,
    /// Free above the reserve.
    available_mb: i64,
    trunk_free_mb: i64,
    /// All but tombstones.
    storages: usize,
    active: usize,
    readable: usize,
    writable: usize,
    store_path_count: i64,
    subdir_count: i64,
    /// Of all members; nothing where they differ.
    native_port: Option<u16>,
    trunk_server: Option<String>,
    /// Nothing where the cluster uses no trunk files.
    trunk_file_id: Option<i32>,
    replication: Vec<PairView>,
}

impl GroupView {
    fn of(state: &Cluster, group: &Group, now: i64) -> Self {
        let there = || group.members.iter().filter(|member| !member.is_gone());
        let has_trunk = state.rules().use_trunk_file == TrunkMode::On;
        let space = state.group_statistics(group);
        Self {
            name: group.name.to_string(),
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb: space.reserved_mb,
            available_mb: space.available_mb,
            trunk_free_mb: group.trunk_free_mb,
            storages: there().count(),
            active: there().filter(|member| member.status == StorageStatus::ACTIVE).count(),
            readable: group.readable().count(),
            writable: group.writable().count(),
            store_path_count: group.store_path_count,
            subdir_count: group.subdir_count,
            native_port: group.port,
            trunk_server: group.trunk_server.map(|id| id.to_string()),
            trunk_file_id: has_trunk.then_some(group.trunk_file_id),
            replication: group.pairs(now).iter().map(PairView::of).collect(),
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

pub(super) async fn group(
    State(shared): App,
    Path(group): Path<String>,
) -> Result<axum::Json<GroupView>, Problem> {
    let name = parse_group(&group)?;
    let state = shared.state();
    let group = state.group(name).ok_or_else(|| no_such_group(name))?;
    Ok(axum::Json(GroupView::of(&state, group, shared.now())))
}
