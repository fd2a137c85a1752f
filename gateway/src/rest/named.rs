//! `PUT /v1/upload/{filename}`: an upload whose URL says the name, as `curl -T photo.jpg http://.../v1/upload/` makes it.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Shared;
use super::place::{Placed, place_upload};
use super::upload::{self, bad};
use crate::authority::Scope;
use crate::files::Files;
use crate::problem::Problem;

/// Stores the body as `POST /v1/files?filename=...` would.
pub(super) async fn put<F: Files>(
    State(served): Shared<F>,
    Path(filename): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (hand, request) = match place_upload(&served, request).await? {
        Placed::By(hand, request) => (hand, request),
        Placed::Answered(response) => return Ok(response),
    };
    let settings = served.site.now();
    let (mut parts, body) = request.into_parts();
    // Tickets and calls are about the path that was asked for.
    settings.authority.check(&parts, Scope::Write, Some(hand.group()))?;
    parts.uri = named(&parts.uri, &filename)?;
    let request = Request::from_parts(parts, body);
    Ok(upload::serve(Arc::clone(&served.files), hand, &settings, None, request).await)
}

fn named(uri: &Uri, filename: &str) -> Result<Uri, Problem> {
    let name = utf8_percent_encode(filename, NON_ALPHANUMERIC);
    // The first of equal keys counts.
    let query = match uri.query() {
        Some(query) => format!("/v1/files?filename={name}&{query}"),
        None => format!("/v1/files?filename={name}"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(query).ok();
    Uri::from_parts(parts).map_err(|_| bad("bad_filename", "the name at the end of the path cannot be one"))
}
