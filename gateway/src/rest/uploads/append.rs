//! `PATCH /v1/uploads/{upload}`: goes on with an upload. Every piece is written when it arrives, so a connection that
//! breaks costs nothing of what came before, and no request holds more than one piece.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::checksum::Checksum;
use super::create::has_body;
use super::headers::{DEFER_LENGTH, LENGTH, OFFSET, TUS_MEDIA_TYPE, number};
use super::turns::Turn;
use super::{answer, check_length, expires, failed, finish, no_offset, open, other_version};
use crate::authority::{UploadLimits, too_large};
use crate::files::Files;
use crate::partials::{Held, Partial, Role};
use crate::problem::Problem;
use crate::rest::Served;
use crate::rest::incoming::Incoming;
use crate::rest::upload::bad;
use crate::settings::Settings;

/// Answers it.
pub(super) async fn serve<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    upload: &str,
    body: Body,
) -> Result<Response, Problem> {
    let settings = served.site.now();
    // Who may not write is told so first.
    super::check(served, parts)?;
    if let Some(refusal) = other_version(&parts.headers) {
        return Ok(refusal);
    }
    check_media_type(&parts.headers, TUS_MEDIA_TYPE)?;
    let offset = number(&parts.headers, &OFFSET)?.ok_or_else(no_offset)?;
    let checksum = Checksum::of(&parts.headers)?;
    let (mut partial, turn, grant) = open(served, &settings, parts, upload).await?;
    let state = partial.state();
    if matches!(state.spec.role, Role::Joined(_)) {
        let detail = "this upload is joined from others and cannot be continued";
        return Err(Problem::new(StatusCode::FORBIDDEN, "joined_upload", detail));
    }
    if state.offset != offset {
        return Ok(other_offset(&partial, offset));
    }
    let len = match number(&parts.headers, &LENGTH)? {
        None => state.spec.upload.len,
        Some(len) => Some(told_length(&settings, &partial, len)?),
    };
    let reception = Reception::of(&settings, &grant.limits, parts, offset, len, checksum)?;
    if state.stored.is_none() {
        let is_new = state.spec.upload.len.is_none() && len.is_some();
        if is_new || !has_body(&parts.headers, &body) {
            partial.save(len, expires(&settings)).await.map_err(failed)?;
        }
        if has_body(&parts.headers, &body) {
            receive(&settings, &mut partial, &turn, body, reception).await?;
        }
    }
    finish(served, &settings, &mut partial).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    answer::place(response.headers_mut(), partial.state());
    Ok(response)
}

/// The length that is told now; it cannot change, nor be less than what is here.
fn told_length(settings: &Settings, partial: &impl Partial, len: u64) -> Result<u64, Problem> {
    let state = partial.state();
    check_length(settings, Some(len))?;
    match state.spec.upload.len {
        Some(before) if before != len => {
            let detail = format!("the length of this upload is {before} and does not change");
            Err(bad("other_length", &detail))
        }
        _ if len < state.offset => {
            let detail = format!("{} bytes are here, more than Upload-Length says", state.offset);
            Err(bad("other_length", &detail))
        }
        _ => Ok(len),
    }
}

/// Refuses content of another offset, and tells the right one.
fn other_offset(partial: &impl Partial, offset: u64) -> Response {
    let state = partial.state();
    let detail =
        format!("{} bytes of this upload are here, and the content begins at {offset}", state.offset);
    let mut response = Problem::new(StatusCode::CONFLICT, "other_offset", detail).into_response();
    answer::place(response.headers_mut(), state);
    if state.spec.upload.len.is_none() {
        answer::put(response.headers_mut(), DEFER_LENGTH, 1);
    }
    response
}

/// Refuses content that is not called what it has to be.
pub(super) fn check_media_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = format!("content of uploads is sent with Content-Type: {expected}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", detail))
}

/// How content is received.
pub(super) struct Reception {
    /// Bytes that may come.
    room: u64,
    /// The bound that a ticket sets, where that leaves less room than the upload.
    ticket: Option<u64>,
    checksum: Option<Checksum>,
}

impl Reception {
    /// Of a request that goes on at `offset` of an upload of `len` bytes, if that is known.
    pub(super) fn of(
        settings: &Settings,
        limits: &UploadLimits,
        parts: &Parts,
        offset: u64,
        len: Option<u64>,
        checksum: Option<Checksum>,
    ) -> Result<Self, Problem> {
        // What is told in headers may be anything: what counts is where the upload is, and what comes.
        limits.check_size(len.unwrap_or(offset))?;
        let own = len.unwrap_or_else(|| settings.resumable.longest());
        let ticket = limits.max_size.filter(|max| *max < own);
        let room = ticket.unwrap_or(own).saturating_sub(offset);
        let reception = Self { room, ticket, checksum };
        let length =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > room) {
            return Err(reception.too_long());
        }
        Ok(reception)
    }

    fn too_long(&self) -> Problem {
        self.ticket.map_or_else(|| too_long(self.room), too_large)
    }
}

fn too_long(room: u64) -> Problem {
    let detail = format!("the content has more bytes than the {room} that this upload lacks");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long", detail)
}

/// Moves a body into an upload until it ends or somebody else wants the upload. What has arrived is kept in any case,
/// unless a checksum was announced: that of a piece says nothing.
pub(super) async fn receive(
    settings: &Settings,
    partial: &mut impl Partial,
    turn: &Turn,
    body: Body,
    mut reception: Reception,
) -> Result<(), Problem> {
    if reception.checksum.is_some() {
        partial.hold().await.map_err(failed)?;
    }
    let mut body = Incoming { body, patience: settings.body_timeout };
    let poured = pour(partial, turn, &mut body, &mut reception).await;
    let poured = match poured {
        // Nothing can be done with it any more.
        Err(Stop::Store(problem)) => return Err(problem),
        Err(Stop::Client(problem)) => Err(problem),
        Ok(()) => Ok(()),
    };
    let outcome = match reception.checksum {
        None => poured,
        Some(checksum) => {
            let outcome = poured.and_then(|()| if checksum.meets() { Ok(()) } else { Err(mismatch()) });
            let held = if outcome.is_ok() { Held::Kept } else { Held::Dropped };
            partial.settle(held).await.map_err(failed)?;
            outcome
        }
    };
    partial.save(None, expires(settings)).await.map_err(failed)?;
    outcome
}

/// Why content stopped coming.
enum Stop {
    Client(Problem),
    Store(Problem),
}

async fn pour(
    partial: &mut impl Partial,
    turn: &Turn,
    body: &mut Incoming,
    reception: &mut Reception,
) -> Result<(), Stop> {
    loop {
        let piece = tokio::select! {
            biased;
            () = turn.is_wanted() => return Err(Stop::Client(taken_over())),
            piece = body.next() => piece.map_err(Stop::Client)?,
        };
        let Some(bytes) = piece else { return Ok(()) };
        let len = bytes.len() as u64;
        reception.room = reception.room.checked_sub(len).ok_or_else(|| Stop::Client(reception.too_long()))?;
        if let Some(checksum) = &mut reception.checksum {
            checksum.update(&bytes);
        }
        partial.write(bytes).await.map_err(|error| Stop::Store(failed(error)))?;
    }
}

fn taken_over() -> Problem {
    let detail =
        "another request goes on with this upload; ask for its offset with HEAD before you send more";
    Problem::new(StatusCode::CONFLICT, "taken_over", detail)
}

fn mismatch() -> Problem {
    let status = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
    let detail =
        "the content is not that of Upload-Checksum and was thrown away; send it again from the same offset";
    Problem::new(status, "checksum_mismatch", detail)
}
