//! `POST /v1/batch/delete` and `POST /v1/batch/info`: many files by one request. Each has an outcome of its own, in the
//! order of the request.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;

use super::incoming::Incoming;
use super::info::{Described, describe, look_failed};
use super::place::{self, Carried};
use super::upload::bad;
use super::{Served, Shared, delete_by, file_id_of};
use crate::authority::Scope;
use crate::files::{Checksum, Errand, Files};
use crate::problem::Problem;

/// Files of one request.
const MAX_FILES: usize = 1000;
/// Of these are worked on at a time.
const AT_ONCE: usize = 16;
/// Room for that many of the longest IDs.
const MAX_BODY: usize = 256 * 1024;

#[derive(Serialize)]
struct Outcomes {
    results: Vec<Outcome>,
}

/// What came of one file.
#[derive(Serialize)]
struct Outcome {
    file_id: String,
    /// The status that a request for this file alone would have been answered with.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Described>,
}

/// Deletes files.
pub(super) async fn delete<F: Files>(
    State(served): Shared<F>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, ids) = listed(&served, Scope::Delete, request).await?;
    let (served, parts) = (&*served, &parts);
    Ok(each(ids, move |text| async move {
        let outcome = delete_one(served, parts, &text).await;
        Outcome::of(text, outcome.map(|status| (status, None)))
    })
    .await)
}

/// Describes files, without those who have them.
pub(super) async fn info<F: Files>(State(served): Shared<F>, request: Request) -> Result<Response, Problem> {
    let (parts, ids) = listed(&served, Scope::Read, request).await?;
    let (served, parts) = (&*served, &parts);
    Ok(each(ids, move |text| async move {
        let described = describe_one(served, parts, &text).await;
        Outcome::of(text, described.map(|described| (StatusCode::OK, Some(described))))
    })
    .await)
}

async fn delete_one<F: Files>(served: &Served<F>, parts: &Parts, text: &str) -> Result<StatusCode, Problem> {
    let id = file_id_of(text)?;
    let grant = served.site.now().authority.check(parts, Scope::Delete, Some(id.group))?;
    match place::carried(served, parts, Errand::Any(&id)).await? {
        Carried::By(hand) => delete_by(&hand, &id).await,
        Carried::At(member) => place::delete_at(served, (parts, &grant), &member, &id).await,
    }
}

async fn describe_one<F: Files>(served: &Served<F>, parts: &Parts, text: &str) -> Result<Described, Problem> {
    let id = file_id_of(text)?;
    served.site.now().authority.check(parts, Scope::Read, Some(id.group))?;
    describe(&*served.files, &id, Checksum::IfKnown).await.map_err(look_failed)
}

/// The files that a request lists.
async fn listed<F: Files>(
    served: &Served<F>,
    scope: Scope,
    request: Request,
) -> Result<(Parts, Vec<String>), Problem> {
    let (parts, body) = request.into_parts();
    let settings = served.site.now();
    settings.authority.check(&parts, scope, None)?;
    let body = Incoming { body, patience: settings.body_timeout }.at_most(MAX_BODY).await?;
    let detail = "the body is a JSON list of file IDs: [\"group1/M00/00/00/NAME\"]";
    let ids: Vec<String> = serde_json::from_slice(&body).map_err(|_| bad("bad_list", detail))?;
    if ids.len() > MAX_FILES {
        return Err(bad("bad_list", "a request names up to 1000 files; send the rest in another one"));
    }
    Ok((parts, ids))
}

async fn each<Fut: Future<Output = Outcome>>(ids: Vec<String>, work: impl Fn(String) -> Fut) -> Response {
    let results = stream::iter(ids.into_iter().map(work)).buffered(AT_ONCE).collect().await;
    axum::Json(Outcomes { results }).into_response()
}

impl Outcome {
    fn of(file_id: String, outcome: Result<(StatusCode, Option<Described>), Problem>) -> Self {
        match outcome {
            Ok((status, file)) => Self { file_id, status: status.as_u16(), code: None, detail: None, file },
            Err(problem) => Self {
                file_id,
                status: problem.status().as_u16(),
                code: Some(problem.code().to_owned()),
                detail: Some(problem.detail().to_owned()),
                file: None,
            },
        }
    }
}
