//! What operators do: delete a storage or a group, name the trunk server, set what clients may ask of a storage.
//!
//! Every tracker has its own view, and FastDFS's tools tell each of them. So does this one: it does its own part first, then
//! tells the others natively (93, 108, 202), and answers what each said. A tracker that was away is told by asking again.
//! Only the leader names a trunk server (94); others pass that on to it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use gateway::authority::Scope;
use gateway::problem::Problem;
use http::StatusCode;
use http::request::Parts;
use protocol::cluster::StorageStatus;
use protocol::config::storage_ids::RwMode;
use protocol::tracker::{DeleteGroup, DeleteStorage, SetStorageMode, SetTrunkServer};
use protocol::wire::until_nul;
use protocol::{GroupName, Status, StorageId};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::App;
use super::problems::{no_such_group, no_such_storage};
use super::query::parse_group;
use super::storages::mode_word;
use crate::app::Shared;
use crate::peers::tell::{Said, statuses_elsewhere, tell_one, tell_others};
use crate::state::Leadership;
use crate::trunk;

/// Longest body: a small document.
const MAX_BODY: usize = 4096;

/// What one tracker said.
#[derive(Serialize)]
struct TrackerView {
    /// Nothing before a storage has told by which address it knows this one.
    address: Option<SocketAddr>,
    is_own: bool,
    /// `done`, `already`, `unknown`, `refused`, `unsupported` or `unreachable`.
    outcome: &'static str,
}

#[derive(Serialize)]
pub(super) struct Outcome {
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    trackers: Vec<TrackerView>,
}

fn outcome(said: Said) -> &'static str {
    match said {
        Said::Done => "done",
        Said::Refused(Status::EALREADY) => "already",
        Said::Refused(Status::ENOENT) => "unknown",
        Said::Refused(Status::EINVAL) => "unsupported",
        Said::Refused(_) => "refused",
        Said::Nothing => "unreachable",
    }
}

fn views(shared: &Shared, own: Said, others: Vec<(SocketAddr, Said)>) -> Vec<TrackerView> {
    let own = TrackerView { address: shared.peers.known().0, is_own: true, outcome: outcome(own) };
    let other =
        |(address, said)| TrackerView { address: Some(address), is_own: false, outcome: outcome(said) };
    [own].into_iter().chain(others.into_iter().map(other)).collect()
}

/// Who may do this, and to which group.
fn admit(shared: &Shared, request: &Parts, group: &str) -> Result<GroupName, Problem> {
    let name = parse_group(group)?;
    let grant = shared.site.now().authority.check(request, Scope::Admin, Some(name))?;
    info!(who = grant.who, method = %request.method, path = request.uri.path(), "admin call");
    Ok(name)
}

fn storage_of(shared: &Shared, group: GroupName, id: &str) -> Result<StorageId, Problem> {
    let state = shared.state();
    let group_of = state.group(group).ok_or_else(|| no_such_group(group))?;
    let id = StorageId::parse(id).ok().filter(|id| group_of.member(id).is_some());
    id.ok_or_else(|| no_such_storage(group))
}

fn in_service(tracker: Option<SocketAddr>) -> Problem {
    let whose = tracker.map(|tracker| format!("tracker {tracker} has it so; ")).unwrap_or_default();
    let detail = format!("the storage is in service: {whose}stop it first, then delete it");
    Problem::new(StatusCode::CONFLICT, "storage_in_service", detail)
}

/// Turns a storage that is not in service into a tombstone, at every tracker.
pub(super) async fn delete_storage(
    State(shared): App,
    Path((group, id)): Path<(String, String)>,
    request: Parts,
) -> Result<axum::Json<Outcome>, Problem> {
    let group = admit(&shared, &request, &group)?;
    let id = storage_of(&shared, group, &id)?;
    match shared.state().may_delete(group, &id) {
        Err(Status::EBUSY) => return Err(in_service(None)),
        Err(Status::ENOENT) => return Err(no_such_storage(group)),
        _ => {}
    }
    let serves = |status: StorageStatus| {
        [StorageStatus::ONLINE, StorageStatus::ACTIVE, StorageStatus::RECOVERY].contains(&status)
    };
    let elsewhere = statuses_elsewhere(&shared, group, id).await;
    if let Some((tracker, _)) = elsewhere.into_iter().find(|(_, status)| serves(*status)) {
        return Err(in_service(Some(tracker)));
    }
    let own = match shared.state().delete_storage(group, &id, shared.now()) {
        Err(Status::EBUSY) => return Err(in_service(None)),
        Err(status) => Said::Refused(status),
        Ok(()) => Said::Done,
    };
    shared.saver.before_answer(&shared).await;
    let others = tell_others(&shared, DeleteStorage { group, id }).await;
    if own != Said::Done && others.iter().all(|(_, said)| *said != Said::Done) {
        let detail = "every tracker that answers has deleted this storage already";
        return Err(Problem::new(StatusCode::CONFLICT, "already_deleted", detail));
    }
    let trackers = views(&shared, own, others);
    let (group, storage) = (group.to_string(), Some(id.to_string()));
    Ok(axum::Json(Outcome { group, storage, mode: None, trackers }))
}

/// Removes a group whose storages were deleted, at every tracker.
pub(super) async fn delete_group(
    State(shared): App,
    Path(group): Path<String>,
    request: Parts,
) -> Result<axum::Json<Outcome>, Problem> {
    let group = admit(&shared, &request, &group)?;
    match shared.state().delete_group(group) {
        Ok(()) => {}
        Err(Status::EBUSY) => {
            let detail = "the group has storages; delete each of them first";
            return Err(Problem::new(StatusCode::CONFLICT, "group_not_empty", detail));
        }
        Err(_) => return Err(no_such_group(group)),
    }
    shared.saver.before_answer(&shared).await;
    let others = tell_others(&shared, DeleteGroup(group)).await;
    let trackers = views(&shared, Said::Done, others);
    Ok(axum::Json(Outcome { group: group.to_string(), storage: None, mode: None, trackers }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrunkServer {
    storage: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NamedTrunkServer {
    group: String,
    trunk_server: String,
}

/// Names the trunk server of a group, or lets the leader choose it.
pub(super) async fn set_trunk_server(
    State(shared): App,
    Path(group): Path<String>,
    request: Parts,
    body: Body,
) -> Result<axum::Json<NamedTrunkServer>, Problem> {
    let group = admit(&shared, &request, &group)?;
    let TrunkServer { storage } = document(body).await?;
    if shared.state().group(group).is_none() {
        return Err(no_such_group(group));
    }
    let id = storage.map(|id| storage_of(&shared, group, &id)).transpose()?;
    let leadership = shared.state().leadership();
    let said = match leadership {
        Leadership::Other(leader) => {
            tell_one(&shared, leader, &SetTrunkServer { group, id }).await.and_then(|text| {
                let chosen =
                    std::str::from_utf8(until_nul(&text)).ok().and_then(|id| StorageId::parse(id).ok());
                chosen.ok_or(Said::Nothing)
            })
        }
        Leadership::Own | Leadership::Unknown => {
            trunk::name(&shared, group, id.as_ref()).await.map_err(Said::Refused)
        }
    };
    match said {
        Ok(chosen) => {
            let (group, trunk_server) = (group.to_string(), chosen.to_string());
            Ok(axum::Json(NamedTrunkServer { group, trunk_server }))
        }
        Err(Said::Refused(status)) => Err(no_trunk_server(status)),
        Err(Said::Done | Said::Nothing) => {
            let detail = "the leading tracker does not answer; see /v1/trackers, and try again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_leader", detail))
        }
    }
}

fn no_trunk_server(status: Status) -> Problem {
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    match status {
        Status::EOPNOTSUPP => {
            let detail =
                "the cluster uses no trunk files (use_trunk_file in tracker.conf), or no tracker leads";
            conflict("trunk_files_off", detail)
        }
        Status::EALREADY => conflict("already_trunk_server", "the storage is the trunk server already"),
        Status::EEXIST => {
            let detail = "another trunk server is in service; stop it first";
            conflict("trunk_server_in_service", detail)
        }
        Status::ENONET => conflict("storage_not_active", "the storage is not in service"),
        Status::EACCES => conflict("storage_not_writable", "the storage takes no uploads; see its mode"),
        _ => {
            let detail = "no storage of the group that takes uploads answers the tracker; see /v1/groups";
            conflict("no_trunk_server", detail)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mode {
    mode: String,
}

/// Sets what clients may ask of a storage, at every tracker that can.
pub(super) async fn set_mode(
    State(shared): App,
    Path((group, id)): Path<(String, String)>,
    request: Parts,
    body: Body,
) -> Result<axum::Json<Outcome>, Problem> {
    let group = admit(&shared, &request, &group)?;
    let Mode { mode } = document(body).await?;
    let id = storage_of(&shared, group, &id)?;
    let modes = [RwMode::Both, RwMode::Read, RwMode::Write, RwMode::None];
    let mode = modes.into_iter().find(|known| mode_word(*known) == mode);
    let mode = mode.ok_or_else(|| bad_document("mode has to be rw, r, w or none"))?;
    if shared.state().set_mode(group, &id, mode).is_err() {
        return Err(no_such_storage(group));
    }
    shared.saver.before_answer(&shared).await;
    let others = tell_others(&shared, SetStorageMode { group, id, mode }).await;
    let trackers = views(&shared, Said::Done, others);
    let (group, storage) = (group.to_string(), Some(id.to_string()));
    Ok(axum::Json(Outcome { group, storage, mode: Some(mode_word(mode)), trackers }))
}

fn bad_document(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_document", format!("the body is no such JSON document: {why}"))
}

/// A small JSON document.
async fn document<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| bad_document("it is too long, or broke off"))?;
    serde_json::from_slice(&bytes).map_err(|error| bad_document(&error.to_string()))
}

/// The routes of this file.
pub(super) fn routes() -> gateway::routes::Routes<Arc<Shared>> {
    use http::Method;
    gateway::routes::Routes::new()
        .on(Method::DELETE, "/v1/groups/{group}", delete_group)
        .on(Method::PUT, "/v1/groups/{group}/trunk-server", set_trunk_server)
        .on(Method::DELETE, "/v1/groups/{group}/storages/{id}", delete_storage)
        .on(Method::PUT, "/v1/groups/{group}/storages/{id}/mode", set_mode)
}
