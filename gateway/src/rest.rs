//! REST: the routes of a node's HTTP port other than file URLs.

mod multipart;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use protocol::FileId;
use serde::Serialize;
use tower::ServiceExt;

use crate::authority::Scope;
use crate::body::Body;
use crate::files::{Files, WriteError};
use crate::problem::Problem;
use crate::routes::{Routes, fold_file_id};
use crate::site::Site;

struct Served<F> {
    files: Arc<F>,
    site: Site,
}

type Shared<F> = State<Arc<Served<F>>>;

/// The routes over a node's files.
pub(crate) fn routes<F: Files>(files: Arc<F>, site: Site) -> Routes {
    let writes = if F::READ_ONLY {
        Routes::new().on(Method::POST, "/v1/files", read_only).on(
            Method::DELETE,
            "/v1/files/{file_id}",
            read_only,
        )
    } else {
        Routes::new().on(Method::POST, "/v1/files", upload_file::<F>).on(
            Method::DELETE,
            "/v1/files/{file_id}",
            delete_file::<F>,
        )
    };
    writes
        .on(Method::GET, "/healthz", healthz)
        .on(Method::GET, "/readyz", readyz::<F>)
        .with(|router| {
            router.layer(DefaultBodyLimit::disable()).method_not_allowed_fallback(method_not_allowed)
        })
        .with_state(Arc::new(Served { files, site }))
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

async fn upload_file<F: Files>(State(served): Shared<F>, request: Request) -> Response {
    upload::serve(Arc::clone(&served.files), &served.site.now(), request).await
}

async fn delete_file<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let id = file_id_of(&file_id)?;
    served.site.now().authority.check(&request.into_parts().0, Scope::Delete, Some(id.group))?;
    match served.files.delete(&id).await {
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
pub(crate) async fn route(routes: &Router, mut request: Request) -> Response<Body> {
    fold_file_id(request.uri_mut());
    let Ok(mut response) = routes.clone().oneshot(request).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.map(Body::from)
}

/// What every path answers to a method that it does not have.
pub async fn method_not_allowed() -> Problem {
    let detail = "this path has other methods; see the Allow header and openapi.yaml";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
