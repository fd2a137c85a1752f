//! REST on the tracker: health, scheduling, lists, and redirects to whom they name. One file a resource; what they do is
//! the state's, which native clients use, too.

mod admin;
mod console;
mod gate;
mod groups;
mod pairs;
mod places;
mod problems;
mod query;
mod redirect;
mod schedule;
mod storages;
mod summary;
mod tickets;
mod trackers;

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use gateway::contract;
use gateway::problem::Problem;
use gateway::rest::method_not_allowed;
use gateway::routes::Routes;
use gateway::server::ClientAddress;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::app::Shared;

type App = State<Arc<Shared>>;
type Client = Extension<ClientAddress>;

/// All routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Routes {
    Routes::new()
        .on(Method::GET, "/healthz", healthz)
        .on(Method::GET, "/readyz", readyz)
        .on(Method::GET, "/v1/cluster", summary::summary)
        .merge(contract::routes(contract::Server::Tracker))
        .on(Method::GET, "/v1/trackers", trackers::trackers)
        .on(Method::GET, "/v1/groups", groups::groups)
        .on(Method::GET, "/v1/groups/{group}", groups::group)
        .on(Method::GET, "/v1/groups/{group}/replication", pairs::pairs)
        .on(Method::GET, "/v1/groups/{group}/storages", storages::storages)
        .on(Method::GET, "/v1/groups/{group}/storages/{id}", storages::storage)
        .on(Method::GET, "/v1/schedule/upload", schedule::upload)
        .on(Method::POST, "/v1/schedule/upload", schedule::upload)
        .on(Method::GET, "/v1/schedule/download/{file_id}", schedule::download)
        .on(Method::GET, "/v1/schedule/update/{file_id}", schedule::update)
        .on(Method::GET, "/v1/schedule/holders/{file_id}", schedule::holders)
        .on(Method::POST, "/v1/tickets", tickets::make)
        .on(Method::POST, "/v1/files", redirect::to_upload)
        .on(Method::PUT, "/v1/upload/{filename}", redirect::to_upload)
        .on(Method::POST, "/v1/batch/delete", redirect::to_any)
        .on(Method::POST, "/v1/batch/info", redirect::to_any)
        .merge(admin::routes())
        .on(Method::GET, "/{group}/{store_path}/{high}/{low}/{name}", redirect::to_file)
        .merge(console::routes())
        .with(|router| {
            router
                // A node's routes, whatever they are.
                .route("/v1/uploads", post(redirect::to_upload))
                .route("/v1/files/{*rest}", any(redirect::to_file_rest))
                .route_layer(from_fn_with_state(Arc::clone(&shared), gate::reads))
                .fallback(not_found)
                .method_not_allowed_fallback(method_not_allowed)
        })
        .with_state(shared)
}

async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "nothing is served here; see openapi.yaml for the paths",
    )
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process answers.
async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// An upload could be scheduled: some storage is active.
async fn readyz(State(shared): App) -> Response {
    if shared.state().has_active_storage() {
        axum::Json(Health { status: "ready" }).into_response()
    } else {
        let detail = "no storage is active; start one, or see its log for why it does not join";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_active_storage", detail).into_response()
    }
}

#[cfg(test)]
mod tests;
