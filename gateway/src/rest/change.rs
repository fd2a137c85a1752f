//! Changes of appender files: `PATCH /v1/files/{file_id}` appends, or overwrites from `offset` on;
//! `POST .../truncate` sets the length; `POST .../finish` makes a normal file of it.
//!
//! Preconditions (`Upload-Offset`, `If-Match`, `If-Unmodified-Since`) are looked at with the file locked, so they hold until
//! the change is made. A body that is small, or comes slowly at first, is waited for before the file is locked.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_RANGE, ETAG, EXPECT, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::FileId;
use protocol::file_id::FileKind;
use serde::Serialize;
use tokio::time::timeout;

use super::gather::Gather;
use super::incoming::Incoming;
use super::opening::{self, Opened};
use super::upload::{Stored, bad, base_url, content_length, created, write_failed};
use super::{Served, Shared};
use crate::authority::Scope;
use crate::conditions::{self, Outcome};
use crate::files::{Change, Current, Errand, Files, Start, WriteError, Writes};
use crate::problem::Problem;
use crate::query::QueryString;
use crate::validators::Validators;

/// Bytes that a file has; as resumable uploads call it.
pub(crate) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Longest wait for others that change the same file.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// What was changed.
#[derive(Serialize)]
struct Changed {
    file_id: String,
    /// Bytes of the file now.
    size: u64,
    /// First byte that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Bytes that were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
}

/// Appends or overwrites.
pub(super) async fn patch<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let opened = to_change(&served, &file_id, request).await?;
    let (id, wanted) = (opened.id.clone(), Wanted::of(&opened.id, &opened.parts)?);
    let Opened { hand, parts, body, settings, .. } = opened;
    let mut body = Incoming { body, patience: settings.body_timeout };
    let outcome = write(&hand, &id, &wanted, &parts.headers, &mut body).await;
    // A client that waits for "100 Continue" has sent nothing yet, if it was refused before.
    if outcome.is_err() && !parts.headers.contains_key(EXPECT) {
        body.discard().await;
    }
    let (offset, written, current) = outcome?;
    let changed =
        Changed { file_id: id.to_string(), size: current.len, offset: Some(offset), written: Some(written) };
    Ok(answer(&id, &current, &changed))
}

/// Sets the length.
pub(super) async fn truncate<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let Opened { id, hand, parts, .. } = to_change(&served, &file_id, request).await?;
    let size = number(&parts, "size")?.ok_or_else(|| {
        bad("bad_size", "the parameter size says how many bytes are to be left: /truncate?size=1000")
    })?;
    let wanted = Wanted::of(&id, &parts)?;
    let decide = move |current: &Current| wanted.check(current).map(|()| size);
    let current = locked(hand.truncate(&id, decide)).await??;
    let changed = Changed { file_id: id.to_string(), size: current.len, offset: None, written: None };
    Ok(answer(&id, &current, &changed))
}

/// Makes a normal file of an appender file.
pub(super) async fn finish<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let Opened { id, hand, parts, .. } = to_change(&served, &file_id, request).await?;
    let made = locked(hand.finish(&id)).await?;
    let stored = Stored::of(made, base_url(&parts).as_deref(), None);
    Ok(created(Some(stored.file_id()), &stored))
}

/// Opens a change of an appender file.
async fn to_change<F: Files>(
    served: &Served<F>,
    file_id: &str,
    request: Request,
) -> Result<Opened<F>, Response> {
    let opened = opening::to_write(served, file_id, Scope::Write, |id| Errand::Change(id), request).await?;
    check_appender(&opened.id)?;
    Ok(opened)
}

/// What a request says about the file as it is, and about where it is to be changed.
struct Wanted {
    id: FileId,
    /// The length that the client takes the file to have.
    size: Option<u64>,
    /// First byte to overwrite.
    offset: Option<u64>,
    headers: HeaderMap,
}

impl Wanted {
    fn of(id: &FileId, parts: &Parts) -> Result<Self, Problem> {
        if parts.headers.contains_key(CONTENT_RANGE) {
            let detail = "Content-Range is not taken; say by the parameter offset where to overwrite, or append without it";
            return Err(bad("content_range", detail));
        }
        let size = match parts.headers.get(UPLOAD_OFFSET) {
            None => None,
            Some(text) => Some(whole_number(text.to_str().unwrap_or_default()).ok_or_else(|| {
                bad("bad_offset", "the header Upload-Offset is the file's length in bytes, in digits")
            })?),
        };
        Ok(Self { id: id.clone(), size, offset: number(parts, "offset")?, headers: parts.headers.clone() })
    }

    /// Whether the preconditions hold.
    fn check(&self, current: &Current) -> Result<(), Problem> {
        if let Some(size) = self.size.filter(|size| *size != current.len) {
            let detail = format!("the file has {} bytes, not {size}; go on from there", current.len);
            return Err(mismatch(current.len, detail));
        }
        let validators = Validators::of(&self.id, current.len, current.modified, true);
        match conditions::evaluate(&self.headers, &validators) {
            Outcome::Proceed => Ok(()),
            Outcome::NotModified | Outcome::Failed => {
                let detail =
                    "the file is not what the request's precondition says; read it anew, then change it";
                let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail);
                Err(problem.with_size(current.len).with_header(UPLOAD_OFFSET, current.len.into()))
            }
        }
    }

    /// Where the change begins.
    fn start(&self, current: &Current) -> Result<Start, Problem> {
        self.check(current)?;
        match self.offset {
            None => Ok(Start::End),
            Some(offset) if offset <= current.len => Ok(Start::At(offset)),
            Some(offset) => {
                let detail = format!("the file has {} bytes, so nothing begins at {offset}", current.len);
                Err(mismatch(current.len, detail))
            }
        }
    }
}

fn mismatch(len: u64, detail: String) -> Problem {
    let problem = Problem::new(StatusCode::CONFLICT, "offset_mismatch", detail);
    problem.with_size(len).with_header(UPLOAD_OFFSET, len.into())
}

/// Receives the body into the file; gives where it begins, its length, and the file as it then is.
async fn write(
    files: &impl Writes,
    id: &FileId,
    wanted: &Wanted,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<(u64, u64, Current), Problem> {
    let mut gather = Gather::new();
    let waits = headers.contains_key(EXPECT);
    let mut piece = if waits { None } else { gather.next(body).await? };
    let len = content_length(headers);
    let decided = Wanted { id: id.clone(), headers: wanted.headers.clone(), ..*wanted };
    let begun = locked(files.begin_change(id, len, move |current| decided.start(current))).await?;
    let mut change = begun?;
    if waits {
        piece = gather.next(body).await?;
    }
    let mut written = 0;
    while let Some(bytes) = piece {
        written += bytes.len() as u64;
        let (wrote, next) = tokio::join!(change.write(bytes), gather.next(body));
        wrote.map_err(write_failed)?;
        piece = next?;
    }
    let offset = change.offset();
    Ok((offset, written, change.commit().await.map_err(write_failed)?))
}

/// Waits for others that change the same file, but not for ever.
async fn locked<T>(change: impl Future<Output = Result<T, WriteError>>) -> Result<T, Problem> {
    match timeout(LOCK_PATIENCE, change).await {
        Ok(outcome) => outcome.map_err(write_failed),
        Err(_) => {
            let detail = "another request has been changing this file for 30 seconds; try again later";
            Err(Problem::new(StatusCode::LOCKED, "locked", detail))
        }
    }
}

fn check_appender(id: &FileId) -> Result<(), Problem> {
    if matches!(id.name.kind(), Ok(FileKind::Appender)) {
        return Ok(());
    }
    let detail =
        "only appender files change, which are uploaded with kind=appender; this ID is another kind's";
    Err(Problem::new(StatusCode::CONFLICT, "not_appender", detail))
}

fn answer(id: &FileId, current: &Current, changed: &Changed) -> Response {
    let mut response = axum::Json(changed).into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(current.len));
    let validators = Validators::of(id, current.len, current.modified, true);
    if let Some(etag) = validators.etag_header() {
        headers.insert(ETAG, etag);
    }
    response
}

/// A parameter that is a number of bytes.
fn number(parts: &Parts, key: &'static str) -> Result<Option<u64>, Problem> {
    let query = QueryString::of(&parts.uri);
    match query.get(key) {
        None if query.has(key) => Err(no_number(key)),
        None => Ok(None),
        Some(text) => whole_number(&text).map(Some).ok_or_else(|| no_number(key)),
    }
}

fn no_number(key: &str) -> Problem {
    bad("bad_number", &format!("the parameter {key} is a number of bytes, in digits"))
}

/// Digits that a file's length can be.
fn whole_number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && i64::try_from(*number).is_ok())
}
