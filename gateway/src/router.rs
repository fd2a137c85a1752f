//! The routes of a node's HTTP port other than file URLs.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use protocol::FileId;
use serde::Serialize;
use tower::ServiceExt;

use crate::body::Body;
use crate::files::{Files, WriteError};
use crate::problem::Problem;
use crate::site::Site;
use crate::{upload, write_access};

struct Routes<F> {
    files: Arc<F>,
    site: Site,
}

type Shared<F> = State<Arc<Routes<F>>>;

/// The routes over a node's files.
pub(crate) fn router<F: Files>(files: Arc<F>, site: Site) -> Router {
    let writes = if F::READ_ONLY {
        Router::new().route("/v1/files", post(read_only)).route("/v1/files/{*file_id}", delete(read_only))
    } else {
        Router::new()
            .route("/v1/files", post(upload_file::<F>).layer(DefaultBodyLimit::disable()))
            .route("/v1/files/{*file_id}", delete(delete_file::<F>))
    };
    writes
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz::<F>))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::new(Routes { files, site }))
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
async fn readyz<F: Files>(State(routes): Shared<F>) -> Response {
    match routes.files.ready() {
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

async fn upload_file<F: Files>(State(routes): Shared<F>, request: Request) -> Response {
    upload::serve(Arc::clone(&routes.files), &routes.site.now(), request).await
}

async fn delete_file<F: Files>(
    State(routes): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Response {
    if let Err(problem) = write_access::check(&routes.site.now(), &request) {
        return problem.into_response();
    }
    let Ok(id) = FileId::parse(&file_id) else {
        let detail = "a file ID looks like group1/M00/00/00/NAME, as the upload answered it";
        return Problem::new(StatusCode::NOT_FOUND, "bad_file_id", detail).into_response();
    };
    match routes.files.delete(&id).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(WriteError::Invalid(_)) => upload::write_failed(WriteError::NotFound).into_response(),
        Err(error) => upload::write_failed(error).into_response(),
    }
}

/// The answer of a route. It is about this moment, so caches keep none that does not say otherwise (RFC 9111, 4.2.2).
pub(crate) async fn route(routes: &Router, request: Request) -> Response<Body> {
    let Ok(mut response) = routes.clone().oneshot(request).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.map(Body::from)
}

/// What every path answers to a method that it does not have.
pub async fn method_not_allowed() -> Problem {
    let detail = "this path has other methods; see the Allow header and openapi.yaml";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
