//! What requests about one file begin with: the ID, whether the client may, and who carries it out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use protocol::FileId;

use super::hand::Hand;
use super::place::{Placed, place};
use super::{Served, file_id_of};
use crate::authority::Scope;
use crate::files::{Errand, Files};
use crate::problem::Problem;
use crate::settings::Settings;

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

/// A write of a file that is to be carried out now.
pub(super) struct Opened<F: Files> {
    pub(super) id: FileId,
    pub(super) hand: Hand<F>,
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) settings: Arc<Settings>,
}

/// Opens a write that `errand` makes of the file's ID. The error is the whole answer: a refusal, or another member's.
pub(super) async fn to_write<F: Files>(
    served: &Served<F>,
    file_id: &str,
    scope: Scope,
    errand: for<'a> fn(&'a FileId) -> Errand<'a>,
    request: Request,
) -> Result<Opened<F>, Response> {
    let id = file_id_of(file_id)?;
    let (parts, body) = request.into_parts();
    let settings = served.site.now();
    let grant = settings.authority.check(&parts, scope, Some(id.group))?;
    match place(served, &grant, errand(&id), Request::from_parts(parts, body)).await? {
        Placed::By(hand, request) => {
            let (parts, body) = request.into_parts();
            Ok(Opened { id, hand, parts, body, settings })
        }
        Placed::Answered(response) => Err(response),
    }
}

/// Opens a look at a file.
pub(super) fn to_read<F: Files>(
    served: &Served<F>,
    file_id: &str,
    request: Request,
) -> Result<(FileId, Parts), Problem> {
    let id = file_id_of(file_id)?;
    let parts = request.into_parts().0;
    served.site.now().authority.check(&parts, Scope::Read, Some(id.group))?;
    Ok((id, parts))
}
