//! `POST /v1/files/{file_id}/slaves`: a file named after another one, such as a picture's thumbnail.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use protocol::file_id::{FileExt, SlavePrefix, slave_name};

use super::Shared;
use super::opening::{self, Opened};
use super::upload::{self, bad, is_multipart};
use crate::authority::Scope;
use crate::files::{Errand, Files, UploadKind};
use crate::problem::Problem;
use crate::query::QueryString;

/// Stores the body as a slave of a file.
pub(super) async fn upload<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let opened = opening::to_write(&served, &file_id, Scope::Write, |id| Errand::Change(id), request).await?;
    let Opened { id, hand, parts, body, settings } = opened;
    let query = QueryString::of(&parts.uri);
    let prefix = prefix_of(query)?;
    if is_multipart(&parts.headers) {
        let detail = "a slave is one file: send it as the body itself, as curl --data-binary @FILE does";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "slave_form", detail).into());
    }
    let ext = query.get("ext").and_then(|ext| FileExt::parse(ext.strip_prefix('.').unwrap_or(&ext)).ok());
    if slave_name(&id.name, prefix, ext.unwrap_or_default()).is_err() {
        let detail = "no slave of this name can be made of this file: its name would be too long, or that of its master";
        return Err(bad("bad_prefix", detail).into());
    }
    let kind = UploadKind::Slave { master: id.name, prefix };
    let request = Request::from_parts(parts, body);
    Ok(upload::serve(Arc::clone(&served.files), hand, settings, Some(kind), request).await)
}

/// The parameter `prefix`.
pub(super) fn prefix_of(query: QueryString<'_>) -> Result<SlavePrefix, Problem> {
    let text = query.get("prefix").unwrap_or_default();
    let detail = "the parameter prefix comes between the master's name and the extension, as in prefix=_150x150; it has 1 to \
                  16 letters, digits, '_', '-' or '.'";
    SlavePrefix::parse(&text).ok().filter(|_| !text.is_empty()).ok_or_else(|| bad("bad_prefix", detail))
}
