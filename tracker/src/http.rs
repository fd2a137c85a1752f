//! REST on the tracker: health, lists, and the first scheduling calls. They are the native calls of the state.

mod lists;
mod trackers;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use gateway::problem::Problem;
use gateway::rest::{file_id_of, method_not_allowed};
use gateway::routes::Routes;
use gateway::server::ClientAddress;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use protocol::config::params::StorePathChoice;
use protocol::tracker::{FileName, Server};
use protocol::{FileId, GroupName, Status};
use serde::{Deserialize, Serialize};

use crate::app::Shared;
use crate::state::Cluster;
use lists::{groups, storage, storages};

type App = State<Arc<Shared>>;
type Client = Extension<ClientAddress>;

/// All routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Routes {
    Routes::new()
        .on(Method::GET, "/healthz", healthz)
        .on(Method::GET, "/readyz", readyz)
        .on(Method::GET, "/v1/trackers", trackers::trackers)
        .on(Method::GET, "/v1/groups", groups)
        .on(Method::GET, "/v1/groups/{group}/storages", storages)
        .on(Method::GET, "/v1/groups/{group}/storages/{id}", storage)
        .on(Method::GET, "/v1/schedule/upload", schedule_upload)
        .on(Method::POST, "/v1/schedule/upload", schedule_upload)
        .on(Method::GET, "/v1/schedule/download/{file_id}", schedule_download)
        .on(Method::GET, "/v1/schedule/update/{file_id}", schedule_update)
        .on(Method::GET, "/{group}/{store_path}/{high}/{low}/{name}", redirect_to_file)
        .with(|router| router.fallback(not_found).method_not_allowed_fallback(method_not_allowed))
        .with_state(shared)
}

async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "nothing is served here; see openapi.yaml for the paths",
    )
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process answers.
async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// An upload could be scheduled: some storage is active.
async fn readyz(State(shared): App) -> Response {
    if shared.state().has_active_storage() {
        axum::Json(Health { status: "ready" }).into_response()
    } else {
        let detail = "no storage is active; start one, or see its log for why it does not join";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_active_storage", detail).into_response()
    }
}

#[derive(Deserialize)]
struct UploadQuery {
    group: Option<String>,
}

#[derive(Serialize)]
struct UploadPlace {
    group: String,
    ip: String,
    native_port: u16,
    /// Index, and whether the next upload gets another one.
    store_path: u8,
    store_path_choice: &'static str,
    upload_url: String,
}

async fn schedule_upload(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Query(query): Query<UploadQuery>,
) -> Result<axum::Json<UploadPlace>, Problem> {
    let group = query.group.as_deref().map(parse_group).transpose()?;
    let mut state = shared.state();
    let place = state.query_store(group, client.ip()).map_err(|status| refused(status, "an upload"))?;
    let server = place.servers.first().ok_or_else(|| refused(Status::ENOENT, "an upload"))?;
    let store_path_choice = match state.rules().store_path {
        StorePathChoice::RoundRobin => "round_robin",
        StorePathChoice::MostFree => "most_free",
    };
    Ok(axum::Json(UploadPlace {
        group: place.group.to_string(),
        ip: server.ip.to_string(),
        native_port: server.port,
        store_path: place.store_path.0,
        store_path_choice,
        upload_url: format!("{}/v1/files", base_url(&shared, &state, place.group, server)),
    }))
}

#[derive(Serialize)]
struct Place {
    ip: String,
    native_port: u16,
    url: String,
}

#[derive(Serialize)]
struct Places {
    file_id: String,
    places: Vec<Place>,
}

async fn schedule_download(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path(file_id): Path<String>,
) -> Result<axum::Json<Places>, Problem> {
    let (id, name) = parse_file(&file_id)?;
    let state = shared.state();
    let servers = state.query_fetch_all(id.group, &name, client.ip(), shared.now());
    let servers = servers.map_err(|status| refused(status, "a download"))?;
    Ok(axum::Json(places(&shared, &state, &id, &servers)))
}

async fn schedule_update(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path(file_id): Path<String>,
) -> Result<axum::Json<Places>, Problem> {
    let (id, name) = parse_file(&file_id)?;
    let mut state = shared.state();
    let server = state.query_update(id.group, &name, client.ip());
    let server = server.map_err(|status| refused(status, "an update"))?;
    Ok(axum::Json(places(&shared, &state, &id, &[server])))
}

/// A file's URL on a tracker leads to a member that has it.
async fn redirect_to_file(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path((group, path, high, low, name)): Path<(String, String, String, String, String)>,
) -> Result<Response, Problem> {
    let (id, name) = parse_file(&format!("{group}/{path}/{high}/{low}/{name}"))?;
    let mut state = shared.state();
    let server = state.query_fetch(id.group, &name, client.ip(), shared.now());
    let server = server.map_err(|status| refused(status, "a download"))?;
    let location = HeaderValue::try_from(format!("{}/{id}", base_url(&shared, &state, id.group, &server)))
        .map_err(|_| refused(Status::EINVAL, "a download"))?;
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
}

fn places(shared: &Shared, state: &Cluster, id: &FileId, servers: &[Server]) -> Places {
    let place = |server: &Server| Place {
        ip: server.ip.to_string(),
        native_port: server.port,
        url: format!("{}/{id}", base_url(shared, state, id.group, server)),
    };
    Places { file_id: id.to_string(), places: servers.iter().map(place).collect() }
}

/// Where a storage serves HTTP: as it says itself; of FastDFS's, which does not say, at the configured port.
fn base_url(shared: &Shared, state: &Cluster, group: GroupName, server: &Server) -> String {
    let url = state.group(group).and_then(|group| group.http_url(server.ip, server.port));
    url.map_or_else(
        || format!("http://{}", SocketAddr::new(server.ip, shared.storage_http_port)),
        str::to_owned,
    )
}

fn parse_group(text: &str) -> Result<GroupName, Problem> {
    let detail = "a group name is 1 to 16 letters or digits, such as group1";
    GroupName::parse(text).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "bad_group_name", detail))
}

fn parse_file(text: &str) -> Result<(FileId, FileName), Problem> {
    let id = file_id_of(text)?;
    // A name is never longer than the field that it has in messages.
    let name = FileName::new(id.name.as_str().as_bytes()).map_err(|_| refused(Status::EINVAL, "a file"))?;
    Ok((id, name))
}

/// A refusal of the state in HTTP's terms.
fn refused(status: Status, what: &str) -> Problem {
    match status {
        Status::ENOSPC => {
            let detail = format!(
                "no group has room for {what} above its reserved_storage_space; add space or a group"
            );
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", detail)
        }
        Status::ENOENT => {
            let detail = format!("no active storage serves {what}; check the group's name and fdfs monitor");
            Problem::new(StatusCode::NOT_FOUND, "no_storage", detail)
        }
        status => Problem::new(StatusCode::BAD_REQUEST, "refused", format!("status {status} for {what}")),
    }
}

#[cfg(test)]
mod tests;
