//! What is told of an upload.

use std::time::{Duration, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LOCATION, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::headers::{
    CHECKSUM_ALGORITHM, CONCAT, DEFER_LENGTH, EXPIRES, EXTENSION, FILE_ID, LENGTH, LIMIT, MAX_SIZE, METADATA,
    OFFSET, RESUMABLE, TUS, VERSION,
};
use super::{checksum, draft};
use crate::files::UploadKind;
use crate::partials::{PartialId, PartialState, Role};
use crate::rest::upload::{Stored, base_url};
use crate::settings::Settings;

const EXTENSIONS: HeaderValue = HeaderValue::from_static(
    "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration,concatenation",
);

/// Puts a value that has only visible ASCII.
pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, text: impl std::fmt::Display) {
    if let Ok(value) = HeaderValue::try_from(text.to_string()) {
        headers.insert(name, value);
    }
}

/// What the server can do.
pub(super) fn abilities(settings: &Settings, headers: &mut HeaderMap) {
    headers.insert(RESUMABLE, TUS);
    headers.insert(VERSION, TUS);
    headers.insert(EXTENSION, EXTENSIONS);
    headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static(checksum::ALGORITHMS));
    put(headers, MAX_SIZE, settings.resumable.longest());
    if settings.resumable.draft {
        put(headers, LIMIT, draft::limits(settings));
    }
}

/// An answer with all that tus tells of an upload.
pub(super) fn state(status: StatusCode, state: &PartialState) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    place(headers, state);
    match state.spec.upload.len {
        Some(len) => put(headers, LENGTH, len),
        None => put(headers, DEFER_LENGTH, 1),
    }
    if let Some(told) = &state.spec.told {
        put(headers, METADATA, told);
    }
    match &state.spec.role {
        Role::Whole => {}
        Role::Part => put(headers, CONCAT, "partial"),
        Role::Joined(parts) => put(headers, CONCAT, parts),
    }
    response
}

/// The part of it that answers to every change have.
pub(super) fn place(headers: &mut HeaderMap, state: &PartialState) {
    put(headers, OFFSET, state.offset);
    match &state.stored {
        Some(stored) => {
            put(headers, FILE_ID, &stored.id);
            put(headers, CONTENT_LOCATION, format_args!("/{}", stored.id));
        }
        None => put(headers, EXPIRES, http_date(state.expires)),
    }
}

fn http_date(seconds: i64) -> String {
    // Dates beyond year 9999 have no such form.
    let seconds = u64::try_from(seconds).unwrap_or(0).min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// An upload as JSON.
#[derive(Debug, Serialize)]
struct Document<'a> {
    upload: String,
    /// `incomplete`, `complete` (a part) or `stored`.
    state: &'static str,
    /// Bytes that are here.
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    /// As in `Upload-Expires`: for how long it is remembered.
    expires: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Stored>,
}

pub(super) fn document(id: PartialId, state: &PartialState, asked: &Parts) -> Response {
    let filename = state.spec.upload.metadata.get("fdfs.filename");
    let file = state
        .stored
        .clone()
        .map(|made| Stored::of(made, base_url(asked).as_deref(), filename.map(str::to_owned)));
    let is_complete = state.left() == Some(0);
    let document = Document {
        upload: id.to_string(),
        state: match &file {
            Some(_) => "stored",
            None if is_complete => "complete",
            None => "incomplete",
        },
        offset: state.offset,
        length: state.spec.upload.len,
        kind: match (&state.spec.role, &state.spec.upload.kind) {
            (Role::Part, _) => "part",
            (_, UploadKind::Appender) => "appender",
            _ => "normal",
        },
        filename,
        expires: http_date(state.expires),
        file,
    };
    let mut response = axum::Json(document).into_response();
    place(response.headers_mut(), state);
    response
}
