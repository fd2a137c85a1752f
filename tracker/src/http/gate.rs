//! What is not public is read by those who may. Changes ask the authority themselves.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway::authority::Scope;
use http::Method;

use super::App;

/// Lets a reader in, or says why not.
pub(super) async fn reads(State(shared): App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let is_read = parts.method.is_safe() || parts.method == Method::POST && path == "/v1/schedule/upload";
    // A file's own path leads to its node, which has its own rules.
    let is_passed_on = ["/v1/files", "/v1/uploads"].iter().any(|start| path.starts_with(start));
    if is_read && path.starts_with("/v1/") && !is_passed_on {
        let checked = shared.site.now().authority.check(&parts, Scope::Read, None);
        if let Err(problem) = checked {
            return problem.into_response();
        }
    }
    next.run(Request::from_parts(parts, body)).await
}
