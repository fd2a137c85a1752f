//! `PUT /v1/upload/{filename}`: an upload whose URL says the name, as `curl -T photo.jpg http://.../v1/upload/` makes it.

use std::future::Future;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::upload::bad;
use super::{Shared, place};
use crate::authority::Scope;
use crate::files::Files;
use crate::problem::Problem;

/// Stores the body as `POST /v1/files?filename=...` would.
pub(super) fn put<F: Files>(
    State(served): Shared<F>,
    Path(filename): Path<String>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> + Send {
    place::upload(served, request, move |served, hand, request| {
        let (mut parts, body) = request.into_parts();
        // Tickets and calls are about the path that was asked for.
        served.site.now().authority.check(&parts, Scope::Write, Some(hand.group()))?;
        parts.uri = named(&parts.uri, &filename)?;
        Ok(Request::from_parts(parts, body))
    })
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
