//! `POST /v1/uploads`: begins an upload, with or without the first of its content.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;

use super::append::{Reception, check_media_type, receive};
use super::checksum::Checksum;
use super::headers::{CONCAT, Concat, LENGTH, TUS_MEDIA_TYPE, length_of_creation, one};
use super::metadata::Told;
use super::{
    PATIENCE, answer, check_creation, check_length, expires, failed, finish, join, locked, other_version,
    promised, take_back,
};
use crate::authority::Grant;
use crate::elsewhere::is_hop;
use crate::files::Files;
use crate::partials::{Completion, Partial, PartialSpec, Partials, Role};
use crate::problem::Problem;
use crate::query::QueryString;
use crate::rest::Served;
use crate::rest::upload::{bad, base_url};
use crate::settings::Settings;

/// Answers it.
pub(super) async fn serve<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let grant = check_creation(served, parts)?;
    if let Some(refusal) = other_version(&parts.headers) {
        return Ok(refusal);
    }
    let settings = served.site.now();
    let told = Told::of(&parts.headers)?;
    let role = match Concat::of(&parts.headers)? {
        None => Role::Whole,
        Some(Concat::Part) => Role::Part,
        Some(Concat::Final(ids)) => {
            if parts.headers.contains_key(LENGTH) {
                return Err(bad(
                    "bad_concat",
                    "a joined upload has the length of its parts; leave Upload-Length out",
                ));
            }
            let text = one(&parts.headers, &CONCAT)?.unwrap_or_default().to_owned();
            return join::serve(served, (&settings, parts), grant, told, text, &ids).await;
        }
    };
    let len = length_of_creation(&parts.headers)?;
    check_length(&settings, len)?;
    let has_body = has_body(&parts.headers, &body);
    if has_body {
        check_media_type(&parts.headers, TUS_MEDIA_TYPE)?;
    }
    let checksum = Checksum::of(&parts.headers)?;
    let reception = Reception::of(&settings, &grant.limits, parts, 0, len, checksum)?;
    let spec = spec_of(served, (&settings, parts), grant, told, len, role)?;
    let mut partial = served.files.partials().create(spec, expires(&settings)).await.map_err(failed)?;
    let received = async {
        if has_body {
            let turn = served.turns.take(partial.id(), PATIENCE).await.ok_or_else(locked)?;
            receive(&settings, &mut partial, &turn, body, reception).await?;
        }
        finish(served, &settings, &mut partial).await
    };
    if let Err(problem) = received.await {
        take_back(partial).await?;
        return Err(problem);
    }
    Ok(created(&settings, parts, &partial))
}

/// What a creation by tus asks for.
pub(super) fn spec_of<F: Files>(
    served: &Served<F>,
    (settings, parts): (&Settings, &Parts),
    grant: Grant,
    told: Told,
    len: Option<u64>,
    role: Role,
) -> Result<PartialSpec, Problem> {
    let upload = told.spec(len)?;
    grant.limits.check_ext(&settings.mime, upload.ext)?;
    let (upload, replicas) = promised(served, parts, upload, &role)?;
    let completion = Completion::AtLength;
    Ok(PartialSpec { upload, role, completion, replicas, told: told.text, owner: grant.who })
}

/// The answer with the URL of an upload.
pub(super) fn created(settings: &Settings, parts: &Parts, partial: &impl Partial) -> Response {
    let mut response = answer::state(StatusCode::CREATED, partial.state());
    let base = base_of(settings, parts).unwrap_or_default();
    answer::put(response.headers_mut(), LOCATION, format_args!("{base}/v1/uploads/{}", partial.id()));
    response
}

/// What comes before the path of an upload that a tracker sent here: many clients take a path to be one of the tracker they
/// asked. Others get the path alone, which is right whatever stands before this node.
fn base_of(settings: &Settings, parts: &Parts) -> Option<String> {
    if !is_hop(&parts.headers, QueryString::of(&parts.uri)) {
        return None;
    }
    settings.advertise_url.clone().or_else(|| base_url(parts))
}

/// Whether a request brings content.
pub(super) fn has_body(headers: &HeaderMap, body: &Body) -> bool {
    let length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    length || headers.contains_key(TRANSFER_ENCODING) || !body.is_end_stream()
}
