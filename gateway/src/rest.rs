//! REST: the routes of a node's HTTP port other than file URLs.

mod batch;
mod change;
mod confirm;
pub(crate) mod digest;
mod filename;
mod gather;
mod hand;
mod incoming;
mod info;
mod link;
mod metadata;
mod multipart;
mod named;
mod opening;
mod place;
mod prefer;
mod repeat;
mod slave;
mod structured;
mod terms;
mod upload;
mod uploads;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use protocol::FileId;
use serde::Serialize;
use tower::ServiceExt;

use crate::authority::Scope;
use crate::body::Body;
use crate::files::{Errand, Files, WriteError, Writes};
use crate::problem::Problem;
use crate::routes::{Routes, fold_file_id};
use crate::site::Site;

struct Served<F> {
    files: Arc<F>,
    site: Site,
    turns: uploads::Turns,
}

type Shared<F> = State<Arc<Served<F>>>;

/// The routes over a node's files.
pub(crate) fn routes<F: Files>(files: Arc<F>, site: Site) -> Routes {
    let writes = if F::READ_ONLY { writes::<F>().each(read_only) } else { writes::<F>() };
    writes
        .on(Method::GET, "/v1/files/{file_id}", info::get::<F>)
        .on(Method::GET, "/v1/files/{file_id}/metadata", metadata::get::<F>)
        .on(Method::GET, "/v1/files/{file_id}/metadata/{name}", metadata::get_one::<F>)
        .on(Method::POST, "/v1/batch/info", batch::info::<F>)
        .merge(uploads::routes::<F>())
        .on(Method::GET, "/healthz", healthz)
        .on(Method::GET, "/readyz", readyz::<F>)
        .with(|router| {
            router.layer(DefaultBodyLimit::disable()).method_not_allowed_fallback(method_not_allowed)
        })
        .with_state(Arc::new(Served { files, site, turns: uploads::Turns::default() }))
}

fn writes<F: Files>() -> Routes<Arc<Served<F>>> {
    Routes::new()
        .on(Method::POST, "/v1/files", upload_file::<F>)
        .on(Method::PUT, "/v1/upload/{filename}", named::put::<F>)
        .on(Method::DELETE, "/v1/files/{file_id}", delete_file::<F>)
        .on(Method::PATCH, "/v1/files/{file_id}", change::patch::<F>)
        .on(Method::POST, "/v1/files/{file_id}/truncate", change::truncate::<F>)
        .on(Method::POST, "/v1/files/{file_id}/finish", change::finish::<F>)
        .on(Method::POST, "/v1/files/{file_id}/slaves", slave::upload::<F>)
        .on(Method::POST, "/v1/files/{file_id}/links", link::create::<F>)
        .on(Method::PUT, "/v1/files/{file_id}/metadata", metadata::put::<F>)
        .on(Method::PATCH, "/v1/files/{file_id}/metadata", metadata::patch::<F>)
        .on(Method::PUT, "/v1/files/{file_id}/metadata/{name}", metadata::put_one::<F>)
        .on(Method::DELETE, "/v1/files/{file_id}/metadata/{name}", metadata::delete_one::<F>)
        .on(Method::POST, "/v1/batch/delete", batch::delete::<F>)
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process answers.
async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// Uploads and downloads would work.
async fn readyz<F: Files>(State(served): Shared<F>) -> Response {
    match served.files.ready() {
        Ok(()) => axum::Json(Health { status: "ready" }).into_response(),
        Err(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.code, why.detail).into_response(),
    }
}

/// The files are another program's.
async fn read_only() -> Problem {
    let detail = "this gateway reads the files of a FastDFS storage and changes none; upload and delete through a client of \
                  FastDFS, or at a node of fdfs";
    Problem::new(StatusCode::FORBIDDEN, "read_only", detail)
}

fn upload_file<F: Files>(
    State(served): Shared<F>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> + Send {
    place::upload(served, request, |_, _, request| Ok(request))
}

async fn delete_file<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let opened = opening::to_write(&served, &file_id, Scope::Delete, |id| Errand::Any(id), request).await?;
    Ok(delete_by(&opened.hand, &opened.id).await?.into_response())
}

async fn delete_by(hand: &impl Writes, id: &FileId) -> Result<StatusCode, Problem> {
    match hand.delete(id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(WriteError::Invalid(_)) => Err(upload::write_failed(WriteError::NotFound)),
        Err(error) => Err(upload::write_failed(error)),
    }
}

/// A file ID in the path of a route.
pub fn file_id_of(text: &str) -> Result<FileId, Problem> {
    FileId::parse(text).map_err(|_| {
        let detail = "a file ID looks like group1/M00/00/00/NAME, as the upload answered it";
        Problem::new(StatusCode::NOT_FOUND, "bad_file_id", detail)
    })
}

/// The answer of a route. It is about this moment, so caches keep none that does not say otherwise (RFC 9111, 4.2.2).
pub(crate) fn route(
    routes: &Router,
    mut request: Request,
) -> impl Future<Output = Response<Body>> + Send + use<> {
    fold_file_id(request.uri_mut());
    uploads::override_method(&mut request);
    routes.clone().oneshot(request).map(|answered| {
        let Ok(mut response) = answered;
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response.map(Body::from)
    })
}

/// What a path answers that is none.
pub async fn no_such_path() -> Problem {
    let detail = "nothing is served here; see /docs or openapi.yaml for the paths";
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", detail)
}

/// What every path answers to a method that it does not have.
pub async fn method_not_allowed() -> Problem {
    let detail = "this path has other methods; see the Allow header and openapi.yaml";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
