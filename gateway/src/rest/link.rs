//! `POST /v1/files/{file_id}/links`: another name for a file.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use protocol::file_id::FileExt;
use serde::Serialize;

use super::place::{Placed, place};
use super::slave::prefix_of;
use super::upload::{bad, base_url, write_failed};
use super::{Shared, file_id_of};
use crate::authority::Scope;
use crate::files::{Errand, Files, LinkName};
use crate::problem::Problem;
use crate::query::QueryString;

/// A new link.
#[derive(Serialize)]
struct Linked {
    file_id: String,
    url: String,
    group: String,
    /// The file that it leads to.
    target: String,
    /// Bytes of that.
    size: u64,
    /// Unix seconds.
    timestamp: u32,
}

/// Makes a link, with a name of its own or as a slave of `master`.
pub(super) async fn create<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = file_id_of(&file_id)?;
    let (parts, body) = request.into_parts();
    let grant = served.site.now().authority.check(&parts, Scope::Write, Some(id.group))?;
    let query = QueryString::of(&parts.uri);
    let ext = query.get("ext").map_or_else(|| id.name.extension().to_owned(), std::borrow::Cow::into_owned);
    let ext = FileExt::parse(ext.strip_prefix('.').unwrap_or(&ext))
        .map_err(|_| bad("bad_extension", "an extension has up to 6 letters, digits, '.', '_' or '-'"))?;
    let master = match query.get("master") {
        None if query.get("prefix").is_some_and(|prefix| !prefix.is_empty()) => {
            return Err(bad("bad_prefix", "the parameter prefix goes with master, whose name it stands in"));
        }
        None => None,
        Some(master) => {
            let master = file_id_of(&master)?;
            if master.group != id.group {
                return Err(bad(
                    "other_group",
                    "a link lies in the group of its file, and so does its master",
                ));
            }
            Some((master.name, prefix_of(query)?))
        }
    };
    let base = base_url(&parts.headers);
    let request = Request::from_parts(parts, body);
    if let Placed::Answered(response) = place(&served, &grant, Errand::Change(&id), request).await? {
        return Ok(response);
    }
    let made = served.files.create_link(&id, LinkName { master, ext }).await.map_err(write_failed)?;
    let file_id = made.id.to_string();
    let location = HeaderValue::try_from(format!("/{file_id}"));
    let linked = Linked {
        url: format!("{}/{file_id}", base.unwrap_or_default()),
        group: id.group.to_string(),
        target: id.to_string(),
        size: made.len,
        timestamp: made.timestamp,
        file_id,
    };
    let mut response = (StatusCode::CREATED, axum::Json(linked)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}
