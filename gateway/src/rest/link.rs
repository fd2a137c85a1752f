//! `POST /v1/files/{file_id}/links`: another name for a file.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use protocol::FileId;
use protocol::file_id::FileExt;
use serde::Serialize;

use super::hand::Hand;
use super::info::look_failed;
use super::slave::prefix_of;
use super::upload::{bad, base_url, created, write_failed};
use super::{Shared, file_id_of, opening};
use crate::authority::Scope;
use crate::files::{Checksum, Committed, Errand, Files, LinkName, WriteError};
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
) -> Result<Response, Response> {
    let opened = opening::to_write(&served, &file_id, Scope::Write, |id| Errand::Change(id), request).await?;
    let (id, base) = (&opened.id, base_url(&opened.parts));
    let name = name_of(id, QueryString::of(&opened.parts.uri))?;
    let made = make(&*served.files, &opened.hand, id, name).await?;
    let file_id = made.id.to_string();
    let linked = Linked {
        url: format!("{}/{file_id}", base.unwrap_or_default()),
        group: id.group.to_string(),
        target: id.to_string(),
        size: made.len,
        timestamp: made.timestamp,
        file_id: file_id.clone(),
    };
    Ok(created(Some(&file_id), &linked))
}

/// What the parameters call the link.
fn name_of(id: &FileId, query: QueryString<'_>) -> Result<LinkName, Problem> {
    let ext = query.get("ext").map_or_else(|| id.name.extension().to_owned(), std::borrow::Cow::into_owned);
    let ext = FileExt::parse(ext.strip_prefix('.').unwrap_or(&ext))
        .map_err(|_| bad("bad_extension", "an extension has up to 6 letters, digits, '.', '_' or '-'"))?;
    let Some(master) = query.get("master") else {
        let is_alone = query.get("prefix").is_some_and(|prefix| !prefix.is_empty());
        let detail = "the parameter prefix goes with master, whose name it stands in";
        return if is_alone { Err(bad("bad_prefix", detail)) } else { Ok(LinkName { master: None, ext }) };
    };
    let master = file_id_of(&master)?;
    if master.group != id.group {
        return Err(bad("other_group", "a link lies in the group of its file, and so does its master"));
    }
    Ok(LinkName { master: Some((master.name, prefix_of(query)?)), ext })
}

/// A FastDFS member is never asked for a link: its record of one makes the group's other FastDFS members stop sending for
/// good. This node makes it, with a name of its own, if the file is here.
async fn make<F: Files>(
    files: &F,
    hand: &Hand<F>,
    id: &FileId,
    name: LinkName,
) -> Result<Committed, Problem> {
    match files.create_link(id, name).await {
        Err(WriteError::NotFound) if hand.is_member() => {
            files.info(id, Checksum::IfKnown).await.map_err(look_failed)?;
            let detail = "this file belongs to a member of FastDFS, which must not make links, and it, or the master, is not \
                          here yet; try again later, or at a node of fdfs that has both (GET /v1/files/ID lists holders), or \
                          upload the content again";
            Err(Problem::new(StatusCode::BAD_GATEWAY, "no_link", detail))
        }
        made => made.map_err(write_failed),
    }
}
