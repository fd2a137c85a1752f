//! Scheduling: where to upload, read and change, by the functions that answer native clients, too.

use axum::extract::{Extension, Path, RawQuery, State};
use gateway::problem::Problem;
use gateway::rest::file_id_of;
use gateway::server::ClientAddress;
use protocol::config::params::StorePathChoice;
use protocol::tracker::FileName;
use protocol::{FileId, Status, StorageId};
use serde::Serialize;

use super::places::{Addresses, base_url};
use super::problems::{no_such_group, nobody_for_file, not_placed};
use super::query::Params;
use super::{App, Client};
use crate::app::Shared;
use crate::state::{Cluster, Door, Has, Member, Wanted};

/// Places that one call gives.
pub(super) const MAX_COUNT: u64 = 100;
/// Largest size that is asked for: what a file may have in the native protocol.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

#[derive(Serialize)]
struct UploadPlace {
    group: String,
    #[serde(flatten)]
    addresses: Addresses,
    /// Index, and whether the next upload gets another one.
    store_path: u8,
    store_path_choice: &'static str,
    /// Nothing where the storage takes uploads by the native protocol only.
    upload_url: Option<String>,
    resumable_url: Option<String>,
}

#[derive(Serialize)]
pub(super) struct UploadPlaces {
    places: Vec<UploadPlace>,
}

pub(super) async fn upload(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<UploadPlaces>, Problem> {
    let params = Params::of(query.as_deref())?;
    let wanted = Wanted {
        group: params.group()?,
        size: params.number("size", 0..=MAX_SIZE)?.unwrap_or(0),
        door: Door::Either,
    };
    let count = params.number("count", 1..=MAX_COUNT)?.unwrap_or(1);
    shared.await_return().await;
    let mut state = shared.state();
    let store_path_choice = match state.rules().store_path {
        StorePathChoice::RoundRobin => "round_robin",
        StorePathChoice::MostFree => "most_free",
    };
    let mut places = Vec::new();
    for _ in 0..count {
        let placed = state.place(&wanted).map_err(|status| not_placed(&state, &wanted, status))?;
        let member = member(&state, placed.group, &placed.storage)?;
        places.push(UploadPlace {
            group: placed.group.to_string(),
            addresses: Addresses::of(member, client.ip()),
            store_path: placed.store_path.0,
            store_path_choice,
            upload_url: member.http_url().map(|base| format!("{base}/v1/files")),
            resumable_url: member.http_url().map(|base| format!("{base}/v1/uploads")),
        });
    }
    Ok(axum::Json(UploadPlaces { places }))
}

#[derive(Serialize)]
struct FilePlace {
    #[serde(flatten)]
    addresses: Addresses,
    /// The file's URL there.
    url: String,
    /// What the file is asked about and changed by; nothing where the storage has no REST.
    rest_url: Option<String>,
}

impl FilePlace {
    fn of(shared: &Shared, member: &Member, id: &FileId, client: std::net::IpAddr) -> Self {
        Self {
            addresses: Addresses::of(member, client),
            url: format!("{}/{id}", base_url(shared, member, client)),
            rest_url: member.http_url().map(|base| format!("{base}/v1/files/{id}")),
        }
    }
}

#[derive(Serialize)]
pub(super) struct FilePlaces {
    file_id: String,
    places: Vec<FilePlace>,
}

pub(super) async fn download(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path(file_id): Path<String>,
) -> Result<axum::Json<FilePlaces>, Problem> {
    let (id, name) = parse_file(&file_id)?;
    shared.await_return().await;
    let mut state = shared.state();
    let ranked = state.rank_readers(id.group, &name, shared.now());
    let ranked = ranked.map_err(|status| nobody_for_file(&state, id.group, status, "reads"))?;
    let places = ranked.iter().map(|storage| {
        member(&state, id.group, storage).map(|member| FilePlace::of(&shared, member, &id, client.ip()))
    });
    Ok(axum::Json(FilePlaces { file_id: id.to_string(), places: places.collect::<Result<_, _>>()? }))
}

pub(super) async fn update(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path(file_id): Path<String>,
) -> Result<axum::Json<FilePlaces>, Problem> {
    let (id, name) = parse_file(&file_id)?;
    shared.await_return().await;
    let mut state = shared.state();
    let storage = state.choose_changer(id.group, &name, Door::Native);
    let storage = storage.map_err(|status| nobody_for_file(&state, id.group, status, "changes"))?;
    let place = FilePlace::of(&shared, member(&state, id.group, &storage)?, &id, client.ip());
    Ok(axum::Json(FilePlaces { file_id: id.to_string(), places: vec![place] }))
}

#[derive(Serialize)]
struct HolderView {
    #[serde(flatten)]
    addresses: Addresses,
    status: &'static str,
    is_source: bool,
    has: &'static str,
    last_synced: Option<i64>,
    url: String,
}

#[derive(Serialize)]
pub(super) struct Holders {
    file_id: String,
    group: String,
    holders: Vec<HolderView>,
}

pub(super) async fn holders(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path(file_id): Path<String>,
) -> Result<axum::Json<Holders>, Problem> {
    let (id, name) = parse_file(&file_id)?;
    let state = shared.state();
    let found = state.holders(id.group, &name, shared.now()).map_err(|_| no_such_group(id.group))?;
    let view = |holder: &crate::state::Holder| {
        let member = member(&state, id.group, &holder.storage)?;
        Ok::<_, Problem>(HolderView {
            addresses: Addresses::of(member, client.ip()),
            status: member.status.name(),
            is_source: holder.is_source,
            has: match holder.has {
                Has::Yes => "yes",
                Has::NotYet => "not_yet",
                Has::Unknown => "unknown",
            },
            last_synced: holder.synced,
            url: format!("{}/{id}", base_url(&shared, member, client.ip())),
        })
    };
    let holders = found.iter().map(view).collect::<Result<_, _>>()?;
    Ok(axum::Json(Holders { file_id: id.to_string(), group: id.group.to_string(), holders }))
}

/// A member that the state has just named.
pub(super) fn member<'a>(
    state: &'a Cluster,
    group: protocol::GroupName,
    id: &StorageId,
) -> Result<&'a Member, Problem> {
    let found = state.group(group).and_then(|group| group.member(id));
    found.ok_or_else(|| nobody_for_file(state, group, Status::ENOENT, "this"))
}

/// A file ID, and its name as messages carry it.
pub(super) fn parse_file(text: &str) -> Result<(FileId, FileName), Problem> {
    let id = file_id_of(text)?;
    // A name is never longer than the field that it has in messages.
    let name = FileName::new(id.name.as_str().as_bytes()).map_err(|_| {
        let detail = "a file ID looks like group1/M00/00/00/NAME, as the upload answered it";
        Problem::new(http::StatusCode::NOT_FOUND, "bad_file_id", detail)
    })?;
    Ok((id, name))
}
