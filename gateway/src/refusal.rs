//! Answers of stages that end the way of a request; they may be the site's own page or picture instead of their words.

use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::body::Body;
use crate::error_pages::Page;
use crate::problem::Problem;

/// An answer that is given instead of what was asked for.
pub(crate) type Refusal = Box<Response<Body>>;

/// The refusal in its own words.
pub(crate) fn refuse(problem: Problem) -> Refusal {
    Box::new(problem.into_response().map(Body::from))
}

/// The refusal, with the site's page if there is one. No cache may keep it: the next visitor may have the file.
pub(crate) fn refuse_by_page(problem: Problem, page: Option<&Page>) -> Refusal {
    let Some((kind, content)) = page else { return refuse(problem) };
    let mut response = Response::new(Body::from(content.clone()));
    *response.status_mut() = problem.status();
    response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Box::new(response)
}
