//! Files that another member has: who may be sent on or be given their bytes, and how.
//!
//! A request that a member sent here carries `redirect=1` in its query, as the nginx module writes it, or the header
//! `Fdfs-Hop`. It is answered from this node's own disk, so that no request goes round in circles.

use std::io;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use crate::body::Body;
use crate::file_body::Segment;
use crate::files::{FindError, RemoteContent, RemoteFile};
use crate::problem::Problem;
use crate::query::QueryString;

/// Set by a member that passes a request on.
pub(crate) const HOP: HeaderName = HeaderName::from_static("fdfs-hop");
/// Query parameter of the same meaning, which members of both kinds know.
const REDIRECT: &str = "redirect";

/// What is done about files that only others have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseMode {
    /// Their bytes pass through this node.
    #[default]
    Proxy,
    /// The client is sent to a member that has the file.
    Redirect,
}

/// Whether a member sent the request here.
pub(crate) fn is_hop(headers: &HeaderMap, query: QueryString<'_>) -> bool {
    headers.contains_key(HOP) || query.has(REDIRECT)
}

/// Sends the client to a member, marked so that it stays there.
pub(crate) fn redirect(base_url: &str, uri: &Uri) -> Response {
    let base = base_url.trim_end_matches('/');
    let target = match uri.query() {
        Some(query) => format!("{base}{}?{query}&{REDIRECT}=1", uri.path()),
        None => format!("{base}{}?{REDIRECT}=1", uri.path()),
    };
    let Ok(target) = HeaderValue::try_from(target) else {
        let detail =
            "the member that has the file says that its URL is something else; the node's log has it";
        tracing::error!(base_url, "the URL of a member cannot be used");
        return Problem::new(StatusCode::BAD_GATEWAY, "bad_member_url", detail).into_response();
    };
    // Another member has the file only until this one got it.
    let headers = [
        (LOCATION, target),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_LENGTH, HeaderValue::from_static("0")),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// The refusal if no member can be asked.
pub(crate) fn unreachable() -> Response {
    let detail =
        "the file is not here yet, and the members that should have it do not answer; try again later";
    Problem::new(StatusCode::BAD_GATEWAY, "members_unreachable", detail).into_response()
}

/// The answer's body. The first bytes of the file are on their way when this returns, so that a member that is gone is
/// found out before the answer begins.
pub(crate) async fn body<R: RemoteFile>(file: R, segments: Vec<Segment>) -> Result<Body, FindError> {
    let file = Arc::new(file);
    let mut parts = Vec::with_capacity(segments.len());
    let mut is_first = true;
    for segment in segments {
        parts.push(match segment {
            Segment::Bytes(bytes) => Part::Bytes(bytes),
            Segment::File(range) if std::mem::take(&mut is_first) => {
                let opened = file.open(range).await;
                Part::Opened(opened.map_err(|error| {
                    tracing::debug!(%error, "a file that another member has cannot be fetched");
                    FindError::Unreachable
                })?)
            }
            Segment::File(range) => Part::File(range),
        });
    }
    let pieces = stream::iter(parts).then(move |part| {
        let file = Arc::clone(&file);
        async move {
            io::Result::Ok(match part {
                Part::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                Part::Opened(content) => flow(content).boxed(),
                Part::File(range) => flow(file.open(range).await?).boxed(),
            })
        }
    });
    let bytes = pieces.try_flatten().inspect(|piece: &io::Result<Bytes>| {
        if let Err(error) = piece {
            tracing::warn!(%error, "a file from another member broke off");
        }
    });
    Ok(axum::body::Body::from_stream(bytes).into())
}

enum Part<C> {
    Bytes(Bytes),
    Opened(C),
    File(std::ops::Range<u64>),
}

fn flow<C: RemoteContent>(content: C) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(content, |mut content| async move {
        Ok(content.next().await?.map(|piece| (piece, content)))
    })
}
