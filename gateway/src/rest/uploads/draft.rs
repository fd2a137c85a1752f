//! The IETF draft (draft-ietf-httpbis-resumable-upload, interop version 8), where `http.resumable_draft` is on.
//!
//! An upload is complete when the client says so by `Upload-Complete: ?1`; what is answered then is what `POST /v1/files`
//! answers. Interim answers (104) are not sent, since hyper sends none of an application's: clients that want to go on
//! after a break create the upload with `Upload-Complete: ?0` first, as the draft's "careful creation" does.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::file_id::FileExt;
use serde_json::json;

use super::append::{Reception, check_media_type, receive};
use super::create::{created, has_body};
use super::headers::{
    COMPLETE, DRAFT_MEDIA_TYPE, FILE_ID, INTEROP, LENGTH, LIMIT, OFFSET, RESUMABLE, number, one,
};
use super::{
    PATIENCE, answer, check, check_creation, check_length, commit, expires, failed, locked, no_offset, now,
    open, promised, take_back,
};
use crate::content_type::ext_of_type;
use crate::disposition;
use crate::files::{Committed, Files, UploadKind, UploadSpec};
use crate::partials::{Completion, Partial, PartialSpec, PartialState, Partials, Role};
use crate::problem::Problem;
use crate::rest::Served;
use crate::rest::upload::{Stored, bad, base_url};
use crate::settings::Settings;

const YES: HeaderValue = HeaderValue::from_static("?1");
const NO: HeaderValue = HeaderValue::from_static("?0");
const TYPES: &str = "https://iana.org/assignments/http-problem-types#";

/// Whether a request that brings content speaks the draft.
pub(super) fn is_meant(settings: &Settings, headers: &HeaderMap) -> bool {
    let speaks = headers.contains_key(COMPLETE)
        || headers.contains_key(INTEROP)
        || headers.get(CONTENT_TYPE).is_some_and(|kind| kind == DRAFT_MEDIA_TYPE);
    is_meant_of_upload(settings, headers) && speaks
}

/// Whether a request about an upload does: of these only tus has a header of its own.
pub(super) fn is_meant_of_upload(settings: &Settings, headers: &HeaderMap) -> bool {
    settings.resumable.draft && !headers.contains_key(RESUMABLE)
}

/// What a site allows, before there is an upload.
pub(super) fn limits(settings: &Settings) -> String {
    format!("max-size={}, max-age={}", settings.resumable.longest(), settings.resumable.expiration.as_secs())
}

fn limits_of(settings: &Settings, state: &PartialState) -> String {
    format!("max-size={}, max-age={}", settings.resumable.longest(), (state.expires - now()).max(0))
}

/// Answers a creation.
pub(super) async fn create<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let grant = check_creation(served, parts)?;
    let settings = served.site.now();
    let completes = completes(&parts.headers)?;
    let len = match length(&parts.headers, 0, completes, None) {
        Ok(len) => len,
        Err(Inconsistent) => return Ok(inconsistent()),
    };
    check_length(&settings, len)?;
    let reception = Reception::of(&settings, &grant.limits, parts, 0, len, None)?;
    let upload = UploadSpec { len, ..file(&parts.headers)? };
    grant.limits.check_ext(&settings.mime, upload.ext)?;
    let (upload, replicas) = promised(served, parts, upload, &Role::Whole)?;
    let spec = PartialSpec {
        upload,
        role: Role::Whole,
        completion: Completion::WhenSaid,
        replicas,
        told: None,
        owner: grant.who,
    };
    let mut partial = served.files.partials().create(spec, expires(&settings)).await.map_err(failed)?;
    let received = async {
        if has_body(&parts.headers, &body) {
            let turn = served.turns.take(partial.id(), PATIENCE).await.ok_or_else(locked)?;
            receive(&settings, &mut partial, &turn, body, reception).await?;
        }
        finish(served, &settings, &mut partial, completes).await
    };
    match received.await {
        Ok(Some(made)) => Ok(stored(made, partial.state(), parts)),
        Ok(None) if completes => {
            partial.remove().await.map_err(failed)?;
            Ok(inconsistent())
        }
        Ok(None) => {
            let mut response = created(&settings, parts, &partial);
            response.headers_mut().insert(COMPLETE, NO);
            answer::put(response.headers_mut(), LIMIT, limits_of(&settings, partial.state()));
            Ok(response)
        }
        Err(problem) => {
            take_back(partial).await?;
            Err(problem)
        }
    }
}

/// Answers an append.
pub(super) async fn append<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    upload: &str,
    body: Body,
) -> Result<Response, Problem> {
    let settings = served.site.now();
    check(served, parts)?;
    check_media_type(&parts.headers, DRAFT_MEDIA_TYPE)?;
    let completes = completes(&parts.headers)?;
    let offset = integer(&parts.headers, &OFFSET).ok_or_else(no_offset)?;
    let (mut partial, turn, grant) = open(served, &settings, parts, upload).await?;
    let state = partial.state();
    if state.spec.role != Role::Whole {
        let detail = "this upload belongs to tus's concatenation; go on with it by tus";
        return Err(Problem::new(StatusCode::FORBIDDEN, "joined_upload", detail));
    }
    if state.offset != offset {
        return Ok(other_offset(state, offset));
    }
    let len = match length(&parts.headers, offset, completes, state.spec.upload.len) {
        Ok(len) => len,
        Err(Inconsistent) => return Ok(inconsistent()),
    };
    check_length(&settings, len)?;
    if let Some(made) = state.stored.clone() {
        // Its last answer was lost.
        if !completes {
            return Ok(other_offset(state, offset));
        }
        super::finish(served, &settings, &mut partial).await?;
        return Ok(stored(made, partial.state(), parts));
    }
    let received = async {
        let reception = Reception::of(&settings, &grant.limits, parts, offset, len, None)?;
        partial.save(len, expires(&settings)).await.map_err(failed)?;
        if has_body(&parts.headers, &body) {
            receive(&settings, &mut partial, &turn, body, reception).await?;
        }
        finish(served, &settings, &mut partial, completes).await
    };
    match received.await {
        Ok(Some(made)) => Ok(stored(made, partial.state(), parts)),
        Ok(None) if completes => Ok(inconsistent()),
        Ok(None) => Ok(progress(StatusCode::NO_CONTENT, &settings, partial.state())),
        Err(problem) => {
            // What went past its length is not to be gone on with (4.4.2).
            if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
                partial.remove().await.map_err(failed)?;
            }
            Err(problem)
        }
    }
}

/// Answers HEAD.
pub(super) fn state(settings: &Settings, state: &PartialState) -> Response {
    let mut response = progress(StatusCode::NO_CONTENT, settings, state);
    if let Some(made) = &state.stored {
        response.headers_mut().insert(COMPLETE, YES);
        answer::put(response.headers_mut(), FILE_ID, &made.id);
    }
    response
}

/// Refusals are about the upload, not about the file that it becomes.
pub(super) fn refusal(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(COMPLETE, NO);
    response
}

fn progress(status: StatusCode, settings: &Settings, state: &PartialState) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(COMPLETE, NO);
    answer::put(headers, OFFSET, state.offset);
    if let Some(len) = state.spec.upload.len {
        answer::put(headers, LENGTH, len);
    }
    answer::put(headers, LIMIT, limits_of(settings, state));
    response
}

/// What `POST /v1/files` would have answered.
fn stored(made: Committed, state: &PartialState, asked: &Parts) -> Response {
    let filename = state.spec.upload.metadata.get("fdfs.filename").map(str::to_owned);
    let id = made.id.to_string();
    let document = Stored::of(made, base_url(asked).as_deref(), filename);
    let mut response = (StatusCode::CREATED, axum::Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(COMPLETE, YES);
    answer::put(headers, OFFSET, state.offset);
    answer::put(headers, LOCATION, format_args!("/{id}"));
    answer::put(headers, FILE_ID, id);
    response
}

/// Makes the file if the client says that this was all; `None` if it was not.
async fn finish<F: Files>(
    served: &Served<F>,
    settings: &Settings,
    partial: &mut impl Partial,
    completes: bool,
) -> Result<Option<Committed>, Problem> {
    if !completes || partial.state().left().is_some_and(|left| left > 0) {
        return Ok(None);
    }
    if partial.state().spec.upload.len.is_none() {
        let offset = partial.state().offset;
        partial.save(Some(offset), expires(settings)).await.map_err(failed)?;
    }
    commit(served, settings, partial).await.map(Some)
}

/// `Upload-Complete`, which every request with content has.
fn completes(headers: &HeaderMap) -> Result<bool, Problem> {
    match one(headers, &COMPLETE) {
        Ok(Some("?1")) => Ok(true),
        Ok(Some("?0")) => Ok(false),
        _ => Err(bad("no_upload_complete", "send Upload-Complete: ?1 with the end of the upload, else ?0")),
    }
}

/// An integer; other values are ignored, as the draft wants it.
fn integer(headers: &HeaderMap, name: &http::HeaderName) -> Option<u64> {
    number(headers, name).ok().flatten()
}

/// Lengths that are not the same.
struct Inconsistent;

/// The length that a request tells in two ways, and an earlier one may have told; all have to be the same.
fn length(
    headers: &HeaderMap,
    offset: u64,
    completes: bool,
    before: Option<u64>,
) -> Result<Option<u64>, Inconsistent> {
    let content = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let by_content = content.filter(|_| completes).map(|content| offset.saturating_add(content));
    let mut told = [before, integer(headers, &LENGTH), by_content].into_iter().flatten();
    let Some(len) = told.next() else { return Ok(None) };
    if told.all(|other| other == len) && len >= offset { Ok(Some(len)) } else { Err(Inconsistent) }
}

/// The file that a creation is about.
fn file(headers: &HeaderMap) -> Result<UploadSpec, Problem> {
    let filename = headers.get(CONTENT_DISPOSITION).and_then(disposition::filename);
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let ext = filename.as_deref().map_or_else(|| ext_of_type(kind), FileExt::of_file_name);
    let mut spec = UploadSpec::new(UploadKind::Normal, ext);
    if let Some(filename) = filename {
        let kept = spec.metadata.insert("fdfs.filename", &filename);
        kept.map_err(|why| bad("bad_filename", &format!("the file name cannot be kept: {why}")))?;
    }
    Ok(spec)
}

fn other_offset(state: &PartialState, offset: u64) -> Response {
    let mut response = typed(json!({
        "type": format!("{TYPES}mismatching-upload-offset"),
        "title": "offset from request does not match offset of resource",
        "status": 409,
        "code": "other_offset",
        "detail": format!("{} bytes of this upload are here, and the content begins at {offset}", state.offset),
        "expected-offset": state.offset,
        "provided-offset": offset,
    }));
    *response.status_mut() = StatusCode::CONFLICT;
    answer::put(response.headers_mut(), OFFSET, state.offset);
    response
}

fn inconsistent() -> Response {
    let mut response = typed(json!({
        "type": format!("{TYPES}inconsistent-upload-length"),
        "title": "inconsistent length values for upload",
        "status": 400,
        "code": "other_length",
        "detail": "Upload-Length, Content-Length with Upload-Complete: ?1, and what was said before differ",
    }));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn typed(document: serde_json::Value) -> Response {
    let mut response = axum::Json(document).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(crate::problem::PROBLEM));
    response.headers_mut().insert(COMPLETE, NO);
    response
}
