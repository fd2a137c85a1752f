//! `/v1/uploads`: uploads that are continued, by tus 1.0.0 and, if the site says so, by the IETF draft. Both are ways to
//! the same uploads ([`crate::partials`]).
//!
//! `create`, `append`, `join` and `draft` are the requests, `answer` is what is told of an upload, `turns` lets one
//! request at a time use it.

mod answer;
mod append;
mod checksum;
mod create;
mod draft;
mod headers;
mod join;
mod metadata;
mod turns;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::confirm::{self, Confirming};
use super::upload::{bad, check_group, write_failed};
use super::{Served, Shared, prefer, read_only};
use crate::authority::{Grant, Scope};
use crate::files::{Committed, Files, UploadSpec, WriteError};
use crate::partials::{Completion, Partial, PartialId, PartialState, Partials, Role};
use crate::problem::Problem;
use crate::routes::Routes;
use crate::settings::Settings;
use turns::Turn;
pub(super) use turns::Turns;

const ONE: &str = "/v1/uploads/{upload}";
const ALL: &str = "/v1/uploads";

/// Longest wait for the request that has an upload.
const PATIENCE: Duration = Duration::from_secs(10);

/// The routes. Without files of its own, a gateway has those that change some only to say so.
pub(super) fn routes<F: Files>() -> Routes<Arc<Served<F>>> {
    let routes = Routes::new().on(Method::OPTIONS, ALL, options::<F>).on(Method::OPTIONS, ONE, options::<F>);
    if F::READ_ONLY {
        return routes.on(Method::POST, ALL, read_only);
    }
    routes
        .on(Method::POST, ALL, create::<F>)
        .on(Method::HEAD, ONE, head::<F>)
        .on(Method::GET, ONE, get::<F>)
        .on(Method::PATCH, ONE, patch::<F>)
        .on(Method::DELETE, ONE, delete::<F>)
}

/// Lets `X-HTTP-Method-Override` be the method, as clients want that cannot send all methods.
pub(super) fn override_method(request: &mut Request) {
    let is_ours = |rest: &str| rest.is_empty() || rest.starts_with('/');
    if !request.uri().path().strip_prefix(ALL).is_some_and(is_ours) {
        return;
    }
    let wanted = request.headers().get(headers::METHOD_OVERRIDE);
    let method = wanted.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    if let Some(method) = method {
        *request.method_mut() = method;
    }
}

/// What is spoken here.
async fn options<F: Files>(State(served): Shared<F>, Path(path): Path<Vec<(String, String)>>) -> Response {
    let settings = served.site.now();
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = if path.is_empty() { "POST, OPTIONS" } else { "GET, HEAD, PATCH, DELETE, OPTIONS" };
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    answer::abilities(&settings, headers);
    response
}

async fn create<F: Files>(State(served): Shared<F>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if draft::is_meant(&served.site.now(), &parts.headers) {
        return draft::create(&served, &parts, body).await.unwrap_or_else(draft::refusal);
    }
    tus(create::serve(&served, &parts, body).await)
}

async fn head<F: Files>(State(served): Shared<F>, Path(upload): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let draft = draft::is_meant_of_upload(&served.site.now(), &parts.headers);
    match see(&served, &parts, &upload).await {
        Ok(state) if draft => draft::state(&served.site.now(), &state),
        Ok(state) => tus(Ok(answer::state(StatusCode::OK, &state))),
        Err(problem) => tus(Err(problem)),
    }
}

/// Where an upload is, when nobody else has it. What is complete and is no file yet, since a kill came between, becomes one.
async fn see<F: Files>(served: &Served<F>, parts: &Parts, upload: &str) -> Result<PartialState, Problem> {
    let settings = served.site.now();
    let (mut partial, _turn, _) = open(served, &settings, parts, upload).await?;
    finish(served, &settings, &mut partial).await?;
    Ok(partial.state().clone())
}

async fn get<F: Files>(State(served): Shared<F>, Path(upload): Path<String>, request: Request) -> Response {
    tus(look(&served, &request.into_parts().0, &upload).await)
}

/// What is known of an upload, also while somebody has it.
async fn look<F: Files>(served: &Served<F>, parts: &Parts, upload: &str) -> Result<Response, Problem> {
    let grant = check(served, parts)?;
    let id = PartialId::parse(upload).ok_or_else(no_upload)?;
    let state = served.files.partials().look(id).await.map_err(failed)?;
    check_owner(&state, &grant)?;
    Ok(answer::document(id, &state, parts))
}

async fn patch<F: Files>(State(served): Shared<F>, Path(upload): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if draft::is_meant(&served.site.now(), &parts.headers) {
        return draft::append(&served, &parts, &upload, body).await.unwrap_or_else(draft::refusal);
    }
    tus(append::serve(&served, &parts, &upload, body).await)
}

async fn delete<F: Files>(
    State(served): Shared<F>,
    Path(upload): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    tus(remove(&served, &parts, &upload).await)
}

async fn remove<F: Files>(served: &Served<F>, parts: &Parts, upload: &str) -> Result<Response, Problem> {
    let settings = served.site.now();
    if !draft::is_meant_of_upload(&settings, &parts.headers)
        && let Some(refusal) = other_version(&parts.headers)
    {
        return Ok(refusal);
    }
    let (partial, _turn, _) = open(served, &settings, parts, upload).await?;
    partial.remove().await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Opens an upload that the client may use; whoever has it is asked to give it.
async fn open<F: Files>(
    served: &Served<F>,
    settings: &Settings,
    parts: &Parts,
    upload: &str,
) -> Result<(<F::Partials as Partials>::Partial, Turn, Grant), Problem> {
    let grant = settings.authority.check(parts, Scope::Write, Some(served.files.group()))?;
    let id = PartialId::parse(upload).ok_or_else(no_upload)?;
    let turn = served.turns.take(id, PATIENCE).await.ok_or_else(locked)?;
    // Something that a request has begun and not awaited may still be under way.
    let opened = tokio::time::timeout(PATIENCE, served.files.partials().open(id)).await;
    let partial = opened.map_err(|_| locked())?.map_err(failed)?;
    check_owner(partial.state(), &grant)?;
    Ok((partial, turn, grant))
}

fn check<F: Files>(served: &Served<F>, parts: &Parts) -> Result<Grant, Problem> {
    served.site.now().authority.check(parts, Scope::Write, Some(served.files.group()))
}

/// What every creation has to pass.
fn check_creation<F: Files>(served: &Served<F>, parts: &Parts) -> Result<Grant, Problem> {
    let grant = check(served, parts)?;
    check_group(parts, served.files.group())?;
    Ok(grant)
}

fn check_owner(state: &PartialState, grant: &Grant) -> Result<(), Problem> {
    if grant.owns(&state.spec.owner) {
        return Ok(());
    }
    let detail =
        "this upload was begun with another token or ticket; go on with that one, or begin a new upload";
    Err(Problem::new(StatusCode::FORBIDDEN, "other_owner", detail))
}

/// An upload with the durability that its creation asks for, and the other members that it wants to have the file. Parts
/// become none.
fn promised<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    upload: UploadSpec,
    role: &Role,
) -> Result<(UploadSpec, u8), Problem> {
    let promise = prefer::durability(&parts.headers)?;
    let upload = UploadSpec { durability: promise.map(|promise| promise.durability), ..upload };
    let replicas = promise.map_or(0, |promise| promise.replicas);
    if *role != Role::Part {
        confirm::check_members(&*served.files, confirm::needed_here(&*served.files, replicas))?;
    }
    Ok((upload, replicas))
}

/// Makes the file of an upload whose last byte is here; of one that is a file, waits for the members that have to have it.
async fn finish<F: Files>(
    served: &Served<F>,
    settings: &Settings,
    partial: &mut impl Partial,
) -> Result<(), Problem> {
    let state = partial.state();
    if let Some(made) = &state.stored {
        let needed = confirm::needed_here(&*served.files, state.spec.replicas);
        let unconfirmed = confirm::wait_again(&*served.files, vec![made.id.to_string()], needed).await;
        return unconfirmed.map_or(Ok(()), |unconfirmed| Err(confirm::problem(&unconfirmed)));
    }
    let is_due = state.spec.role != Role::Part
        && state.spec.completion == Completion::AtLength
        && state.left() == Some(0);
    if is_due { commit(served, settings, partial).await.map(drop) } else { Ok(()) }
}

/// Makes the file. Without the members that have to have it there is none: all stays as it is until they are there.
async fn commit<F: Files>(
    served: &Served<F>,
    settings: &Settings,
    partial: &mut impl Partial,
) -> Result<Committed, Problem> {
    let needed = confirm::needed_here(&*served.files, partial.state().spec.replicas);
    confirm::check_members(&*served.files, needed)?;
    let confirming = Confirming::begin(&*served.files, needed);
    let made = partial.commit(expires(settings)).await.map_err(failed)?;
    let unconfirmed = match confirming {
        Some(confirming) => confirming.wait_for_one(&made.id, &partial.state().spec.upload.metadata).await,
        None => None,
    };
    unconfirmed.map_or(Ok(made), |unconfirmed| Err(confirm::problem(&unconfirmed)))
}

/// Removes an upload that nobody has heard of. One that is a file stays, for who can find it by that.
async fn take_back(partial: impl Partial) -> Result<(), Problem> {
    if partial.state().stored.is_some() { Ok(()) } else { partial.remove().await.map_err(failed) }
}

/// Unix seconds until which an upload with progress now is remembered.
fn expires(settings: &Settings) -> i64 {
    let expiration = i64::try_from(settings.resumable.expiration.as_secs()).unwrap_or(i64::MAX);
    now().saturating_add(expiration)
}

/// Unix seconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The refusal of a client that speaks another version of tus.
fn other_version(headers: &HeaderMap) -> Option<Response> {
    let mut values = headers.get_all(headers::RESUMABLE).iter();
    if values.next() == Some(&headers::TUS) && values.next().is_none() {
        return None;
    }
    let detail = "send the header Tus-Resumable: 1.0.0; no other version of tus is spoken here";
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "tus_version", detail);
    let mut response = problem.into_response();
    response.headers_mut().insert(headers::VERSION, headers::TUS);
    Some(response)
}

/// Every answer says which version it is.
fn tus(answered: Result<Response, Problem>) -> Response {
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(headers::RESUMABLE, headers::TUS);
    response
}

fn no_offset() -> Problem {
    bad("no_offset", "send Upload-Offset with the bytes that are here, as HEAD tells it")
}

fn no_upload() -> Problem {
    let detail = "no upload has this URL, or its time is over; begin a new one with POST /v1/uploads";
    Problem::new(StatusCode::NOT_FOUND, "no_such_upload", detail)
}

fn locked() -> Problem {
    let detail = "another request has this upload and does not give it; try again";
    Problem::new(StatusCode::LOCKED, "upload_locked", detail)
}

fn failed(error: WriteError) -> Problem {
    if matches!(error, WriteError::NotFound) { no_upload() } else { write_failed(error) }
}

/// Refuses uploads that are longer than the site takes.
fn check_length(settings: &Settings, len: Option<u64>) -> Result<(), Problem> {
    let max = settings.resumable.longest();
    if len.is_none_or(|len| len <= max) {
        return Ok(());
    }
    let detail = format!("uploads have up to {max} bytes here");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large", detail))
}
